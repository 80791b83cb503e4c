#include "core/config/agent_config.h"

#include <fmt/format.h>

#include <limits>

namespace stele::config {
namespace {

constexpr std::uint64_t kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;
constexpr std::uint64_t kAnySize = std::numeric_limits<std::int64_t>::max();
constexpr Duration kSecond = std::chrono::seconds(1), kHour = std::chrono::hours(1), kDay = 24 * kHour,
                   kYear = 365 * kDay;

/// A replication slot's name (ReplicationSlotValidateName in slot.c).
bool is_slot_name(std::string_view name) {
  return !name.empty() && name.size() <= 63 &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

void read_postgres(TableReader table, AgentConfig::Postgres& out) {
  out.conninfo = table.string(
      "conninfo", kRequired,
      "libpq connection string, without a password (passfile or service instead). Several hosts may be given; the "
      "agent follows the primary among them.");
  out.slot = table.string("slot", "stele",
                          "Name of the physical replication slot, kept on every host of the connection string.");
  out.standby_for_snapshots = table.string(
      "standby_for_snapshots", "", "Connection string of a standby to read snapshots from; \"\" reads the primary.");
  out.wal_sender_timeout =
      table.duration("wal_sender_timeout", "4s", kSecond, std::chrono::minutes(10),
                     "wal_sender_timeout for the agent's own connection: how long a frozen agent keeps the slot busy.");
  out.application_name =
      table.string("application_name", "stele", "The name that synchronous_standby_names uses for the agent.");
  if (table.describing()) return;
  if (auto good = check_conninfo_without_secret(out.conninfo); !good.ok())
    table.fail("conninfo", good.error().what, good.error().hint);
  if (auto good = check_conninfo_without_secret(out.standby_for_snapshots); !good.ok())
    table.fail("standby_for_snapshots", good.error().what, good.error().hint);
  if (!is_slot_name(out.slot))
    table.fail("slot", fmt::format("expected a slot name of 1 to 63 characters a-z 0-9 _, found \"{}\"", out.slot));
  if (out.application_name.empty() || out.application_name.size() > 63)
    table.fail("application_name", "expected 1 to 63 characters");
}

void read_keys(TableReader table, AgentConfig::Keys& out) {
  out.agent_key = table.path("agent_key", kRequired,
                             "The agent's own keys (signing, chunk names), made by `stele-agent enroll`; mode 0600.");
  out.enrolment =
      table.path("enrolment", kRequired, "The enrolment that the authority signed (`stele-restore enroll`).");
  out.recipients =
      table.path("recipients", kRequired,
                 "The recipient list that the authority signed: the public recovery keys data is sealed to.");
}

void read_spool(TableReader table, AgentConfig::Spool& out) {
  out.mode =
      table.choice<SpoolMode>("mode", "file", {{"file", SpoolMode::kFile}, {"none", SpoolMode::kNone}},
                              "Keep unsent log encrypted on this disk, or keep none (the slot alone holds it back; at most 32 MiB are in memory).");
  out.directory =
      table.path("directory", "/var/lib/stele/spool", "Where the spool is; best on another disk than the database.");
  out.max_bytes = table.bytes("max_bytes", "8GiB", 64 * kMiB, kAnySize, "Most disk space that the spool takes.");
  out.file_bytes = table.bytes("file_bytes", "64MiB", 4 * kMiB, kGiB,
                               "Size of one spool file; files are preallocated and recycled.");
  if (!table.describing() && out.max_bytes < 2 * out.file_bytes)
    table.fail("max_bytes", "expected at least two spool files (file_bytes)");
}

void read_policy(TableReader table, const AgentConfig::Spool& spool, std::size_t receivers, AgentConfig::Policy& out) {
  out.ack = table.choice<AckPolicy>(
      "ack", "spool", {{"spool", AckPolicy::kSpool}, {"receivers", AckPolicy::kReceivers}},
      "What PostgreSQL is told to be durable: what the spool has synced, or what `quorum` receivers have synced (RPO 0 "
      "together with synchronous_standby_names).");
  out.quorum =
      static_cast<int>(table.integer("quorum", 1, 1, 16, "How many receivers must have it, with ack = \"receivers\"."));
  out.on_quorum_loss = table.choice<OnQuorumLoss>(
      "on_quorum_loss", "hold", {{"hold", OnQuorumLoss::kHold}, {"degrade", OnQuorumLoss::kDegrade}},
      "Too few receivers: commits wait, or after `degrade_after` the spool counts (recorded and alarmed).");
  out.degrade_after =
      table.duration("degrade_after", "30s", kSecond, kDay, "How long commits wait before the policy degrades.");
  out.on_full = table.choice<OnFull>("on_full", "hold", {{"hold", OnFull::kHold}, {"release", OnFull::kRelease}},
                                     "Spool full: \"hold\" confirms nothing, so that WAL stays on the primary, up to its "
                                     "max_slot_wal_keep_size; \"release\" lets the slot go forward after `release_after`, so that "
                                     "the primary's disk stays free: the log between is lost, recorded as a gap, and a new snapshot "
                                     "is taken. Synchronous commits wait in both.");
  out.release_after = table.duration("release_after", "1m", kSecond, kDay,
                                     "With on_full = \"release\": how long the spool was full and nothing left it.");
  out.on_full_written = table.has("on_full");
  if (table.describing()) return;
  if (out.ack == AckPolicy::kReceivers && static_cast<std::size_t>(out.quorum) > receivers) {
    table.fail("quorum",
               fmt::format("expected at most the number of receivers, which is {}, found {}", receivers, out.quorum));
  }
  if (spool.mode == SpoolMode::kNone && out.ack == AckPolicy::kSpool) {
    table.fail("ack", "expected \"receivers\", because [spool] mode is \"none\"");
  }
  if (spool.mode == SpoolMode::kNone && out.on_quorum_loss == OnQuorumLoss::kDegrade) {
    table.fail("on_quorum_loss", "expected \"hold\", because without a spool there is nothing to degrade to");
  }
}

void read_log_stream(TableReader table, AgentConfig::LogStream& out) {
  out.frame_bytes =
      table.bytes("frame_bytes", "256KiB", 8 * kKiB, 768 * kKiB, "A frame of change log leaves when it holds this much...");
  out.frame_delay = table.duration("frame_delay", "5ms", Duration(0), kSecond, "...or is this old.");
  out.object_bytes = table.bytes("object_bytes", "16MiB", kMiB, 16 * kMiB,
                                 "Raw log in one object: the unit of compression and of storage.");
  out.compression_level =
      static_cast<int>(table.integer("compression_level", 1, 1, 19, "zstd level of the change log."));
  out.compress_context = table.choice<CompressContext>(
      "compress_context", "object", {{"object", CompressContext::kObject}, {"frame", CompressContext::kFrame}},
      "Compress across the frames of an object, or each frame alone (larger; hides what lengths tell).");
  out.as_of_interval =
      table.duration("as_of_interval", "10s", kSecond, kHour, "How often an idle source says that nothing happened.");
  if (!table.describing() && out.frame_bytes > out.object_bytes)
    table.fail("frame_bytes", "expected at most object_bytes");
}

TimeZone read_zone(TableReader& table, std::string_view meaning) {
  const std::string name = table.string("time_zone", "local", meaning);
  return table.parsed("time_zone", TimeZone::find(name)).value_or(TimeZone());
}

void read_snapshot(TableReader table, AgentConfig::Snapshot& out) {
  const std::string schedule =
      table.string("schedule", "30 1 * * *", "When snapshots begin: cron's five fields or @daily; \"\" for never.");
  if (!schedule.empty()) out.schedule = table.parsed("schedule", CronSchedule::parse(schedule));
  out.time_zone = read_zone(table, "Time zone of the schedule, such as \"Asia/Shanghai\"; \"local\" is the host's.");
  out.jitter = table.duration("jitter", "30m", Duration(0), kDay,
                              "Begin up to this much later, each database at its own fixed offset.");
  out.compression_level = static_cast<int>(table.integer("compression_level", 2, 1, 19, "zstd level of snapshots."));
  out.chunk_bytes = table.bytes(
      "chunk_bytes", "128KiB", 32 * kKiB, 4 * kMiB,
      "Size of a chunk, the unit of deduplication; a multiple of 32KiB. A change starts deduplication anew.");
  out.workers = static_cast<int>(
      table.integer("workers", 0, 0, 256, "Threads that hash, compress and encrypt; 0: one for each core."));
  out.max_rate = table.rate("max_rate", "unlimited", "How fast the server is read (PostgreSQL's MAX_RATE).");
  out.fast_checkpoint =
      table.boolean("fast_checkpoint", false,
                    "Begin with an immediate checkpoint instead of a spread one: sooner, with a burst of writes.");
  out.extra_files =
      table.paths("extra_files", false,
                  "Files outside the data directory that belong to it, such as Debian's postgresql.conf, pg_hba.conf.");
  out.memory_bytes =
      table.bytes("memory_bytes", "128MiB", 16 * kMiB, 64 * kGiB, "Most memory for a snapshot's buffers.");
  // MAX_RATE takes 32 to 1,048,576 kilobytes per second (basebackup.h).
  if (!table.describing() && out.max_rate != 0 && (out.max_rate < 32 * kKiB || out.max_rate > kGiB)) {
    table.fail("max_rate", "expected 32KiB/s to 1GiB/s, PostgreSQL's limits, or \"unlimited\"");
  }
  if (!table.describing() && out.chunk_bytes % (32 * kKiB) != 0)
    table.fail("chunk_bytes", "expected a multiple of 32KiB");
}

BandwidthPlan read_bandwidth(TableReader table) {
  const std::uint64_t limit = table.rate(
      "limit", "unlimited", "How fast the agent sends, change log and snapshots together; the log goes first.");
  const TimeZone zone = read_zone(table, "Time zone of the windows; \"local\" is the host's.");
  std::vector<BandwidthWindow> windows;
  for (TableReader& window :
       table.tables("window", 0, "Hours of the day with another limit; the first that fits counts.")) {
    const std::string hours = window.string("hours", kRequired, "\"HH:MM-HH:MM\", local time; may go over midnight.");
    const std::uint64_t rate = window.rate("limit", kRequired, "The limit in these hours.");
    if (hours.empty()) continue;
    if (auto parsed = window.parsed("hours", parse_hours(hours))) {
      parsed->bytes_per_second = rate;
      windows.push_back(*parsed);
    }
  }
  return BandwidthPlan(zone, limit, std::move(windows));
}

AgentConfig read_agent(TableReader root) {
  AgentConfig out;
  out.name.site =
      root.string("site", kRequired, "The site, a GB/T 2260 code such as \"440000\"; as in the certificate.");
  out.name.database = root.string("database", kRequired, "The database's name within the site.");
  if (!root.describing() && !out.name.site.empty() && !out.name.database.empty()) {
    if (auto good = check_database_name(out.name); !good.ok()) root.fail("site", good.error().what, good.error().hint);
  }
  read_postgres(root.table("postgres", "The protected PostgreSQL cluster."), out.postgres);
  read_keys(root.table("keys", "Key files: paths only, never secrets."), out.keys);
  read_spool(root.table("spool", "The encrypted queue on this host's disk."), out.spool);
  out.receivers = read_receivers(root, 1);
  read_policy(root.table("policy", "What counts as durable, and what to do when it cannot be had."), out.spool,
              out.receivers.size(), out.policy);
  out.tls = read_tls(root.table("tls", "TLS 1.3, both sides authenticated."));
  read_log_stream(root.table("log_stream", "How the change log is cut, compressed and sent."), out.log_stream);
  read_snapshot(root.table("snapshot", "Snapshots: full images that the change log continues."), out.snapshot);
  out.bandwidth = read_bandwidth(root.table("bandwidth", "Limits of the line."));
  TableReader epoch = root.table("epoch", "The life of one data key.");
  out.epoch.max_age =
      epoch.duration("max_age", "24h", std::chrono::minutes(1), kYear, "A data key is used no longer than this.");
  out.epoch.max_bytes = epoch.bytes("max_bytes", "1TiB", kMiB, kAnySize, "A data key encrypts no more than this.");
  TableReader targets =
      root.table("targets", "What was promised; metrics and alarms compare with it. \"0s\": nothing was.");
  out.targets.rpo = targets.duration("rpo", "0s", Duration(0), kYear, "Most data, in time, that may be lost.");
  out.targets.rto = targets.duration("rto", "0s", Duration(0), kYear, "Longest time a restore may take.");
  out.targets.snapshot_interval =
      targets.duration("snapshot_interval", "0s", Duration(0), kYear, "Longest time between two snapshots.");
  out.targets.window = targets.duration("window", "0s", Duration(0), 20 * kYear, "How far back a restore must reach.");
  out.targets.drill_interval = targets.duration("drill_interval", "0s", Duration(0), kYear, "Longest time between two restore drills.");
  out.metrics = read_metrics(root.table("metrics", "The page for Prometheus."), "127.0.0.1:9551");
  out.log = read_log(root.table("log", "The program's log."), "stele-agent");
  TableReader status = root.table("status", "The signed status message to the receivers.");
  out.status_interval = status.duration("interval", "5s", kSecond, kHour, "How often it is sent.");
  return out;
}

}  // namespace

std::vector<std::filesystem::path> AgentConfig::secret_files() const {
  return {keys.agent_key, tls.key};
}

Result<AgentConfig> load_agent_config(const std::filesystem::path& file) {
  STELE_TRY(ConfigReader reader, ConfigReader::open(file));
  AgentConfig out = read_agent(reader.root());
  STELE_CHECK(reader.finish());
  return out;
}

Result<AgentConfig> parse_agent_config(std::string_view text, const std::filesystem::path& file) {
  STELE_TRY(ConfigReader reader, ConfigReader::parse(text, file));
  AgentConfig out = read_agent(reader.root());
  STELE_CHECK(reader.finish());
  return out;
}

std::vector<KeyDescription> describe_agent_config() {
  ConfigReader reader = ConfigReader::describe();
  read_agent(reader.root());
  return reader.descriptions();
}

}  // namespace stele::config
