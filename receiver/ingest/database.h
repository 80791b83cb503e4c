#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "core/format/status.h"
#include "receiver/catalog/catalog.h"
#include "receiver/ingest/fence.h"
#include "receiver/ingest/open_runs.h"
#include "receiver/ingest/quota.h"
#include "receiver/ingest/stream_ledger.h"
#include "receiver/ingest/trust_book.h"
#include "receiver/metrics/receiver_metrics.h"

namespace stele::receiver {

/// One site's share of this receiver.
struct SiteState {
  SiteState(std::string site, const config::SiteLimits& limits, Instant now) : quota(std::move(site), limits, now) {}
  std::mutex mutex;
  SiteQuota quota;                      ///< under mutex
  std::atomic<std::uint64_t> stored{0}; ///< bytes of its objects
};

/// A gap between two ranges of a stream, or another thing an operator must see.
struct Notice {
  Timestamp time;
  std::string text;
};

/// What a receiver knows of one database, in memory.
struct Database {
  Database(DatabaseName n, std::vector<crypto::VerifyKey> authorities, SiteState& s, DatabaseMetrics m)
      : name(n), site(s), metrics(std::move(m)), trust(std::move(n), std::move(authorities)) {}

  const DatabaseName name;
  SiteState& site;
  const DatabaseMetrics metrics;

  /// Held over I/O by whoever changes trust, fence or snapshots: one at a time. Taken before `mutex`.
  std::mutex change;
  /// Short: never held over I/O. Guards everything below.
  std::mutex mutex;
  std::condition_variable landed;  ///< in_flight went down
  TrustBook trust;
  std::map<EpochId, Bytes> epoch_records;  ///< every stored one, trusted or not: runs carry a copy
  Fence fence;
  std::map<StreamId, StreamLedger> streams;
  OpenRuns runs;
  std::uint64_t writer = 0;     ///< the session that may land frames; 0: none
  std::size_t in_flight = 0;    ///< batches submitted to the journal
  std::optional<SnapshotEntry> latest;
  std::size_t snapshots = 0;
  std::optional<format::StatusMessage> status;
  Timestamp status_received;
  metrics::StatusRow status_row;    ///< shows `status`
  bool status_stale = false;        ///< nobody has heard from the agent for a while
  std::size_t facts_exported = 0;   ///< entries of the ledger that the gauges show
  std::vector<Notice> notices;  ///< the newest 64

  void note(Timestamp time, std::string text) {
    if (notices.size() >= 64) notices.erase(notices.begin());
    notices.push_back({time, std::move(text)});
  }
};

}  // namespace stele::receiver
