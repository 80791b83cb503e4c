#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/config/receiver_config.h"

namespace stele::receiver {

struct ReportRequest {
  std::string directory;  ///< where the files go; made when it is not there
  std::string from, to;   ///< a day ("2026-11-01", midnight of this host) or a moment; "": 30 days before `to`, and now
};

/// `status --report`: writes assessment.html, assessment.csv and incidents.csv from the running receiver's status and the history it kept.
/// Gives the files. kUsage for a period that is none.
Result<std::vector<std::string>> write_report(const config::ReceiverConfig& config, const nlohmann::json& status, const ReportRequest& request, Timestamp now);

}  // namespace stele::receiver
