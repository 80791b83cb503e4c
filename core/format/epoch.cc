#include "core/format/epoch.h"

#include <algorithm>

#include "core/crypto/kdf.h"
#include "core/format/body.h"
#include "core/format/object_names.h"
#include "core/format/resealed.h"

namespace stele::format {

namespace {

void write_sealed(ByteWriter& w, const std::vector<EpochRecord::SealedKey>& keys) {
  w.u16(static_cast<std::uint16_t>(keys.size()));
  for (const EpochRecord::SealedKey& key : keys) {
    write_recipient(w, key.recipient);
    write_key(w, key.sealed);
  }
}

Status read_sealed(ByteReader& r, std::string_view what, std::vector<EpochRecord::SealedKey>& out) {
  const std::size_t count = r.u16();
  if (count == 0 || count > kMaxRecipients) return Error{ErrorCode::kDamaged, fmt::format("{} with {} recipients", what, count), ""};
  for (std::size_t i = 0; i < count && !r.failed(); ++i) {
    EpochRecord::SealedKey key;
    STELE_TRY(key.recipient, read_recipient(r));
    key.sealed = read_key(r);
    for (const EpochRecord::SealedKey& other : out) {
      if (other.recipient.public_key == key.recipient.public_key) return Error{ErrorCode::kDamaged, fmt::format("{}: one recipient twice", what), ""};
    }
    out.push_back(std::move(key));
  }
  return {};
}

/// Data key, chunk name key and join key, one after the other, in one box.
Result<EpochRecord::SealedKey> seal_secrets(const EpochSecrets& secrets, const Recipient& recipient, const crypto::Suite& suite, RandomSource& random) {
  const std::size_t size = suite.sizes().key;
  if (secrets.data.size() != size || secrets.chunk_name.size() != size || secrets.join.size() != size) {
    return Error{ErrorCode::kInternal, "epoch secrets of a wrong size", ""};
  }
  crypto::SecretBytes together(3 * size);
  auto copy = [&](std::size_t at, const crypto::SecretBytes& from) {
    std::copy(from.view().begin(), from.view().end(), together.mutable_view().begin() + static_cast<std::ptrdiff_t>(at * size));
  };
  copy(0, secrets.data);
  copy(1, secrets.chunk_name);
  copy(2, secrets.join);
  STELE_TRY(const crypto::RecipientKey key, crypto::RecipientKey::from(suite, recipient.public_key));
  EpochRecord::SealedKey out;
  out.recipient = recipient;
  STELE_TRY(out.sealed, crypto::seal_to(key, together.view(), random));
  return out;
}

}  // namespace

Result<SignedRecord> EpochRecord::sign(const crypto::SigningKey& agent) const {
  if (agent.suite().id() != suite) return Error{ErrorCode::kInternal, "sign an epoch: the key is of another suite", ""};
  return sign_body<EpochRecord>(RecordKind::kEpoch, agent, [&](ByteWriter& w) {
    write_database(w, database);
    w.raw(stream.view());
    w.u64(generation.value);
    w.raw(enrolment.view());
    w.raw(recipient_list.view());
    w.i64(created.micros);
    w.raw(commitment.view());
    write_sealed(w, keys);
  });
}

Result<EpochRecord> EpochRecord::read(const SignedRecord& record) {
  return read_body<EpochRecord>(record, RecordKind::kEpoch, [&](ByteReader& r, EpochRecord& out) -> Status {
    out.suite = record.suite;
    STELE_CHECK(read_database(r, out.database));
    r.fixed(out.stream);
    out.generation = {r.u64()};
    r.fixed(out.enrolment);
    r.fixed(out.recipient_list);
    out.created = {r.i64()};
    r.fixed(out.commitment);
    return read_sealed(r, "epoch", out.keys);
  });
}

Result<SignedRecord> ResealedKeys::sign(const crypto::SigningKey& authority) const {
  return sign_body<ResealedKeys>(RecordKind::kResealedKeys, authority, [&](ByteWriter& w) {
    write_database(w, database);
    w.raw(epoch.view());
    w.raw(recipient_list.view());
    w.i64(created.micros);
    write_sealed(w, keys);
  });
}

Result<ResealedKeys> ResealedKeys::read(const SignedRecord& record) {
  return read_body<ResealedKeys>(record, RecordKind::kResealedKeys, [&](ByteReader& r, ResealedKeys& out) -> Status {
    out.suite = record.suite;
    STELE_CHECK(read_database(r, out.database));
    r.fixed(out.epoch);
    r.fixed(out.recipient_list);
    out.created = {r.i64()};
    return read_sealed(r, "resealed keys", out.keys);
  });
}

Result<EpochRecord> seal_epoch(EpochRecord base, const RecipientList& list, const EpochSecrets& secrets, const crypto::Suite& suite,
                               RandomSource& random) {
  STELE_TRY(base.commitment, crypto::key_commitment(suite, secrets.data));
  base.suite = suite.id();
  base.keys.clear();
  for (const Recipient& recipient : list.recipients) {
    STELE_TRY(EpochRecord::SealedKey sealed, seal_secrets(secrets, recipient, suite, random));
    base.keys.push_back(std::move(sealed));
  }
  return base;
}

Result<ResealedKeys> reseal_epoch(const EpochId& epoch, const EpochRecord& record, const Digest& list_id, const RecipientList& list,
                                  const EpochSecrets& secrets, RandomSource& random) {
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(record.suite));
  STELE_CHECK(crypto::check_key_commitment(*suite, secrets.data, record.commitment));
  ResealedKeys out;
  out.suite = record.suite;
  out.database = record.database;
  out.epoch = epoch;
  out.recipient_list = list_id;
  for (const Recipient& recipient : list.recipients) {
    const bool known = std::any_of(record.keys.begin(), record.keys.end(), [&](const EpochRecord::SealedKey& k) { return k.recipient.public_key == recipient.public_key; });
    if (known) continue;
    STELE_TRY(EpochRecord::SealedKey sealed, seal_secrets(secrets, recipient, *suite, random));
    out.keys.push_back(std::move(sealed));
  }
  return out;
}

