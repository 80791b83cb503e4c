#include "agent/postgres/server_info.h"

#include <charconv>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace stele::agent {
namespace {

constexpr std::size_t kMaxHistoryFile = 1 << 20;

template <typename Number>
Result<Number> number(std::string_view text, std::string_view what) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Error{ErrorCode::kDatabase, fmt::format("{}: \"{}\" is not a number", what, text.substr(0, 40)), ""};
  }
  return out;
}

// SHOW is upper case: walsender keywords are case-sensitive.
Result<std::string> show(PgConnection& replication, std::string_view name, Instant deadline) {
  const std::string command = fmt::format("SHOW {}", name);
  STELE_TRY(Rows rows, replication.query(command, deadline));
  return rows.single(command);
}

}  // namespace

Result<std::uint64_t> parse_size(std::string_view text) {
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  const std::string_view unit = text.substr(digits);
  STELE_TRY(const std::uint64_t value, number<std::uint64_t>(text.substr(0, digits), "size"));
  int shift = -1;
  if (unit.empty() || unit == "B") shift = 0;
  if (unit == "kB") shift = 10;
  if (unit == "MB") shift = 20;
  if (unit == "GB") shift = 30;
  if (unit == "TB") shift = 40;
  if (shift < 0 || value > (UINT64_MAX >> shift)) {
    return Error{ErrorCode::kDatabase, fmt::format("size \"{}\" is not understood", text.substr(0, 40)), ""};
  }
  return value << shift;
}

Result<ServerInfo> read_server_info(PgConnection& replication, Instant deadline) {
  ServerInfo out;
  STELE_TRY(Rows identity, replication.query("IDENTIFY_SYSTEM", deadline));
  if (identity.rows.size() != 1 || identity.rows[0].size() < 3 || !identity.rows[0][0] || !identity.rows[0][1] ||
      !identity.rows[0][2]) {
    return Error{ErrorCode::kDatabase, fmt::format("IDENTIFY_SYSTEM on {}: unexpected answer", replication.host()), ""};
  }
  const Row& row = identity.rows[0];
  STELE_TRY(out.system_identifier, number<std::uint64_t>(*row[0], "system identifier"));
  STELE_TRY(out.timeline, number<std::uint32_t>(*row[1], "timeline"));
  STELE_TRY(out.flush_position, parse_position(*row[2]));
  STELE_TRY(const std::string segment, show(replication, "wal_segment_size", deadline));
  STELE_TRY(out.wal_segment_size, parse_size(segment));
  if (!std::has_single_bit(out.wal_segment_size) || out.wal_segment_size < (1u << 20) ||
      out.wal_segment_size > (1u << 30)) {
    return Error{ErrorCode::kDatabase, fmt::format("wal_segment_size of {} is {}", replication.host(), segment), ""};
  }
  STELE_TRY(const std::string version, show(replication, "server_version_num", deadline));
  STELE_TRY(out.version_num, number<int>(version, "server_version_num"));
  STELE_TRY(const std::string checksums, show(replication, "data_checksums", deadline));
  out.data_checksums = checksums == "on";
  return out;
}

Result<TimelineHistoryFile> fetch_timeline_history(PgConnection& replication, std::uint32_t timeline,
                                                   Instant deadline) {
  if (timeline <= 1) return Error{ErrorCode::kNotFound, "timeline 1 has no history file", ""};
  STELE_TRY(Rows rows, replication.query(fmt::format("TIMELINE_HISTORY {}", timeline), deadline));
  if (rows.rows.size() != 1 || rows.rows[0].size() != 2 || !rows.rows[0][0] || !rows.rows[0][1]) {
    return Error{ErrorCode::kDatabase,
                 fmt::format("TIMELINE_HISTORY {} on {}: unexpected answer", timeline, replication.host()), ""};
  }
  TimelineHistoryFile out{*rows.rows[0][0], to_bytes(as_bytes(*rows.rows[0][1]))};
  if (out.content.size() > kMaxHistoryFile || out.file_name != fmt::format("{:08X}.history", timeline)) {
    return Error{ErrorCode::kDatabase,
                 fmt::format("TIMELINE_HISTORY {} on {}: not a history file", timeline, replication.host()), ""};
  }
  return out;
}

Result<bool> is_in_recovery(PgConnection& sql, Instant deadline) {
  STELE_TRY(Rows rows, sql.query("SELECT pg_catalog.pg_is_in_recovery()", deadline));
  STELE_TRY(const std::string value, rows.single("pg_is_in_recovery"));
  return value == "t";
}

