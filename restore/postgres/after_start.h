#pragma once

#include <optional>
#include <string>

#include "restore/postgres/recovery_setup.h"
#include "restore/postgres/server_process.h"

namespace stele::restore {

/// Where the plan says the cluster must have ended.
struct ExpectedEnd {
  std::uint64_t system_identifier = 0;        ///< 0: not compared
  pg::TimelineId recovered_timeline = 0;      ///< whose log was replayed last; 0: not compared
  std::optional<Position> replayed_at_least;  ///< the end of the last record that must have been replayed
  std::optional<Position> replayed_at_most;   ///< nothing behind it may be there
  RecoveryTarget target;                      ///< none: recovery ends with the log
  bool paused = false;                        ///< recovery_target_action = pause
};

/// Where it did end.
struct RecoveredState {
  std::uint64_t system_identifier = 0;
  pg::TimelineId timeline = 0;            ///< the timeline the server is on now
  pg::TimelineId recovered_timeline = 0;  ///< whose log was replayed last
  bool in_recovery = false;
  Position replayed;                          ///< end of the last replayed record
  std::optional<Timestamp> last_transaction;  ///< commit or abort time of the last replayed transaction
  std::string stopping;                       ///< PostgreSQL's words for where it stopped; empty: at the end of the log
  std::string server_version;                 ///< "15.20 (Debian 15.20-0+deb12u1)"
};

/// Compares; pure. kDatabase (kGap for a recovery that ended short) naming what differs.
Status check_end(const RecoveredState& state, const ExpectedEnd& expected);

/// Asks a privately started server where it ended, through SQL and its log.
Result<RecoveredState> ask_where_it_ended(ServerProcess& server, Instant deadline);
/// The same, compared.
Result<RecoveredState> check_after_start(ServerProcess& server, const ExpectedEnd& expected, Instant deadline);

}  // namespace stele::restore
