#pragma once

#include <string>

#include "agent/program/agent_program.h"
#include "core/base/reason.h"
#include "core/config/terminal.h"
#include "core/format/status.h"

namespace stele::agent {

/// What receivers keep and export for this site.
format::StatusMessage status_message(const AgentView& view, const config::AgentConfig& config);

/// What is not as it should be, worst first; empty: all is well.
std::vector<Reason> reasons(const AgentView& view, const config::AgentConfig& config);

/// The same facts for `status`: one JSON object; "state" is ok, warning or critical.
std::string status_json(const AgentView& view, const config::AgentConfig& config);
/// The object of status_json as lines for people; `language` of the reasons: "en" or "zh".
std::string status_text(const std::string& json, const cli::Painter& paint, std::string_view language = "en");

/// What `quorum` receivers hold of the current stream; its beginning where they hold nothing.
Position off_site_end(const AgentView& view, int quorum);
/// Newest moment that is off-site and durable: the recovery point. Seconds between it and now; 0 when the source is idle and caught up.
double recovery_point_seconds(const AgentView& view);

}  // namespace stele::agent
