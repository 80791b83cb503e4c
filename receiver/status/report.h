#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/config/terminal.h"
#include "receiver/status/fleet.h"

namespace stele::receiver {

/// One database as JSON: everything that is known of it (README.md of receiver/page lists the keys).
nlohmann::json database_json(const DatabaseStatus& database);
nlohmann::json receiver_json(const ReceiverStatus& receiver);
nlohmann::json reasons_json(const std::vector<Reason>& reasons);
nlohmann::json time_or_null(Timestamp t);
/// Everything `status --json` shows, as one object: the running program serves it, the command prints it.
nlohmann::json status_json(const FleetStatus& fleet);

/// The same for people, problems first. `rows`: of the screen; what is well is then cut and counted. 0: everything. `language` of the reasons:
/// "en" or "zh".
std::string status_screen(const nlohmann::json& status, const cli::Painter& paint, std::size_t rows, std::string_view language = "en");

/// GET on a loopback address ("127.0.0.1:9552"); kUnreachable when nobody answers. Blocking.
Result<std::string> http_get(const std::string& address, const std::string& path);

}  // namespace stele::receiver
