#pragma once

#include <map>
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

/// The agent's small durable facts: DIRECTORY/agent.state, replaced as a whole (layout: STATE.md beside this file).
struct AgentFacts {
  Generation generation;              ///< used last
  Digest enrolment;                   ///< under which the current branch was begun
  std::optional<StreamId> current;    ///< the branch streamed last
  std::uint64_t next_fact_serial = 1;
  std::vector<BranchMark> branches;
  std::map<std::string, ReceiverMark> receivers;

  Bytes encode() const;
  static Result<AgentFacts> decode(ByteView bytes);
};

/// The state directory. One owner (the spool's lock guards it). Calls block on the disk.
class AgentState {
 public:
  /// Creates the directory when missing; then `was_empty()`: a first start, or the state was lost.
  static Result<AgentState> open(io::FileSystem& fs, std::string directory);

  const AgentFacts& facts() const { return facts_; }
  bool was_empty() const { return was_empty_; }
  Status save(AgentFacts facts);

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
  Result<format::SignedRecord> read_record(const std::string& name, format::RecordKind kind) const;
  io::FileSystem* fs_;
  std::string directory_;
  AgentFacts facts_;
  bool was_empty_ = true;
};

}  // namespace stele::agent
