#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/identity.h"
#include "core/config/bandwidth.h"
#include "core/config/cron.h"
#include "core/config/sections.h"

namespace stele::config {

enum class SpoolMode { kFile, kNone };
enum class AckPolicy { kSpool, kReceivers };
enum class OnQuorumLoss { kHold, kDegrade };
enum class OnFull { kHold, kRelease };
/// Whether zstd keeps its context across the frames of an object, or starts anew in each frame (length attacks, TRUST
/// section 2).
enum class CompressContext { kObject, kFrame };

/// agent.toml. Sizes in bytes, rates in bytes per second with 0 = unlimited; empty paths are "not set".
struct AgentConfig {
  DatabaseName name;  ///< site, database

  struct Postgres {
    std::string conninfo;               ///< libpq keywords or URI, never with a password
    std::string slot;                   ///< name of the physical slot, the same on every host
    std::string standby_for_snapshots;  ///< conninfo; empty: snapshots come from the primary
    Duration wal_sender_timeout{};      ///< set for our own replication connection only
    std::string application_name;       ///< what synchronous_standby_names says
  } postgres;

  struct Keys {
    std::filesystem::path agent_key;   ///< signing key and chunk name key, 0600
    std::filesystem::path enrolment;   ///< the authority's signed enrolment
    std::filesystem::path recipients;  ///< the authority's signed recipient list
  } keys;

  struct Spool {
    SpoolMode mode = SpoolMode::kFile;
    std::filesystem::path directory;
    std::uint64_t max_bytes = 0;
    std::uint64_t file_bytes = 0;
  } spool;

  struct Policy {
    AckPolicy ack = AckPolicy::kSpool;
    int quorum = 1;
    OnQuorumLoss on_quorum_loss = OnQuorumLoss::kHold;
    Duration degrade_after{};
    OnFull on_full = OnFull::kHold;
    Duration release_after{};
    bool on_full_written =
        false;  ///< the file says on_full itself (`check` asks for it when max_slot_wal_keep_size is -1)
  } policy;

  std::vector<ReceiverEndpoint> receivers;
  TlsConfig tls;

  struct LogStream {
    std::uint64_t frame_bytes = 0;
    Duration frame_delay{};
    std::uint64_t object_bytes = 0;
    int compression_level = 1;
    CompressContext compress_context = CompressContext::kObject;
    Duration as_of_interval{};
  } log_stream;

  struct Snapshot {
    std::optional<CronSchedule> schedule;  ///< none: only by command
    TimeZone time_zone;
    Duration jitter{};
    int compression_level = 2;
    std::uint64_t chunk_bytes = 0;
    int workers = 0;             ///< 0: one for each core
    std::uint64_t max_rate = 0;  ///< bytes per second read from the server
    bool fast_checkpoint = false;
    std::vector<std::filesystem::path> extra_files;
    std::uint64_t memory_bytes = 0;  ///< limit for the snapshot's buffers
  } snapshot;

  BandwidthPlan bandwidth;

  struct Epoch {
    Duration max_age{};
    std::uint64_t max_bytes = 0;
  } epoch;

  /// What the operator promised; the status message carries it and alarms compare with it. 0 is "not set".
  struct Targets {
    Duration rpo{};
    Duration rto{};
    Duration snapshot_interval{};
    Duration window{};
    Duration drill_interval{};
  } targets;

  MetricsConfig metrics;
  log::Options log;
  Duration status_interval{};

  /// Files that must be 0600: see check_secret_file_mode.
  std::vector<std::filesystem::path> secret_files() const;
};

/// Reads and checks agent.toml; kConfig names everything that is wrong.
Result<AgentConfig> load_agent_config(const std::filesystem::path& file);
Result<AgentConfig> parse_agent_config(std::string_view text, const std::filesystem::path& file);
std::vector<KeyDescription> describe_agent_config();

/// kConfig when a libpq connection string (keywords or URI) holds a password; the hint names the password file.
Status check_conninfo_without_secret(std::string_view conninfo);

}  // namespace stele::config
