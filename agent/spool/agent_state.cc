#include "agent/spool/agent_state.h"

#include <fmt/format.h>

#include <set>

#include "core/crypto/hash.h"

namespace stele::agent {

namespace {

constexpr std::string_view kMagic = "STLs";
constexpr std::uint16_t kVersion = 3;  // 1: without what was released; 2: without the receivers that lack something
constexpr std::size_t kMaxBytes = 4 << 20, kMaxBranches = 4096, kMaxReceivers = 64;
constexpr std::string_view kStateFile = "agent.state";

std::string branch_file(const StreamId& stream) { return "branch-" + stream.hex() + ".rec"; }
std::string epoch_file(const EpochId& epoch) { return "epoch-" + epoch.hex() + ".rec"; }

}  // namespace

Bytes AgentFacts::encode() const {
  Bytes out;
  ByteWriter w(out);
  w.raw(kMagic);
  w.u16(kVersion);
  w.u64(generation.value);
  w.raw(enrolment.view());
  w.u8(current ? 1 : 0);
  w.raw(current.value_or(StreamId{}).view());
  w.u64(next_fact_serial);
  w.u32(static_cast<std::uint32_t>(branches.size()));
  for (const BranchMark& b : branches) {
    w.raw(b.stream.view());
    w.u64(b.end.value);
    w.u8(b.has_join ? 1 : 0);
    w.raw(b.join.view());
  }
  w.u32(static_cast<std::uint32_t>(receivers.size()));
  for (const auto& [name, mark] : receivers) {
    w.str16(name);
    w.raw(mark.stream.view());
    w.u64(mark.end.value);
    w.raw(mark.head.view());
  }
  w.u8(released ? 1 : 0);
  w.raw(released.value_or(ReleasedLog{}).stream.view());
  w.u64(released.value_or(ReleasedLog{}).end.value);
  w.u32(static_cast<std::uint32_t>(lacking.size()));
  for (const auto& [name, lack] : lacking) {
    w.str16(name);
    w.raw(lack.stream.view());
    w.u64(lack.from.value);
  }
  const Digest sum = crypto::sha256(out);
  w.raw(sum.view());
  return out;
}

Result<AgentFacts> AgentFacts::decode(ByteView bytes) {
  if (bytes.size() < Digest::kSize || crypto::sha256(bytes.first(bytes.size() - Digest::kSize)) !=
                                          *Digest::from(bytes.last(Digest::kSize))) {
    return Error{ErrorCode::kDamaged, "agent.state: differs from its hash",
                 "the disk damaged it; move the state directory away and the agent begins a new branch with a new snapshot"};
  }
  ByteReader r(bytes.first(bytes.size() - Digest::kSize));
  if (as_text(r.raw(kMagic.size())) != kMagic) return Error{ErrorCode::kDamaged, "agent.state: not a state file", ""};
  const std::uint16_t version = r.u16();
  if (version == 0 || version > kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("agent.state of version {}", version), "a newer agent wrote it"};
  }
  AgentFacts out;
  out.generation = {r.u64()};
  r.fixed(out.enrolment);
  const bool has_current = r.u8() != 0;
  StreamId current;
  r.fixed(current);
  if (has_current) out.current = current;
  out.next_fact_serial = r.u64();
  const std::size_t branches = r.u32();
  if (branches > kMaxBranches) return Error{ErrorCode::kDamaged, "agent.state: too many branches", ""};
  for (std::size_t i = 0; i < branches && !r.failed(); ++i) {
    BranchMark b;
    r.fixed(b.stream);
    b.end = {r.u64()};
    b.has_join = r.u8() != 0;
    r.fixed(b.join);
    out.branches.push_back(b);
  }
  const std::size_t receivers = r.u32();
  if (receivers > kMaxReceivers) return Error{ErrorCode::kDamaged, "agent.state: too many receivers", ""};
  for (std::size_t i = 0; i < receivers && !r.failed(); ++i) {
    std::string name = r.str16();
    ReceiverMark mark;
    r.fixed(mark.stream);
    mark.end = {r.u64()};
    r.fixed(mark.head);
    out.receivers[std::move(name)] = mark;
  }
  if (version >= 2) {
    const bool has_released = r.u8() != 0;
    ReleasedLog released;
    r.fixed(released.stream);
    released.end = {r.u64()};
    if (has_released) out.released = released;
  }
  if (version >= 3) {
    const std::size_t lacking = r.u32();
    if (lacking > kMaxReceivers) return Error{ErrorCode::kDamaged, "agent.state: too many receivers", ""};
    for (std::size_t i = 0; i < lacking && !r.failed(); ++i) {
      std::string name = r.str16();
      LackingLog lack;
      r.fixed(lack.stream);
      lack.from = {r.u64()};
      out.lacking[std::move(name)] = lack;
    }
  }
  STELE_CHECK(r.finish("agent.state"));
  return out;
}

