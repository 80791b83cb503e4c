#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "receiver/status/fleet.h"
#include "receiver/status/kept_history.h"
#include "receiver/status/rpo_history.h"

namespace stele::receiver {

class Keeper;
class Catalog;
struct Database;

/// Turns what the receiver holds into the facts that page, status, JSON and report share, and remembers how they were.
///
/// status() is cheap: memory only. Reading the catalog is tick()'s, which one background thread calls about once a second: it reads a database
/// again when its shape has changed (a snapshot, a branch, a gap, a fact, a drill), at most one twentieth of its time. Thread-safe.
class FleetWatch {
 public:
  struct Options {
    std::string receiver;
    Timestamp started;
    std::uint64_t disk_reserve = 0;
    std::map<std::string, std::string> titles;          ///< of sites
    std::map<std::string, std::uint64_t> limits;        ///< stored bytes a site may have
    int survey_share = 20;                              ///< reading catalogs takes at most one part in so many of tick()'s time; 0: whatever it takes
    RestoreHosts restore_hosts;                         ///< whose drills count; none: every one's
    std::string history_directory;                      ///< "": nothing is kept over a restart
    std::function<bool(const DatabaseName&)> connected;
    std::function<void(ReceiverStatus&)> tls_dates;     ///< fills the certificate dates; may be empty
  };
  FleetWatch(Keeper& keeper, Catalog& catalog, Options options);

  /// Reads what was kept. Says what could not be read; the watch then begins anew.
  Status load(Timestamp now);
  /// Blocks on the catalog and on the history's files.
  Status tick(Timestamp now);
  /// Writes what is to survive a restart.
  Status save(Timestamp now);

  FleetStatus status(Timestamp now);
  std::optional<DatabaseStatus> status_of(const DatabaseName& name, Timestamp now);
  std::vector<RpoHistory::Point> rpo_series(const DatabaseName& name, Timestamp from, Timestamp now, std::size_t points);
  /// Since when each of the database's reasons lasts, by code; at most half a minute late.
  std::map<std::string, Timestamp> open_reasons(const DatabaseName& name);
  /// Changes with every change of a survey: windows, snapshots, gaps, branches, drills.
  std::uint64_t version();

 private:
  struct Shape {
    std::size_t streams = 0, ranges = 0, snapshots = 0, facts = 0, branches = 0, drills = 0;
    bool operator==(const Shape&) const = default;
  };
  struct Held {
    Shape shape;
    std::shared_ptr<const recovery::Survey> survey;
    std::shared_ptr<const DrillLog> drills;
    std::string error;
    Timestamp surveyed;
  };
  DatabaseStatus facts_now(Database& database);
  Status survey(Database& database, Timestamp now);
  Status survey_changed(Timestamp now);
  Status sample(Timestamp now);

  Keeper& keeper_;
  Catalog& catalog_;
  Options options_;
  std::mutex mutex_;  ///< short; guards everything below
  std::map<DatabaseName, Held> held_;
  std::uint64_t version_ = 1;
  RpoHistory rpo_;
  KeptHistory kept_;
  std::vector<std::pair<Timestamp, std::uint64_t>> stored_;  ///< of the last day, one each ten minutes
  Timestamp last_sample_, last_save_;
  Instant next_survey_{};
};

}  // namespace stele::receiver
