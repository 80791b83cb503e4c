#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "receiver/status/kept_history.h"

namespace stele::receiver {

/// Something that was wrong for a while.
struct Incident {
  std::string code;
  Level level = Level::kWarning;
  Timestamp began;
  std::optional<Timestamp> ended;  ///< nothing: nobody saw its end (it lasts, or the receiver stopped in between)
};

/// How one database fared over a period. Only what was seen or lies in the store; what is not known is absent, never zero.
struct DatabaseAssessment {
  DatabaseName name;
  std::string title;
  std::uint64_t period_seconds = 0;
  std::uint64_t observed_seconds = 0;      ///< watched by this receiver
  std::uint64_t judged_seconds = 0;        ///< of these with a target for the recovery point
  std::uint64_t within_seconds = 0;        ///< of the judged ones within the target
  std::uint64_t unrestorable_seconds = 0;  ///< of the observed ones
  std::optional<double> rpo_max_seconds, rpo_target_seconds;  ///< the strictest target of the period
  std::uint64_t window_judged_hours = 0, window_held_hours = 0;
  std::optional<double> window_min_seconds, window_target_seconds;
  std::size_t snapshots = 0, snapshots_bad = 0;               ///< finished in the period; of these unusable or with damaged pages
  std::optional<double> snapshot_longest_seconds;             ///< longest time without a finished snapshot, where the period shows one
  std::optional<double> snapshot_target_seconds;
  std::optional<bool> snapshots_on_time;
  struct Drill {
    Timestamp finished;
    std::string outcome;  ///< "passed", "failed", "did_not_run"
    std::string host, note;
    std::optional<double> rto_seconds, rto_target_seconds, rpo_seconds, rpo_target_seconds;
    bool over_target() const {
      return (rto_seconds && rto_target_seconds && *rto_seconds > *rto_target_seconds) || (rpo_seconds && rpo_target_seconds && *rpo_seconds > *rpo_target_seconds);
    }
  };
  std::vector<Drill> drills;                                  ///< of the period, by signed records, oldest first
  std::size_t drills_passed = 0, drills_failed = 0;           ///< the others did not run
  std::size_t gaps = 0;                                       ///< holes in the kept log that touch the period
  std::vector<Incident> incidents;                            ///< oldest first
  struct Entry {
    Timestamp time;
    std::string kind, note;
  };
  std::vector<Entry> ledger;                                  ///< the signed facts of the period

  /// Shares from 0 to 1; nothing where there is nothing to judge.
  std::optional<double> rpo_kept() const;
  std::optional<double> window_kept() const;
  double seen() const { return period_seconds == 0 ? 0 : static_cast<double>(observed_seconds) / static_cast<double>(period_seconds); }
};

struct Assessment {
  std::string receiver;
  Timestamp from, to, made;
  std::vector<DatabaseAssessment> databases;  ///< by name
};

/// `status`: the object of `status --json`; rows and lines: the kept history, in any order, also of other times. Hours count whole, by their
/// begin. `to` is not after `made`. Pure. kProtocol when `status` lacks what it must have.
Result<Assessment> assess(const nlohmann::json& status, const std::vector<HourRow>& hours, const std::vector<IncidentRow>& incidents, Timestamp from, Timestamp to,
                          Timestamp made);

/// One page that needs nothing else, in Chinese and English.
std::string assessment_html(const Assessment& assessment);
/// One line a database (UTF-8 with a mark, for spreadsheets), and one line an incident.
std::string assessment_csv(const Assessment& assessment);
std::string incidents_csv(const Assessment& assessment);

/// What a reason's code means, without its numbers: {English, Chinese}; the code itself for one that is not known.
std::pair<std::string, std::string> reason_name(const std::string& code);

}  // namespace stele::receiver