Result<std::unique_ptr<AgentState>> AgentState::open(io::FileSystem& fs, std::string directory) {
  STELE_CHECK(io::make_directories_durably(fs, directory));
  std::unique_ptr<AgentState> out(new AgentState(fs, std::move(directory)));
  auto bytes = io::read_file(fs, fmt::format("{}/{}", out->directory_, kStateFile), kMaxBytes);
  if (!bytes.ok()) {
    if (bytes.error().code == ErrorCode::kNotFound) return out;
    return std::move(bytes).error();
  }
  STELE_TRY(out->facts_, AgentFacts::decode(*bytes));
  out->was_empty_ = false;
  return out;
}

AgentFacts AgentState::facts() const {
  std::lock_guard lock(mutex_);
  return facts_;
}

Status AgentState::update(const std::function<void(AgentFacts&)>& change) {
  std::lock_guard writing(write_mutex_);
  AgentFacts next = facts();
  change(next);
  STELE_CHECK(io::write_file_durably(*fs_, fmt::format("{}/{}", directory_, kStateFile), next.encode(), io::WriteMode::kReplace));
  std::lock_guard lock(mutex_);
  facts_ = std::move(next);
  return {};
}

Status AgentState::put_record(const std::string& name, const format::SignedRecord& record) {
  std::lock_guard writing(write_mutex_);
  STELE_CHECK(io::write_file_durably(*fs_, directory_ + "/" + name, record.bytes, io::WriteMode::kReplace));
  std::lock_guard lock(mutex_);
  records_.insert_or_assign(name, record);
  return {};
}

Status AgentState::put_branch(const format::SignedRecord& record, const StreamId& stream) { return put_record(branch_file(stream), record); }

Status AgentState::put_epoch(const format::SignedRecord& record) { return put_record(epoch_file(format::epoch_id(record)), record); }

Result<format::SignedRecord> AgentState::read_record(const std::string& name, format::RecordKind kind) const {
  {
    std::lock_guard lock(mutex_);
    if (auto found = records_.find(name); found != records_.end()) return found->second;
  }
  const std::string path = directory_ + "/" + name;
  STELE_TRY(Bytes bytes, io::read_file(*fs_, path, format::kMaxRecordBytes));
  auto record = format::parse_record(bytes, kind);
  if (!record.ok()) return record.error().in(path);
  std::lock_guard lock(mutex_);
  records_.insert_or_assign(name, *record);
  return record;
}

Result<format::SignedRecord> AgentState::read_branch(const StreamId& stream) const {
  return read_record(branch_file(stream), format::RecordKind::kBranch);
}

Result<format::SignedRecord> AgentState::read_epoch(const EpochId& epoch) const {
  return read_record(epoch_file(epoch), format::RecordKind::kEpoch);
}

Result<std::vector<KnownBranch>> AgentState::known_branches() const {
  std::vector<KnownBranch> out;
  for (const BranchMark& mark : facts().branches) {
    STELE_TRY(format::SignedRecord record, read_branch(mark.stream));
    KnownBranch branch;
    STELE_TRY(branch.record, format::BranchRecord::read(record));
    branch.end = mark.end;
    if (mark.has_join) branch.join = mark.join;
    out.push_back(std::move(branch));
  }
  return out;
}

Status AgentState::keep_epochs(const std::vector<EpochId>& needed) {
  std::set<std::string> keep;
  for (const EpochId& epoch : needed) keep.insert(epoch_file(epoch));
  STELE_TRY(std::vector<io::DirectoryEntry> entries, fs_->list_directory(directory_));
  for (const io::DirectoryEntry& entry : entries) {
    if (!entry.name.starts_with("epoch-") || keep.contains(entry.name)) continue;
    STELE_CHECK(fs_->unlink(directory_ + "/" + entry.name));
    std::lock_guard lock(mutex_);
    records_.erase(entry.name);
  }
  return {};
}

}  // namespace stele::agent