Result<ClockDifference> measure_clock_difference(PgConnection& sql, Clock& clock, Instant deadline) {
  std::optional<ClockDifference> best;
  for (int round = 0; round < 3; ++round) {
    const Timestamp before = clock.now();
    const Instant began = clock.steady_now();
    STELE_TRY(Rows rows,
              sql.query("SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::int8", deadline));
    const Duration trip = std::chrono::duration_cast<Duration>(clock.steady_now() - began);
    STELE_TRY(const std::string text, rows.single("clock_timestamp"));
    STELE_TRY(const std::int64_t micros, number<std::int64_t>(text, "clock_timestamp"));
    // The server read its clock somewhere within the trip; its middle is wrong by at most half of it.
    const ClockDifference found{Timestamp{micros} - (before + trip / 2), trip / 2};
    if (!best || found.uncertainty < best->uncertainty) best = found;
  }
  return *best;
}

namespace {

HostState ask_host(const ServerAddress& address, const ConnectOptions& options, Duration patience,
                   const std::shared_ptr<Interrupt>& interrupt) {
  HostState state{.address = address};
  const Instant deadline = deadline_in(patience);
  const auto ask = [&]() -> Status {
    ConnectOptions wanted = options;
    wanted.mode = ConnectionMode::kReplication;
    STELE_TRY(PgConnection replication, PgConnection::connect(address, wanted, deadline, interrupt));
    STELE_TRY(state.info, read_server_info(replication, deadline));
    wanted.mode = ConnectionMode::kSql;
    STELE_TRY(PgConnection sql, PgConnection::connect(address, wanted, deadline, interrupt));
    STELE_TRY(state.in_recovery, is_in_recovery(sql, deadline));
    return {};
  };
  if (Status asked = ask(); !asked.ok()) state.error = std::move(asked).error();
  return state;
}

}  // namespace

Result<std::vector<HostState>> survey_hosts(const std::vector<ServerAddress>& hosts, const ConnectOptions& options,
                                            Duration per_host, std::shared_ptr<Interrupt> interrupt,
                                            Duration after_primary) {
  STELE_TRY(std::shared_ptr<Interrupt> survey, Interrupt::create());
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<HostState> out;
  for (const ServerAddress& address : hosts) {
    out.push_back({.address = address, .error = Error{ErrorCode::kTimeout, "does not answer", ""}});
  }
  std::size_t answered = 0;
  std::optional<Instant> found;  // a primary
  std::vector<std::thread> asking;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    asking.emplace_back([&, i] {
      HostState state = ask_host(hosts[i], options, per_host, survey);
      std::lock_guard lock(mutex);
      ++answered;
      if (!state.error && !state.in_recovery && !found) found = std::chrono::steady_clock::now();
      if (!state.error || state.error->code != ErrorCode::kCancelled) out[i] = std::move(state);
      wake.notify_one();
    });
  }
  {
    std::unique_lock lock(mutex);
    const auto enough = [&] { return found && std::chrono::steady_clock::now() >= *found + after_primary; };
    while (answered < hosts.size() && !interrupt->stopped() && !enough()) {
      wake.wait_for(lock, std::chrono::milliseconds(20));
    }
  }
  survey->stop();
  for (std::thread& thread : asking) thread.join();
  if (interrupt->stopped()) return Error{ErrorCode::kCancelled, "ask the hosts: stopped", ""};
  return out;
}

Result<std::size_t> choose_primary(const std::vector<HostState>& hosts) {
  std::optional<std::size_t> best;
  std::string said;
  for (std::size_t i = 0; i < hosts.size(); ++i) {
    const HostState& host = hosts[i];
    said += fmt::format("{}{}: {}", said.empty() ? "" : "; ", host.address.label(),
                        host.error         ? host.error->what
                        : host.in_recovery ? "is a standby"
                                           : "is a primary");
    if (host.error || host.in_recovery || !host.info) continue;
    if (!best) {
      best = i;
      continue;
    }
    const HostState& other = hosts[*best];
    if (other.info->system_identifier != host.info->system_identifier || other.info->timeline == host.info->timeline) {
      return Error{ErrorCode::kAmbiguous,
                   fmt::format("{} (timeline {}) and {} (timeline {}) are both primaries", other.address.label(),
                               other.info->timeline, host.address.label(), host.info->timeline),
                   "two servers accept writes: stop the wrong one, or remove it from the connection string"};
    }
    if (host.info->timeline > other.info->timeline) best = i;
  }
  if (best) return *best;
  return Error{ErrorCode::kTemporary, "no host is a primary: " + said, "start or promote a server"};
}

}  // namespace stele::agent
