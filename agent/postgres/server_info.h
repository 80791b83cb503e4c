#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/postgres/connection.h"
#include "core/base/identity.h"

namespace stele::agent {

/// What a server says about itself on a replication connection (IDENTIFY_SYSTEM and SHOW).
struct ServerInfo {
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
  Position flush_position;             ///< how far its log is on disk (standby: received and flushed or replayed)
  std::uint64_t wal_segment_size = 0;  ///< bytes; a power of two from 1 MiB to 1 GiB, checked
  int version_num = 0;                 ///< 150020
  bool data_checksums = false;
};

/// Needs a replication connection.
Result<ServerInfo> read_server_info(PgConnection& replication, Instant deadline);

/// A timeline's history file as the server has it, byte for byte.
struct TimelineHistoryFile {
  std::string file_name;  ///< "00000002.history"
  Bytes content;
};
/// TIMELINE_HISTORY; timeline 1 has no file: kNotFound. At most 1 MiB.
Result<TimelineHistoryFile> fetch_timeline_history(PgConnection& replication, std::uint32_t timeline, Instant deadline);

/// pg_is_in_recovery(); needs an SQL connection.
Result<bool> is_in_recovery(PgConnection& sql, Instant deadline);

/// How far the server's clock is ahead of ours (negative: behind), good to ± uncertainty (half of the round trip).
struct ClockDifference {
  Duration ahead{};
  Duration uncertainty{};
};
/// The best of three measurements; needs an SQL connection.
Result<ClockDifference> measure_clock_difference(PgConnection& sql, Clock& clock, Instant deadline);

/// One host of the connection string, as found.
struct HostState {
  ServerAddress address;
  std::optional<Error> error;  ///< why the rest is not known
  std::optional<ServerInfo> info;
  bool in_recovery = false;
};

/// Asks all hosts at once; never fails because one host does. Once a primary has answered the others have `after_primary`
/// more, so that a dark standby does not keep commits waiting. kCancelled after stop().
Result<std::vector<HostState>> survey_hosts(const std::vector<ServerAddress>& hosts, const ConnectOptions& options,
                                            Duration per_host, std::shared_ptr<Interrupt> interrupt,
                                            Duration after_primary = std::chrono::milliseconds(1500));

/// The index of the primary. Pure. Two primaries: the higher timeline wins (the old one came back after a failover);
/// equal timelines or different system identifiers: kAmbiguous. None: kTemporary that lists what each host said.
Result<std::size_t> choose_primary(const std::vector<HostState>& hosts);

/// "16MB", "1GB", "64kB" or plain bytes, as SHOW prints a size; kDatabase when it is not one. Pure.
Result<std::uint64_t> parse_size(std::string_view text);

}  // namespace stele::agent
