#include "restore/trust/trust_store.h"

#include <fmt/format.h>

#include "core/format/object_names.h"
#include "core/format/resealed.h"

namespace stele::restore {

namespace {

struct Found {
  std::string name;
  format::SignedRecord record;
};

/// All records in one folder of the database that can be parsed and have the expected kind.
Result<std::vector<Found>> read_folder(store::ObjectReader& objects, const DatabaseName& database, std::string_view folder, format::RecordKind kind,
                                       std::vector<Problem>& problems, std::size_t& seen) {
  std::vector<Found> out;
  STELE_TRY(auto names, objects.list(fmt::format("{}{}/", format::database_prefix(database), folder)));
  for (const store::ObjectInfo& info : names) {
    ++seen;
    auto bytes = objects.read_all(info.name, format::kMaxRecordBytes);
    if (!bytes.ok()) {
      if (is_temporary(bytes.error().code)) return bytes.error();
      problems.push_back({info.name, bytes.error()});
      continue;
    }
    auto record = format::parse_record(*bytes, kind);
    if (!record.ok()) {
      problems.push_back({info.name, record.error()});
      continue;
    }
    out.push_back({info.name, std::move(*record)});
  }
  return out;
}

Error other_database(std::string_view what) { return Error{ErrorCode::kForged, fmt::format("{} of another database", what), ""}; }

}  // namespace

Result<TrustStore> TrustStore::load(store::ObjectReader& objects, const DatabaseName& database, const std::vector<crypto::VerifyKey>& authorities,
                                    std::vector<Problem>& problems) {
  if (authorities.empty()) {
    return Error{ErrorCode::kConfig, "no authority is configured, so nothing can be believed", "configure [[authority]] or a recovery key file"};
  }
  TrustStore out(database);
  STELE_TRY(auto enrolments, read_folder(objects, database, "enrolment", format::RecordKind::kEnrolment, problems, out.records_seen_));
  for (Found& f : enrolments) {
    auto add = [&]() -> Status {
      STELE_CHECK(format::verify_by_any(f.record, authorities));
      STELE_TRY(format::Enrolment enrolment, format::Enrolment::read(f.record));
      if (enrolment.database != database) return other_database("an enrolment");
      STELE_TRY(const crypto::Suite* suite, crypto::find_suite(f.record.suite));
      STELE_TRY(crypto::VerifyKey key, crypto::VerifyKey::from(*suite, enrolment.agent_key));
      out.agents_.emplace(f.record.id(), EnrolledAgent{f.record.id(), std::move(enrolment), std::move(key), {}});
      return {};
    };
    if (Status added = add(); !added.ok()) problems.push_back({f.name, added.error()});
  }
  STELE_TRY(auto withdrawals, read_folder(objects, database, "withdrawal", format::RecordKind::kWithdrawal, problems, out.records_seen_));
  for (Found& f : withdrawals) {
    auto add = [&]() -> Status {
      STELE_CHECK(format::verify_by_any(f.record, authorities));
      STELE_TRY(format::Withdrawal withdrawal, format::Withdrawal::read(f.record));
      if (withdrawal.database != database) return other_database("a withdrawal");
      auto agent = out.agents_.find(withdrawal.enrolment);
      if (agent != out.agents_.end()) agent->second.withdrawals.push_back(std::move(withdrawal));
      return {};
    };
    if (Status added = add(); !added.ok()) problems.push_back({f.name, added.error()});
  }
  STELE_TRY(auto lists, read_folder(objects, database, "recipients", format::RecordKind::kRecipientList, problems, out.records_seen_));
  for (Found& f : lists) {
    auto add = [&]() -> Status {
      STELE_CHECK(format::verify_by_any(f.record, authorities));
      STELE_TRY(format::RecipientList list, format::RecipientList::read(f.record));
      if (list.database != database) return other_database("a recipient list");
      out.lists_by_id_.emplace(f.record.id(), list);
      out.recipient_lists_.push_back(std::move(list));
      return {};
    };
    if (Status added = add(); !added.ok()) problems.push_back({f.name, added.error()});
  }
  std::sort(out.recipient_lists_.begin(), out.recipient_lists_.end(), [](const auto& a, const auto& b) { return a.serial > b.serial; });

  STELE_TRY(auto branches, read_folder(objects, database, "branch", format::RecordKind::kBranch, problems, out.records_seen_));
  for (Found& f : branches) {
    auto add = [&]() -> Status {
      STELE_TRY(format::BranchRecord branch, format::BranchRecord::read(f.record));
      if (branch.database != database) return other_database("a branch");
      STELE_TRY(const EnrolledAgent* agent, out.believe(f.record, branch.enrolment, branch.generation));
      for (const format::Withdrawal& w : agent->withdrawals) {
        if (branch.created > w.issued && branch.stream() != w.stream) {
          return Error{ErrorCode::kForged, fmt::format("a branch begun after its agent's key was withdrawn at {}", to_iso8601(w.issued)), ""};
        }
      }
      out.branches_.emplace(branch.stream(), std::move(branch));
      return {};
    };
    if (Status added = add(); !added.ok()) problems.push_back({f.name, added.error()});
  }
  STELE_TRY(auto resealed, read_folder(objects, database, "resealed", format::RecordKind::kResealedKeys, problems, out.records_seen_));
  for (Found& f : resealed) {
    auto add = [&]() -> Status {
      STELE_CHECK(format::verify_by_any(f.record, authorities));
      STELE_TRY(format::ResealedKeys keys, format::ResealedKeys::read(f.record));
      if (keys.database != database) return other_database("resealed keys");
      auto& of_epoch = out.resealed_[keys.epoch];
      of_epoch.insert(of_epoch.end(), std::make_move_iterator(keys.keys.begin()), std::make_move_iterator(keys.keys.end()));
      return {};
    };
    if (Status added = add(); !added.ok()) problems.push_back({f.name, added.error()});
  }
  STELE_TRY(auto epochs, read_folder(objects, database, "epoch", format::RecordKind::kEpoch, problems, out.records_seen_));
  for (Found& f : epochs) {
    auto epoch = out.verify_epoch(f.record.bytes, format::epoch_id(f.record));
    if (!epoch.ok()) {
      problems.push_back({f.name, epoch.error()});
      continue;
    }
    // A list that is not the authority's is reported; what is sealed to us can still be opened.
    auto list = out.lists_by_id_.find(epoch->recipient_list);
    bool same = list != out.lists_by_id_.end() && list->second.recipients.size() == epoch->keys.size();
    for (std::size_t i = 0; same && i < epoch->keys.size(); ++i) same = list->second.recipients[i] == epoch->keys[i].recipient;
    if (!same) {
      problems.push_back({f.name, Error{ErrorCode::kForged, fmt::format("epoch {} is sealed to recipients that are on no list of the authority", format::epoch_id(f.record).short_hex()),
                                        "look at who changed the recipients at the site"}});
    }
    out.add_resealed(format::epoch_id(f.record), *epoch);
    out.epochs_.emplace(format::epoch_id(f.record), std::move(*epoch));
  }
  return out;
}

void TrustStore::add_resealed(const EpochId& id, format::EpochRecord& record) const {
  auto found = resealed_.find(id);
  if (found == resealed_.end()) return;
  for (const auto& box : found->second) {
    const bool known = std::any_of(record.keys.begin(), record.keys.end(), [&](const auto& k) { return k.recipient.public_key == box.recipient.public_key; });
    if (!known) record.keys.push_back(box);
  }
}

Status TrustStore::require_any() const {
  if (!agents_.empty() || records_seen_ == 0) return {};
  return Error{ErrorCode::kForged, fmt::format("nothing of {} is signed by a known authority", database_.to_string()),
               "check [[authority]] in the configuration; if it is right, this store was not made by your agents"};
}

const EnrolledAgent* TrustStore::agent(const Digest& enrolment) const {
  auto found = agents_.find(enrolment);
  return found == agents_.end() ? nullptr : &found->second;
}

const format::BranchRecord* TrustStore::branch(const StreamId& stream) const {
  auto found = branches_.find(stream);
  return found == branches_.end() ? nullptr : &found->second;
}

const format::EpochRecord* TrustStore::epoch(const EpochId& id) const {
  auto found = epochs_.find(id);
  return found == epochs_.end() ? nullptr : &found->second;
}

Result<const EnrolledAgent*> TrustStore::believe(const format::SignedRecord& record, const Digest& enrolment, Generation generation) const {
  const EnrolledAgent* found = agent(enrolment);
  if (found == nullptr) {
    return Error{ErrorCode::kForged, fmt::format("a {} record under enrolment {}, which no known authority signed", format::record_kind_name(record.kind), enrolment.short_hex()), ""};
  }
  STELE_CHECK(format::verify_record(record, found->key));
  if (generation < found->enrolment.first_generation) {
    return Error{ErrorCode::kForged, fmt::format("generation {} is below the first that the enrolment allows", generation.value), ""};
  }
  return found;
}

Result<format::EpochRecord> TrustStore::verify_epoch(ByteView bytes, const EpochId& id) const {
  STELE_TRY(format::SignedRecord record, format::parse_record(bytes, format::RecordKind::kEpoch));
  if (format::epoch_id(record) != id) return Error{ErrorCode::kForged, fmt::format("an epoch record that is not epoch {}", id.short_hex()), ""};
  STELE_TRY(format::EpochRecord epoch, format::EpochRecord::read(record));
  if (epoch.database != database_) return other_database("an epoch");
  STELE_TRY([[maybe_unused]] const EnrolledAgent* agent, believe(record, epoch.enrolment, epoch.generation));
  return epoch;
}

Result<format::EpochRecord> TrustStore::verify_copied_epoch(ByteView bytes, const EpochId& id) const {
  STELE_TRY(format::EpochRecord epoch, verify_epoch(bytes, id));
  add_resealed(id, epoch);
  return epoch;
}

Result<const EnrolledAgent*> TrustStore::signer(const StreamId& stream, Generation generation, const format::EpochRecord& epoch, Position end) const {
  const format::BranchRecord* record = branch(stream);
  if (record == nullptr) return Error{ErrorCode::kForged, fmt::format("no trusted branch record for stream {}", stream.short_hex()), ""};
  if (epoch.stream != stream) return Error{ErrorCode::kForged, fmt::format("an epoch of stream {} used in stream {}", epoch.stream.short_hex(), stream.short_hex()), ""};
  if (epoch.enrolment != record->enrolment) return Error{ErrorCode::kForged, fmt::format("stream {} written under another enrolment than its branch", stream.short_hex()), ""};
  const EnrolledAgent* found = agent(record->enrolment);
  if (found == nullptr) return Error{ErrorCode::kForged, fmt::format("stream {} under an enrolment that no known authority signed", stream.short_hex()), ""};
  if (generation < found->enrolment.first_generation) return Error{ErrorCode::kForged, fmt::format("stream {}: generation {} is below the enrolment's", stream.short_hex(), generation.value), ""};
  for (const format::Withdrawal& w : found->withdrawals) {
    if (w.stream == stream && end > w.not_after) {
      return Error{ErrorCode::kForged, fmt::format("the agent's key was withdrawn: its signatures count to {} only", w.not_after.to_string()), ""};
    }
  }
  return found;
}

bool TrustStore::signed_by_agent(const format::SignedRecord& record) const {
  return std::any_of(agents_.begin(), agents_.end(), [&](const auto& a) { return format::verify_record(record, a.second.key).ok(); });
}

}  // namespace stele::restore
