#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "receiver/ingest/keeper.h"

namespace stele::receiver {

/// Everything `status` shows, as one JSON object: the running program serves it, the command prints it.
nlohmann::json make_status(Keeper& keeper, Catalog& catalog, const std::string& receiver, Timestamp now,
                           const std::function<bool(const DatabaseName&)>& connected);
/// The same for people.
std::string status_table(const nlohmann::json& status);

/// GET on a loopback address ("127.0.0.1:9552"); kUnreachable when nobody answers. Blocking.
Result<std::string> http_get(const std::string& address, const std::string& path);

}  // namespace stele::receiver
