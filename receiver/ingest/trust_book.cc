#include "receiver/ingest/trust_book.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/crypto/suite.h"
#include "core/format/object_names.h"
#include "core/format/resealed.h"
#include "core/format/run.h"

namespace stele::receiver {

using format::RecordKind;
using format::SignedRecord;

namespace {

Error unauthorised(std::string what, std::string hint) { return Error{ErrorCode::kUnauthorised, std::move(what), std::move(hint)}; }

const format::RecipientList* newest_of(const std::map<Digest, format::RecipientList>& lists) {
  const format::RecipientList* newest = nullptr;
  for (const auto& [id, list] : lists) {
    if (newest == nullptr || list.serial > newest->serial) newest = &list;
  }
  return newest;
}

constexpr std::size_t kMostDrills = 1'000;

constexpr std::string_view kEnrolHint = "enrol the agent: `stele-agent enroll`, then `stele-restore enroll` with the authority key";

}  // namespace

Status TrustBook::check_database(const SignedRecord& record, const DatabaseName& named) const {
  if (named == database_) return {};
  return unauthorised(fmt::format("{} record: it is about {}, not {}", format::record_kind_name(record.kind), named.to_string(), database_.to_string()), "");
}

Result<const TrustBook::Enrolled*> TrustBook::current() const {
  const Enrolled* newest = nullptr;
  for (const auto& [id, enrolled] : enrolments_) {
    if (newest == nullptr || enrolled.record.serial > newest->record.serial) newest = &enrolled;
  }
  if (newest == nullptr) return unauthorised(fmt::format("{}: no agent is enrolled here", database_.to_string()), std::string(kEnrolHint));
  return newest;
}

Result<const crypto::VerifyKey*> TrustBook::current_key() const {
  STELE_TRY(const Enrolled* enrolled, current());
  if (enrolled->withdrawal) {
    return unauthorised(fmt::format("{}: the enrolment {} is withdrawn", database_.to_string(), enrolled->id.short_hex()), std::string(kEnrolHint));
  }
  return &enrolled->key;
}

Status TrustBook::may_open(const StreamId& stream, Generation generation) const {
  if (!branches_.contains(stream)) {
    return Error{ErrorCode::kNotFound, fmt::format("stream {}: its branch record is not held here", stream.short_hex()), "the agent puts it first"};
  }
  STELE_TRY(const Enrolled* enrolled, current());
  if (generation < enrolled->record.first_generation) {
    return unauthorised(fmt::format("generation {}: the enrolment begins with {}", generation.value, enrolled->record.first_generation.value), "");
  }
  return {};
}

Result<const TrustBook::Enrolled*> TrustBook::enrolment_for(const Digest& id, const SignedRecord& record, bool stored) const {
  auto it = enrolments_.find(id);
  if (it == enrolments_.end()) {
    return unauthorised(fmt::format("{} record: its enrolment {} is not held here", format::record_kind_name(record.kind), id.short_hex()), std::string(kEnrolHint));
  }
  if (!stored) {
    STELE_TRY(const Enrolled* newest, current());
    if (newest != &it->second) {
      return unauthorised(fmt::format("{} record: its enrolment {} was replaced by a newer one", format::record_kind_name(record.kind), id.short_hex()), "");
    }
    STELE_TRY([[maybe_unused]] const crypto::VerifyKey* key, current_key());
  }
  STELE_CHECK(format::verify_record(record, it->second.key));
  return &it->second;
}

std::string TrustBook::recipients_alarm(const format::EpochRecord& epoch) const {
  const format::RecipientList* newest = newest_of(lists_);
  if (newest == nullptr) return "no recipient list of an authority is held here";
  bool same = newest->recipients.size() == epoch.keys.size();
  for (const auto& sealed : epoch.keys) {
    same = same && std::find(newest->recipients.begin(), newest->recipients.end(), sealed.recipient) != newest->recipients.end();
  }
  return same ? "" : fmt::format("sealed to {} keys that are not the {} of the newest recipient list (serial {})", epoch.keys.size(),
                                 newest->recipients.size(), newest->serial);
}

std::string TrustBook::newest_epoch_alarm() const {
  const Epoch* newest = nullptr;
  for (const auto& [id, epoch] : epochs_) {
    if (newest == nullptr || epoch.record.created > newest->record.created) newest = &epoch;
  }
  return newest == nullptr ? "" : recipients_alarm(newest->record);
}

Result<RecordVerdict> TrustBook::judge(const SignedRecord& record) const { return judge_as(record, false); }

Result<RecordVerdict> TrustBook::judge_as(const SignedRecord& record, bool stored) const {
  RecordVerdict out;
  const Digest id = record.id();
  if (record.kind == RecordKind::kDrill) {
    STELE_TRY(format::DrillRecord drill, format::DrillRecord::read(record));
    STELE_CHECK(check_database(record, drill.database));
    if (record.bytes.size() > format::kMaxDrillRecordBytes) return Error{ErrorCode::kProtocol, "a drill record over the limit", ""};
    STELE_CHECK(format::verify_own_signature(record));
    out.object_name = format::drill_name(database_, drill.finished, id);
    out.known = std::any_of(drills_.begin(), drills_.end(), [&](const auto& held) { return held->id == id; });
    return out;
  }
  if (record.kind == format::RecordKind::kResealedKeys) {
    STELE_TRY(const format::ResealedKeys resealed, format::ResealedKeys::read(record));
    STELE_CHECK(check_database(record, resealed.database));
    STELE_CHECK(format::verify_by_any(record, authorities_));
    out.object_name = format::resealed_name(database_, id);
    out.known = known_appended_.contains(id);
    if (stored || out.known) return out;
    if (!epochs_.contains(resealed.epoch)) return Error{ErrorCode::kNotFound, fmt::format("resealed keys: epoch {} is not held here", resealed.epoch.short_hex()), ""};
    // The list rules, not whoever comes: only those whom the authority's newest one names.
    const format::RecipientList* newest = newest_of(lists_);
    for (const auto& sealed : resealed.keys) {
      if (newest != nullptr && std::find(newest->recipients.begin(), newest->recipients.end(), sealed.recipient) != newest->recipients.end()) continue;
      return unauthorised(fmt::format("resealed keys: recipient \"{}\" is not on the authority's newest recipient list", sealed.recipient.label), "put that list first");
    }
    return out;
  }
  switch (record.kind) {
    case RecordKind::kEnrolment: {
      STELE_TRY(format::Enrolment enrolment, format::Enrolment::read(record));
      STELE_CHECK(check_database(record, enrolment.database));
      STELE_CHECK(format::verify_by_any(record, authorities_));
      STELE_TRY(const crypto::Suite* suite, crypto::find_suite(record.suite));
      STELE_TRY([[maybe_unused]] auto key, crypto::VerifyKey::from(*suite, enrolment.agent_key));
      out.object_name = format::enrolment_name(database_, id);
      out.known = enrolments_.contains(id);
      return out;
    }
    case RecordKind::kWithdrawal: {
      STELE_TRY(format::Withdrawal withdrawal, format::Withdrawal::read(record));
      STELE_CHECK(check_database(record, withdrawal.database));
      STELE_CHECK(format::verify_by_any(record, authorities_));
      out.object_name = format::withdrawal_name(database_, id);
      out.known = withdrawals_.contains(id);
      return out;
    }
    case RecordKind::kRecipientList: {
      STELE_TRY(format::RecipientList list, format::RecipientList::read(record));
      STELE_CHECK(check_database(record, list.database));
      STELE_CHECK(format::verify_by_any(record, authorities_));
      out.object_name = format::recipients_name(database_, id);
      out.known = lists_.contains(id);
      return out;
    }
    case RecordKind::kBranch: {
      STELE_TRY(format::BranchRecord branch, format::BranchRecord::read(record));
      STELE_CHECK(check_database(record, branch.database));
      STELE_TRY([[maybe_unused]] const Enrolled* enrolled, enrolment_for(branch.enrolment, record, stored || branches_.contains(branch.stream())));
      out.object_name = format::branch_name(database_, branch.stream());
      out.known = branches_.contains(branch.stream());
      return out;
    }
    case RecordKind::kEpoch: {
      STELE_TRY(format::EpochRecord epoch, format::EpochRecord::read(record));
      STELE_CHECK(check_database(record, epoch.database));
      if (!stored && record.bytes.size() > format::kMaxRunEpochRecord) {
        return Error{ErrorCode::kLimit, fmt::format("epoch record: {} bytes, at most {} fit into a run", record.bytes.size(), format::kMaxRunEpochRecord), ""};
      }
      const EpochId epoch_id = format::epoch_id(record);
      out.known = epochs_.contains(epoch_id);
      STELE_TRY([[maybe_unused]] const Enrolled* enrolled, enrolment_for(epoch.enrolment, record, stored || out.known));
      if (!branches_.contains(epoch.stream)) {
        return Error{ErrorCode::kNotFound, fmt::format("epoch record: the branch record of its stream {} is not held here", epoch.stream.short_hex()), ""};
      }
      out.object_name = format::epoch_name(database_, epoch_id);
      out.alarm = recipients_alarm(epoch);
      return out;
    }
    case RecordKind::kFact: {
      STELE_TRY(format::Fact fact, format::Fact::read(record));
      STELE_CHECK(check_database(record, fact.database));
      out.known = known_appended_.contains(id);
      if (!stored && !out.known) {
        STELE_TRY(const crypto::VerifyKey* key, current_key());
        STELE_CHECK(format::verify_record(record, *key));
      }
      out.object_name = format::fact_name(database_, id);
      return out;
    }
    default:
      return Error{ErrorCode::kProtocol, fmt::format("a record of kind \"{}\" is not put this way", format::record_kind_name(record.kind)), ""};
  }
}

Status TrustBook::add(const SignedRecord& record) {
  STELE_TRY(RecordVerdict verdict, judge_as(record, true));
  if (verdict.known) return {};
  if (record.kind == format::RecordKind::kDrill) {
    STELE_TRY(format::DrillRecord drill, format::DrillRecord::read(record));
    add_drill(record, std::move(drill));
    return {};
  }
  const Digest id = record.id();
  if (record.kind == format::RecordKind::kResealedKeys) {
    known_appended_.emplace(id, verdict.object_name);
    return {};
  }
  // judge_as has read each of these: what is read again cannot fail.
  switch (record.kind) {
    case RecordKind::kEnrolment: {
      STELE_TRY(format::Enrolment enrolment, format::Enrolment::read(record));
      STELE_TRY(const crypto::Suite* suite, crypto::find_suite(record.suite));
      STELE_TRY(crypto::VerifyKey key, crypto::VerifyKey::from(*suite, enrolment.agent_key));
      Enrolled enrolled{id, std::move(enrolment), std::move(key), std::nullopt};
      for (const auto& [withdrawal_id, withdrawal] : withdrawals_) {
        if (withdrawal.enrolment == id) enrolled.withdrawal = withdrawal;
      }
      enrolments_.emplace(id, std::move(enrolled));
      break;
    }
    case RecordKind::kWithdrawal: {
      STELE_TRY(format::Withdrawal withdrawal, format::Withdrawal::read(record));
      if (auto it = enrolments_.find(withdrawal.enrolment); it != enrolments_.end()) it->second.withdrawal = withdrawal;
      withdrawals_.emplace(id, std::move(withdrawal));
      break;
    }
    case RecordKind::kRecipientList: {
      STELE_TRY(format::RecipientList list, format::RecipientList::read(record));
      lists_.emplace(id, std::move(list));
      break;
    }
    case RecordKind::kBranch: {
      STELE_TRY(format::BranchRecord branch, format::BranchRecord::read(record));
      const StreamId stream = branch.stream();
      branches_.emplace(stream, std::move(branch));
      break;
    }
    case RecordKind::kEpoch: {
      STELE_TRY(format::EpochRecord epoch, format::EpochRecord::read(record));
      epochs_.emplace(format::epoch_id(record), Epoch{std::move(epoch), record.bytes});
      break;
    }
    default: {
      STELE_TRY(format::Fact fact, format::Fact::read(record));
      known_appended_.emplace(id, verdict.object_name);
      facts_.push_back(std::move(fact));
      break;
    }
  }
  return {};
}

bool TrustBook::holds_fact(const format::Fact& fact) const {
  return std::any_of(facts_.begin(), facts_.end(), [&](const format::Fact& held) {
    return held.kind == fact.kind && held.stream == fact.stream && held.begin == fact.begin && held.end == fact.end && held.note == fact.note;
  });
}

void TrustBook::add_drill(const SignedRecord& record, format::DrillRecord drill) {
  auto held = std::make_shared<const HeldDrill>(HeldDrill{record.id(), std::move(drill), record.signer});
  auto later = [](const auto& a, const auto& b) { return a->record.finished < b->record.finished; };
  drills_.insert(std::upper_bound(drills_.begin(), drills_.end(), held, later), held);
  if (drills_.size() > kMostDrills) drills_.erase(drills_.begin());
}

Result<const crypto::VerifyKey*> TrustBook::key_for_stored(const EpochId& epoch) const {
  auto it = epochs_.find(epoch);
  if (it == epochs_.end()) {
    return Error{ErrorCode::kNotFound, fmt::format("{}: epoch {} is not held here", database_.to_string(), epoch.short_hex()), "the agent puts the epoch record first"};
  }
  auto enrolled = enrolments_.find(it->second.record.enrolment);
  if (enrolled == enrolments_.end()) return unauthorised(fmt::format("epoch {}: its enrolment is not held here", epoch.short_hex()), "");
  return &enrolled->second.key;
}

Status TrustBook::check_epoch(const EpochId& epoch, const StreamId& stream) const {
  STELE_TRY([[maybe_unused]] const crypto::VerifyKey* key, key_for_stored(epoch));
  if (epochs_.at(epoch).record.stream != stream) return unauthorised(fmt::format("epoch {} belongs to another stream", epoch.short_hex()), "");
  return {};
}

Result<const crypto::VerifyKey*> TrustBook::key_for_writing(const format::FrameHeader& frame) const {
  STELE_CHECK(check_epoch(frame.epoch, frame.stream));
  STELE_TRY(const crypto::VerifyKey* key, key_for_stored(frame.epoch));
  const Enrolled& enrolled = enrolments_.at(epochs_.at(frame.epoch).record.enrolment);
  if (enrolled.withdrawal) {
    const format::Withdrawal& w = *enrolled.withdrawal;
    if (w.stream == frame.stream && frame.end <= w.not_after) return key;
    return unauthorised(fmt::format("{}: the enrolment {} is withdrawn", database_.to_string(), enrolled.id.short_hex()), std::string(kEnrolHint));
  }
  STELE_TRY(const Enrolled* newest, current());
  if (newest != &enrolled) return unauthorised(fmt::format("{}: the enrolment {} was replaced by a newer one", database_.to_string(), enrolled.id.short_hex()), "");
  return key;
}

const Bytes* TrustBook::epoch_record(const EpochId& epoch) const {
  auto it = epochs_.find(epoch);
  return it == epochs_.end() ? nullptr : &it->second.bytes;
}

const format::BranchRecord* TrustBook::branch(const StreamId& stream) const {
  auto it = branches_.find(stream);
  return it == branches_.end() ? nullptr : &it->second;
}

std::vector<const format::BranchRecord*> TrustBook::branches() const {
  std::vector<const format::BranchRecord*> out;
  for (const auto& [stream, branch] : branches_) out.push_back(&branch);
  return out;
}

std::uint32_t TrustBook::highest_timeline() const {
  std::uint32_t highest = 0;
  for (const auto& [stream, branch] : branches_) {
    highest = std::max(highest, branch.timeline);
    for (const format::TimelineSwitch& earlier : branch.history) highest = std::max(highest, earlier.timeline);
  }
  return highest;
}

}  // namespace stele::receiver
