#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/format/drill_record.h"

namespace stele::receiver {

struct HeldDrill;

/// A drill, as its signed record says. Seconds are absent where nothing was measured or no target was set.
struct DrillFacts {
  Timestamp started, finished;  ///< the restore host's clock
  format::DrillOutcomeKind outcome = format::DrillOutcomeKind::kDidNotRun;
  std::optional<double> rto_seconds, rpo_seconds, rto_target_seconds, rpo_target_seconds;
  std::uint32_t checks_passed = 0, checks_failed = 0, checks_skipped = 0;
  std::string note;  ///< why it failed; a foreign text
  std::string host;  ///< its label in the configuration, else the first 12 digits of its public key
  bool passed() const { return outcome == format::DrillOutcomeKind::kPassed; }
};

/// Restore hosts whose drills count: public key -> label.
using RestoreHosts = std::map<Bytes, std::string>;

/// The drills of one database that count.
struct DrillLog {
  std::vector<DrillFacts> drills;  ///< oldest first
  /// The newest one that does not, because its host is not listed; none: there is none.
  Timestamp unlisted;
  std::string unlisted_host;
};

/// `held`: records whose own signature was verified when they came. `hosts` empty: every host counts, for an operator of the site brought
/// its records. Pure.
DrillLog drill_log(std::span<const std::shared_ptr<const HeldDrill>> held, const RestoreHosts& hosts);

/// The newest drill that had ended at `now`, a minute for clocks allowed; nullptr when there is none.
const DrillFacts* last_drill(const DrillLog& log, Timestamp now);
/// The same of those that passed.
const DrillFacts* last_passed_drill(const DrillLog& log, Timestamp now);

}  // namespace stele::receiver
