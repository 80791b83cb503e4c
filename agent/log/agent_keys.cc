#include "agent/log/agent_keys.h"

#include <fmt/format.h>

#include "core/io/durable_file.h"

namespace stele::agent {

namespace {

constexpr std::uint64_t kMaxRecordFile = 1 << 20;

Result<format::SignedRecord> read_record_file(io::FileSystem& fs, const std::filesystem::path& path, format::RecordKind kind,
                                              std::string_view what) {
  auto bytes = io::read_file(fs, path.string(), kMaxRecordFile);
  if (!bytes.ok()) return bytes.error().in(what).with_hint("stele-restore enroll makes it, from what stele-agent enroll prints");
  auto record = format::parse_record(*bytes, kind);
  if (!record.ok()) return record.error().in(path.string());
  return record;
}

}  // namespace

Result<AgentKeys> AgentKeys::load(const DatabaseName& database, const std::filesystem::path& key_file,
                                  const std::filesystem::path& enrolment_file, const std::filesystem::path& recipients_file) {
  io::PosixFileSystem fs;
  auto key_bytes = crypto::read_key_file(key_file.string());
  if (!key_bytes.ok()) {
    Error error = key_bytes.error().in("the agent's key").with_hint("run: stele-agent enroll");
    if (error.code == ErrorCode::kNotFound) error.code = ErrorCode::kKeyMissing;
    return error;
  }
  auto key = crypto::decode_agent_key(key_bytes->view());
  if (!key.ok()) return key.error().in(key_file.string());
  STELE_TRY(format::SignedRecord enrolment_record, read_record_file(fs, enrolment_file, format::RecordKind::kEnrolment, "the enrolment"));
  STELE_TRY(format::Enrolment enrolment, format::Enrolment::read(enrolment_record));
  STELE_TRY(format::SignedRecord recipients_record,
            read_record_file(fs, recipients_file, format::RecordKind::kRecipientList, "the recipient list"));
  STELE_TRY(format::RecipientList recipients, format::RecipientList::read(recipients_record));
  if (enrolment.database != database || recipients.database != database) {
    return Error{ErrorCode::kUnauthorised,
                 fmt::format("the enrolment is for {} and the recipient list for {}, this agent protects {}", enrolment.database.to_string(),
                             recipients.database.to_string(), database.to_string()),
                 "set site and database as enrolled, or enrol this database"};
  }
  if (!equal(enrolment.agent_key, key->signing.verify_key().bytes())) {
    return Error{ErrorCode::kUnauthorised, "the enrolment names another agent's key", "enrol again: stele-agent enroll, stele-restore enroll"};
  }
  // The agent cannot know the authority by itself; that both records name and verify under one key catches mixed-up files.
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(enrolment_record.suite));
  STELE_TRY(crypto::VerifyKey authority, crypto::VerifyKey::from(*suite, enrolment_record.signer));
  STELE_CHECK(format::verify_record(enrolment_record, authority));
  STELE_CHECK(format::verify_record(recipients_record, authority));
  const Digest enrolment_id = enrolment_record.id(), recipients_id = recipients_record.id();
  return AgentKeys{std::move(*key),         std::move(enrolment_record), std::move(enrolment), std::move(recipients_record),
                   std::move(recipients), enrolment_id,                recipients_id};
}

Result<NewEpoch> make_epoch(const AgentKeys& keys, const DatabaseName& database, const StreamId& stream, Generation generation, Timestamp now,
                            RandomSource& random) {
  const crypto::Suite& suite = keys.key.signing.suite();
  format::EpochSecrets secrets;
  secrets.data = crypto::SecretBytes::random(suite.sizes().key, random);
  secrets.chunk_name = keys.key.chunk_name_key.clone();
  secrets.join = keys.key.join_tag_key.clone();
  format::EpochRecord base;
  base.database = database;
  base.stream = stream;
  base.generation = generation;
  base.enrolment = keys.enrolment_id;
  base.recipient_list = keys.recipients_id;
  base.created = now;
  STELE_TRY(format::EpochRecord record, format::seal_epoch(std::move(base), keys.recipients, secrets, suite, random));
  NewEpoch out;
  STELE_TRY(out.record, record.sign(keys.key.signing));
  out.id = format::epoch_id(out.record);
  out.data_key = std::move(secrets.data);
  return out;
}

}  // namespace stele::agent