std::string resealed_name(const DatabaseName& database, const Digest& id) { return fmt::format("{}resealed/{}.rec", database_prefix(database), id.hex()); }

Result<EpochSecrets> open_epoch(const EpochRecord& record, const crypto::RecipientKeyPair& key) {
  const crypto::Suite& suite = key.suite();
  const std::size_t size = suite.sizes().key;
  if (record.suite != suite.id()) return Error{ErrorCode::kKeyWrong, "this key is of another suite than the epoch", ""};
  for (const EpochRecord::SealedKey& sealed : record.keys) {
    if (!equal(sealed.recipient.public_key, key.public_key().bytes())) continue;
    STELE_TRY(crypto::SecretBytes together, key.open_sealed(sealed.sealed));
    if (together.size() != 3 * size) return Error{ErrorCode::kDamaged, "epoch: sealed key of a wrong size", ""};
    EpochSecrets out;
    out.data = crypto::SecretBytes::copy_of(together.view().subspan(0, size));
    out.chunk_name = crypto::SecretBytes::copy_of(together.view().subspan(size, size));
    out.join = crypto::SecretBytes::copy_of(together.view().subspan(2 * size, size));
    STELE_CHECK(crypto::check_key_commitment(suite, out.data, record.commitment));
    return out;
  }
  std::string labels;
  for (const auto& sealed : record.keys) labels += (labels.empty() ? "" : ", ") + sealed.recipient.label;
  return Error{ErrorCode::kKeyWrong, fmt::format("this key is no recipient of the epoch; it is sealed to: {}", labels),
               "use the recovery key of one of these"};
}

}  // namespace stele::format
