#pragma once

#include <optional>
#include <string>

#include "core/base/identity.h"
#include "restore/postgres/installation.h"

namespace stele::restore {

/// Where a running standby is.
struct StandbyState {
  bool in_recovery = true;
  Position replayed;
  std::optional<Timestamp> last_transaction;
};

/// Asks a server that was started as its configuration says, with psql run as its own system user, whom its rules let in (`peer`). The socket and
/// port come from its postmaster.pid.
class StandbyQuestions {
 public:
  /// `bin_directory` and `user` as in the configuration; both may be empty. kUnsupported without PostgreSQL of this version.
  static Result<StandbyQuestions> open(const std::string& bin_directory, const std::string& user, const std::string& data_directory, std::string role);
  /// kClosed when it does not run; kDatabase with psql's words when it refuses.
  Result<StandbyState> ask() const;
  /// Promotes it and waits until it takes writes. Gives the timeline it is on then.
  Result<std::uint32_t> promote(Duration patience) const;

 private:
  Result<std::string> query(const std::string& sql, Duration patience) const;
  Installation installation_;
  OsUser user_;
  std::string data_directory_, role_;
};

}  // namespace stele::restore
