#pragma once

#include "restore/report/history.h"

namespace stele::restore {

/// The metrics of one drill in Prometheus' text form. What an earlier drill proved (last success, keys) is carried on. Pure.
std::string metrics_text(const DrillResult& result, const History& earlier);

/// Writes `text` as DIRECTORY/stele_drill_SITE_DATABASE.prom, for node_exporter's textfile collector: the name shows the old text or the new.
Status write_textfile(const std::string& directory, const DatabaseName& database, std::string_view text);

/// PUT to a Pushgateway: replaces what was pushed for this site and database. Blocks for at most ten seconds. kClosed, kTimeout, kProtocol.
Status push_metrics(const std::string& host, std::uint16_t port, const DatabaseName& database, std::string_view text);

}  // namespace stele::restore
