#pragma once

#include <string>

#include "receiver/status/fleet_watch.h"

namespace stele::receiver {

/// What the page asks for (README.md lists the keys). Times are seconds since 1970, and nothing in them changes by itself with the clock: an
/// unchanged fleet is the same bytes again, and the browser gets a 304.

/// Every database in short. `site`: "*" or the only one that may be seen.
std::string page_fleet(const FleetStatus& fleet, std::uint64_t version, std::string_view site);
/// Every database's time line and its recovery point of the last six hours.
std::string page_lines(FleetWatch& watch, const FleetStatus& fleet, std::string_view site);
/// One database in full, its recovery point of the last day, and its incidents.
std::string page_database(FleetWatch& watch, const DatabaseStatus& database, Timestamp now);

}  // namespace stele::receiver
