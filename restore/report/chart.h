#pragma once

#include <string>

#include "restore/report/history.h"
#include "restore/report/html.h"

namespace stele::restore {

/// Name of a phase for people.
std::string phase_title(Phase phase, Language language);

/// Inline SVG: how long each phase took, one bar below the other on one time axis.
std::string phases_chart(const DrillResult& result, Language language);
/// Inline SVG: RTO of the latest drills (at most twelve, this one last) against the target; empty when there is nothing to compare.
std::string history_chart(const DrillResult& result, const History& earlier, Language language);

}  // namespace stele::restore
