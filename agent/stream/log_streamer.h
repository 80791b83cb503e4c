#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "agent/log/agent_keys.h"
#include "agent/log/log_encoder.h"
#include "agent/postgres/server_info.h"
#include "agent/postgres/wal_stream.h"
#include "agent/spool/ack_policy.h"
#include "agent/spool/agent_state.h"
#include "agent/spool/frame_spool.h"
#include "agent/stream/receiver_claims.h"
#include "agent/stream/recovery_point.h"
#include "agent/stream/slot_watch.h"
#include "agent/stream/standby_slots.h"
#include "core/format/fact.h"

namespace stele::agent {

/// The stream as it stands, for status, metrics and snapshots. A copy.
struct LogStatus {
  bool streaming = false;
  std::string host;
  StreamId stream;
  std::uint32_t timeline = 0;
  std::uint64_t system_identifier = 0;
  std::uint64_t segment_size = 0;
  int server_version = 0;
  EpochId epoch;
  Timestamp epoch_created;
  Position stream_begin;      ///< first position of the stream
  Position sealed_end;        ///< end of the last frame
  Position server_end;        ///< the server's end of log as last heard
  Timestamp server_time;      ///< its clock then
  Duration clock_difference{};  ///< that minus ours
  Position confirmed;         ///< reported to PostgreSQL
  Timestamp last_commit;      ///< newest commit that was sealed
  bool degraded = false;
  bool spool_full = false;
  bool released = false;      ///< and the slot goes forward without us
  std::uint64_t frames = 0, raw_bytes = 0, sealed_bytes = 0;
  std::uint64_t gaps = 0, forks = 0, abandoned = 0;
  std::optional<SlotState> slot;  ///< on the primary; nothing: it cannot be asked
  std::map<std::string, std::uint64_t> reconnects;  ///< by reason
  std::string last_error;
};

/// What a snapshot needs of the stream. Shared secrets stay in locked memory.
struct StreamContext {
  StreamId stream;
  Generation generation;
  EpochId epoch;
  format::SignedRecord branch_record, epoch_record;
  std::shared_ptr<const format::EpochSecrets> secrets;
  Position log_begin;             ///< first position of the stream
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
};

/// Follows PostgreSQL's change log on its own thread: finds the primary, decides the branch, streams, seals, spools, confirms. It never
/// stops by itself: every failure is counted, told and tried again (ReconnectPolicy), except where stop() was called.
class LogStreamer {
 public:
  struct Options {
    DatabaseName database;
    std::vector<ServerAddress> hosts;
    std::string slot;
    std::string application_name;
    int wal_sender_timeout_ms = 4000;
    LogEncoderOptions encoding;  ///< sizes and compression; identities are filled here
    Duration frame_delay{};
    Duration as_of_interval{};
    Duration epoch_max_age{};
    std::uint64_t epoch_max_bytes = 0;
    std::optional<Duration> release_after;  ///< the spool full for so long: the slot goes forward (on_full = "release"); none: it holds
  };
  struct Hooks {
    std::function<void(std::string reason)> need_snapshot;  ///< a new branch, a fork or a gap: the log alone cannot be restored
    std::function<void(const pg::WalRecord&)> on_record;      ///< every record of the log, in order; the log thread's
    std::function<void()> on_branch;                          ///< another branch begins; what on_record told belongs to the old one
  };

  LogStreamer(Options options, const AgentKeys& keys, AgentState& state, FrameSpool& spool, AckPolicy::Options policy, Clock& clock,
              RandomSource& random, Hooks hooks);
  ~LogStreamer();

  /// What the receiver said at this start; before start(). Without a spool (mode "none", or it was lost) the log goes on from there; for a
  /// receiver that did not answer, the state's own note counts then.
  void receiver_holds(const std::string& receiver, std::vector<HeldLog> held);

  /// Starts the thread. `generation` was made durable before.
  Status start(Generation generation);
  /// Seals what is there, ends the thread. Idempotent.
  void stop();

  /// From the spool and the uplinks; any thread.
  void on_spool_durable(const SpoolEntry& last);
  void on_spool_failure(const Error& error);
  /// The receiver holds what this process sent, up to there.
  void on_receiver_durable(const std::string& receiver, const StreamId& stream, Position end);
  /// The receiver says that it holds what this process did not send: it counts once the server's log was compared with it.
  void on_receiver_claims(const std::string& receiver, const HeldLog& held);
  /// The receiver refuses the stream because it holds another log of it. True: the stream is given up, or will be; its frames need not go
  /// there. False: this process began it, so the receiver is wrong.
  bool on_receiver_fork(const std::string& receiver, const StreamId& stream);
  /// A receiver that does not count for the quorum until a snapshot that starts at `from` or later, and begins after this, is committed there.
  struct Lack {
    LackingLog log;
    std::uint64_t number = 0;  ///< which of them, in this process
  };
  /// The receiver lacks log of the stream before `from`, or lost what it held. True: that is new, save_lacking() makes it durable for a
  /// later start.
  bool receiver_lacks(const std::string& receiver, const StreamId& stream, Position from, bool lost);
  std::map<std::string, Lack> lacking() const;
  void save_lacking();  ///< waits for the disk
  /// A snapshot was committed at the receiver; `when_it_began` is what lacking() said when it began.
  void snapshot_committed(const std::string& receiver, const StreamId& stream, Position start, const std::map<std::string, Lack>& when_it_began);
  /// Puts a fact about the current stream into the ledger.
  Status record_fact(format::FactKind kind, const StreamId& stream, PositionRange range, std::uint64_t value, std::string note);

