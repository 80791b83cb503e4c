#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agent/log/branch_decision.h"
#include "core/format/epoch.h"
#include "core/io/durable_file.h"

namespace stele::agent {

/// What a receiver last acknowledged: kept so that one that comes back with less is noticed (TRUST section 3).
struct ReceiverMark {
  StreamId stream;
  Position end;
  Digest head;
  auto operator<=>(const ReceiverMark&) const = default;
};

/// Where a branch stands; the branch records themselves are files of their own.
struct BranchMark {
  StreamId stream;
  Position end;
  JoinTag join;
  bool has_join = false;
};

/// The slot was let go forward at the end of this stream, because the spool was full: log behind `end` may be lost.
struct ReleasedLog {
  StreamId stream;
  Position end;
};

/// A receiver that lacks an earlier part of this stream, or lost what it held: it is whole again once a snapshot that starts at `from` or
/// later is committed there.
struct LackingLog {
  StreamId stream;
  Position from;
  bool operator==(const LackingLog&) const = default;
};

/// The agent's small durable facts: DIRECTORY/agent.state, replaced as a whole (layout: STATE.md beside this file).
struct AgentFacts {
  Generation generation;              ///< used last
  Digest enrolment;                   ///< under which the current branch was begun
  std::optional<StreamId> current;    ///< the branch streamed last
  std::uint64_t next_fact_serial = 1;
  std::vector<BranchMark> branches;
  std::map<std::string, ReceiverMark> receivers;
  std::map<std::string, LackingLog> lacking;  ///< receivers that do not count for the quorum
  std::optional<ReleasedLog> released;  ///< written before the slot moves, until the log goes on or the gap is in the ledger

  Bytes encode() const;
  static Result<AgentFacts> decode(ByteView bytes);
};

/// The state directory. One owner process (the program locks the directory above it); thread-safe within it. Calls block on the disk; records that were
/// read or written once come from memory.
class AgentState {
 public:
  /// Creates the directory when missing; then `was_empty()`: a first start, or the state was lost.
  static Result<std::unique_ptr<AgentState>> open(io::FileSystem& fs, std::string directory);

  AgentFacts facts() const;
  bool was_empty() const { return was_empty_; }
  /// Changes the facts and makes them durable; on an error they are as before.
  Status update(const std::function<void(AgentFacts&)>& change);

  /// Branch and epoch records, durable before the first frame that needs them is sealed.
  Status put_branch(const format::SignedRecord& record, const StreamId& stream);
  Status put_epoch(const format::SignedRecord& record);
  Result<format::SignedRecord> read_branch(const StreamId& stream) const;
  Result<format::SignedRecord> read_epoch(const EpochId& epoch) const;
  /// Every branch of the facts with its record.
  Result<std::vector<KnownBranch>> known_branches() const;
  /// Removes epoch records that no spooled frame needs.
  Status keep_epochs(const std::vector<EpochId>& needed);

 private:
  AgentState(io::FileSystem& fs, std::string directory) : fs_(&fs), directory_(std::move(directory)) {}
  Status put_record(const std::string& name, const format::SignedRecord& record);
  Result<format::SignedRecord> read_record(const std::string& name, format::RecordKind kind) const;
  io::FileSystem* fs_;
  const std::string directory_;
  bool was_empty_ = true;
  std::mutex write_mutex_;  // one writer of files; taken before mutex_
  mutable std::mutex mutex_;
  AgentFacts facts_;
  mutable std::map<std::string, format::SignedRecord> records_;
};

}  // namespace stele::agent
