#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/identity.h"
#include "core/base/reason.h"
#include "core/format/fact.h"
#include "core/format/status.h"
#include "core/recovery/windows.h"
#include "receiver/status/drills.h"

namespace stele::receiver {

/// What an agent says of itself in its signed status message; nothing where it does not say it.
struct AgentWords {
  Timestamp sent, received;  ///< the agent's clock, the receiver's
  std::optional<double> lag_bytes, spool_disk_bytes, spool_limit_bytes, snapshot_failures;
  std::optional<double> receivers_configured, receivers_connected, quorum;
  std::optional<double> rpo_target, rto_target, snapshot_interval_target, window_target, drill_interval_target;  ///< seconds
  Timestamp certificate_not_after, last_snapshot;
  bool streaming = false, degraded = false, spool_full = false, slot_released = false, snapshot_running = false;
  std::string version, server_version, ack;
};
AgentWords agent_words(const format::StatusMessage& message, Timestamp received);

/// A stream as it is held now.
struct StreamFacts {
  StreamId stream;
  std::uint32_t timeline = 0;
  std::uint64_t lineage = 0;
  Generation generation;
  Position contiguous_from, acknowledged, in_store;
  Timestamp last_as_of;
  std::vector<PositionRange> ranges;
  Timestamp branch_created;  ///< none: its record is not held
  bool branched_off = false; ///< it left another branch
};

/// Everything the receiver can say of one database. Plain facts; judge() adds the reasons.
struct DatabaseStatus {
  DatabaseName name;
  std::string title;  ///< what people call the site; may be empty
  bool connected = false;
  Generation highest_generation;
  std::size_t enrolments = 0, withdrawals = 0, epochs = 0, open_runs = 0, snapshots_held = 0;
  std::uint64_t journal_bytes = 0;
  std::vector<StreamFacts> streams;  ///< newest first
  /// By core/recovery, its open ends moved to what is acknowledged now. Null until the catalog was read the first time.
  std::shared_ptr<const recovery::Survey> survey;
  std::vector<recovery::Window> windows;
  Timestamp recoverable_from, recoverable_to;  ///< of the window that ends last on the current branch, else of any; none: nothing can be restored
  bool current_branch_recoverable = false;     ///< it is the current branch's, and no gap lies behind its end
  std::optional<AgentWords> agent;
  std::optional<double> rpo_seconds;           ///< none: nothing can be restored
  std::shared_ptr<const DrillLog> drills;      ///< null until they were looked at the first time
  std::optional<DrillFacts> drill;             ///< the last one
  Timestamp drill_passed;                      ///< when the last one that passed ended
  std::vector<format::Fact> facts;
  std::vector<std::pair<Timestamp, std::string>> notices;
  Timestamp last_damage;
  std::uint64_t site_stored_bytes = 0, site_limit_bytes = 0;  ///< of the whole site; limit 0: none
  std::string catalog_error;

  std::vector<Reason> reasons;  ///< worst first
  Level level = Level::kOk;
  std::string full_name() const { return name.to_string(); }
};

/// The receiver itself.
struct ReceiverStatus {
  std::string name, version;
  Timestamp now, started;
  std::uint64_t store_free_bytes = 0, store_reserve_bytes = 0, stored_bytes = 0, journal_live_bytes = 0, journal_limit_bytes = 0, damages = 0;
  bool journal_failed = false;
  std::optional<double> growth_bytes_per_second;  ///< of the store, over the last day at most; none: not watched long enough
  std::optional<double> full_in_seconds;          ///< until the reserve is reached at that pace; none: not growing, or not known
  Timestamp certificate_not_after, ca_not_after, crl_next_update;

  std::vector<Reason> reasons;
  Level level = Level::kOk;
};

struct FleetStatus {
  ReceiverStatus receiver;
  std::vector<DatabaseStatus> databases;  ///< by name
  Level level() const;
};

/// The recovery point: how much time would be lost if the source were destroyed at `now`. The distance to the newest moment that can be
/// restored; zero where the agent says that it is fresh, streaming and has nothing that is not here (an idle source sends an as-of every 10 s).
std::optional<double> recovery_point_seconds(const DatabaseStatus& database, Timestamp now);

/// Moves the open ends of the survey's windows to what is acknowledged now, and picks the window that counts.
void apply_survey(DatabaseStatus& database, std::shared_ptr<const recovery::Survey> survey);

/// Picks the last drill.
void apply_drills(DatabaseStatus& database, std::shared_ptr<const DrillLog> drills, Timestamp now);

/// Fills rpo, reasons and level. `now`: the receiver's clock.
void judge(DatabaseStatus& database, Timestamp now);
void judge(ReceiverStatus& receiver);

}  // namespace stele::receiver