  LogStatus status() const;
  /// Up to which moment everything is at or before this position of the current stream (RecoveryPoint).
  Timestamp reached(Position end) const;
  /// Nothing before the first branch is begun.
  std::optional<StreamContext> context() const;

 private:
  struct Branch;
  void run();
  void pause_until(Instant until);
  Status connect_and_stream();
  Result<PgConnection> connect_primary();
  Result<ServerAddress> primary_address() const;
  Result<ServerFacts> read_facts(PgConnection& connection, ServerInfo& info);
  Status choose_branch(PgConnection& connection, const ServerFacts& facts, const ServerInfo& info);
  Status begin_branch(const BranchDecision& decision, const ServerFacts& facts, const ServerInfo& info, Position begin);
  Status resume_without_spool(PgConnection& connection, const ServerFacts& facts, KnownBranch& branch);
  Result<std::optional<std::string>> compare_claims(const BranchDecision& decision, const KnownBranch& current, const ServerFacts& facts);
  Result<JoinTag> server_tag(const format::BranchRecord& branch, std::uint32_t timeline, Position end);
  void count_claims_locked();
  void begin_stream_locked();
  static void expect_parents_join(Branch& branch, const std::vector<KnownBranch>& known);
  Status check_old_branch_is_safe();
  Status record_before_acting(format::FactKind kind, const StreamId& stream, PositionRange range, std::uint64_t value, std::string note);
  Result<Position> slot_begin(const PgConnection& connection, const ServerFacts& facts);
  Status renew_epoch();
  Status stream_branch(PgConnection connection);
  Status pump_events(WalStream& stream);
  bool epoch_is_over() const;
  Status change_epoch();
  Result<bool> note_transition(Position confirmed);
  Status take_data(const WalData& data);
  Status flush_if_due(bool drained);
  Status push(std::vector<format::Frame> frames);
  Status drain_blocked(WalStream& stream);
  bool full_for_too_long();
  void release_slot();
  Status advance_released_slot();
  Status note_gap(const Error& why);
  void tell(const std::function<void(LogStatus&)>& change);

  const Options options_;
  const AgentKeys& keys_;
  AgentState& state_;
  FrameSpool& spool_;
  Clock& clock_;
  RandomSource& random_;
  Hooks hooks_;
  std::shared_ptr<Interrupt> interrupt_;
  std::thread thread_;
  Generation generation_;

  // The thread's.
  std::unique_ptr<Branch> branch_;
  std::unique_ptr<LogEncoder> encoder_;
  std::vector<format::Frame> blocked_;  ///< sealed, and the spool was full
  std::optional<std::pair<Instant, std::uint64_t>> full_since_;  ///< and the spool's first sequence then
  bool releasing_ = false;  ///< release_slot() is next
  bool released_ = false;   ///< the state says so; nothing came from the server since
  std::optional<Instant> pending_since_;
  Instant last_frame_at_{};
  Instant epoch_retry_at_{};
  std::optional<std::string> wanted_snapshot_;  ///< why; told once the branch has an epoch
  bool force_fork_ = false;
  bool skip_overlap_ = false;  ///< the segment before a boundary is gone: no overlap check this time
  bool server_stops_ = false;
  std::optional<bool> transition_;  ///< degraded or back, not durable in the ledger yet
  bool transition_told_ = false;    ///< to the ledger
  std::map<std::string, std::vector<HeldLog>> held_;
  std::optional<format::Fact> recorded_;  ///< the last one of record_before_acting
  bool told_spool_lost_ = false;
  ReconnectPolicy reconnect_;
  std::unique_ptr<StandbySlots> standby_slots_;
  std::unique_ptr<SlotWatch> slot_watch_;
  std::string primary_label_;

  mutable std::mutex mutex_;
  AckPolicy policy_;
  ReceiverClaims claims_;
  bool claims_told_ = false;  ///< there are some to be compared: at the next connection
  std::string fork_told_;     ///< the receiver that holds another log of the current stream
  std::map<std::string, Lack> lacking_;
  std::uint64_t last_lack_ = 0;
  LogStatus status_;
  mutable RecoveryPoint recovery_point_;
  std::optional<StreamContext> context_;
  std::atomic<bool> spool_failed_{false};
  std::atomic<bool> waits_for_spool_{false};  ///< the thread has something to do when the spool's batch is through
};

}  // namespace stele::agent
