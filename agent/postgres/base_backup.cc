#include "agent/postgres/base_backup.h"

#include <libpq-fe.h>

#include <charconv>

namespace stele::agent {
namespace {

// The server sends pieces of 32 KiB (basebackup_sink.h); the limit stops a peer that is not PostgreSQL.
constexpr int kMaxMessage = 1 << 20;
constexpr std::size_t kMaxTablespaces = 65'536;
constexpr std::string_view kTried = "take a base backup";

struct CopyBufferDeleter {
  void operator()(char* buffer) const { PQfreemem(buffer); }
};

std::optional<std::string> value(const PGresult* result, int row, int column) {
  if (PQgetisnull(result, row, column) != 0) return std::nullopt;
  return std::string(PQgetvalue(result, row, column), PQgetlength(result, row, column));
}

template <typename Number>
Result<Number> number(std::string_view text) {
  Number out{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Error{ErrorCode::kProtocol, fmt::format("{}: \"{}\" is not a number", kTried, text.substr(0, 40)), ""};
  }
  return out;
}

}  // namespace

std::string base_backup_command(int server_version, const BaseBackupOptions& options, std::string_view quoted_label) {
  if (server_version >= 150000) {
    return fmt::format(
        "BASE_BACKUP (LABEL {}, PROGRESS true, CHECKPOINT '{}', WAIT false, MANIFEST 'yes', VERIFY_CHECKSUMS false{})",
        quoted_label, options.fast_checkpoint ? "fast" : "spread",
        options.max_rate_kib ? fmt::format(", MAX_RATE {}", *options.max_rate_kib) : "");
  }
  return fmt::format("BASE_BACKUP LABEL {} PROGRESS{} NOWAIT{} NOVERIFY_CHECKSUMS MANIFEST 'yes'", quoted_label,
                     options.fast_checkpoint ? " FAST" : "",
                     options.max_rate_kib ? fmt::format(" MAX_RATE {}", *options.max_rate_kib) : "");
}

struct BaseBackup::State {
  explicit State(PgConnection c) : connection(std::move(c)), typed(connection.server_version() >= 150000) {}

  PgConnection connection;
  const bool typed;  // PostgreSQL 15 and newer: one COPY with typed messages
  std::unique_ptr<char, CopyBufferDeleter> buffer;
  BackupStart begin;
  std::uint64_t bytes_read = 0;
  bool in_copy = false;
  bool in_archive = false;
  bool in_manifest = false;
  bool finished = false;
  std::size_t archives = 0;                   // begun so far
  std::optional<ArchiveBegin> pending_begin;  // announced by the message that also ended the archive before

  Error protocol(std::string_view why) const {
    return {ErrorCode::kProtocol, fmt::format("{} on {}: {}", kTried, connection.host(), why), ""};
  }
  Result<PgResult> result(Instant deadline) {
    STELE_TRY(PgResult got, connection.next_result(deadline));
    if (!got) return protocol("the server sent less than a backup");
    const ExecStatusType status = PQresultStatus(got.get());
    if (status == PGRES_FATAL_ERROR || status == PGRES_NONFATAL_ERROR) {
      Error error = server_error(kTried, connection.host(), connection.message_of(got.get()));
      if (sqlstate_of(error) == "42501") error.hint = "as a superuser: ALTER ROLE <the agent's role> REPLICATION;";
      return error;
    }
    return got;
  }
  Result<std::pair<Position, std::uint32_t>> position(Instant deadline);
  Status tablespaces(Instant deadline);
  Result<std::optional<BackupEvent>> typed_message(ByteView message);
  Result<BackupEvent> begin_archive(ArchiveBegin archive);
  Result<std::optional<BackupEvent>> copy_done();
  Result<std::optional<BackupEvent>> next_copy(Instant deadline);
  Result<BackupEvent> step(Instant deadline);
};

Result<std::pair<Position, std::uint32_t>> BaseBackup::State::position(Instant deadline) {
  STELE_TRY(PgResult got, result(deadline));
  if (PQresultStatus(got.get()) != PGRES_TUPLES_OK || PQntuples(got.get()) != 1 || PQnfields(got.get()) < 2) {
    return protocol("a position was expected");
  }
  STELE_TRY(const Position at, parse_position(value(got.get(), 0, 0).value_or("")));
  STELE_TRY(const std::uint32_t timeline, number<std::uint32_t>(value(got.get(), 0, 1).value_or("")));
  return std::pair(at, timeline);
}

Status BaseBackup::State::tablespaces(Instant deadline) {
  STELE_TRY(PgResult got, result(deadline));
  const int rows = PQntuples(got.get());
  if (PQresultStatus(got.get()) != PGRES_TUPLES_OK || PQnfields(got.get()) < 3 || rows < 1 ||
      static_cast<std::size_t>(rows) > kMaxTablespaces) {
    return protocol("the list of tablespaces was expected");
  }
  for (int row = 0; row < rows; ++row) {
    BackupTablespace space;
    if (auto oid = value(got.get(), row, 0)) {
      STELE_TRY(space.oid, number<std::uint32_t>(*oid));
    }
    space.path = value(got.get(), row, 1).value_or("");
    // In kB (basebackup_copy.c, SendTablespaceList).
    STELE_TRY(const std::uint64_t kib, number<std::uint64_t>(value(got.get(), row, 2).value_or("0")));
    space.estimated_size = kib > (UINT64_MAX >> 20) ? 0 : kib * 1024;
    begin.tablespaces.push_back(std::move(space));
  }
  return {};
}

Result<BackupEvent> BaseBackup::State::begin_archive(ArchiveBegin archive) {
  if (++archives > begin.tablespaces.size()) return protocol("more archives than tablespaces");
  in_archive = true;
  return BackupEvent(std::move(archive));
}

/// One message of the COPY of PostgreSQL 15 and newer (basebackup_copy.c): 'n'ew archive, 'd'ata, 'm'anifest,
/// 'p'rogress.
Result<std::optional<BackupEvent>> BaseBackup::State::typed_message(ByteView message) {
  const ByteView body = message.subspan(1);
  switch (message[0]) {
    case 'n': {
      const std::string_view text = as_text(body);
      const std::size_t name_end = text.find('\0');
      const std::size_t path_end = name_end == std::string_view::npos ? name_end : text.find('\0', name_end + 1);
      if (path_end == std::string_view::npos) return protocol("an archive without a name");
      const std::string_view name = text.substr(0, name_end);
      ArchiveBegin archive;
      archive.path = std::string(text.substr(name_end + 1, path_end - name_end - 1));
      if (name != "base.tar") {
        STELE_TRY(archive.oid, number<std::uint32_t>(name.substr(0, name.find('.'))));
      }
      if (in_archive) {
        in_archive = false;
        pending_begin = std::move(archive);
        return std::optional<BackupEvent>(ArchiveEnd{});
      }
      STELE_TRY(BackupEvent event, begin_archive(std::move(archive)));
      return std::optional<BackupEvent>(std::move(event));
    }
    case 'm':
      in_manifest = true;
      if (!in_archive) return std::optional<BackupEvent>();
      in_archive = false;
      return std::optional<BackupEvent>(ArchiveEnd{});
    case 'd':
      if (in_manifest) return std::optional<BackupEvent>(ManifestData{body});
      if (!in_archive) return protocol("data outside an archive");
      bytes_read += body.size();
      return std::optional<BackupEvent>(ArchiveData{body});
    case 'p':
      return std::optional<BackupEvent>();
    default:
      return protocol(fmt::format("unknown message 0x{:02x}", message[0]));
  }
}

/// A COPY has ended: the only one (15 and newer), or that of one archive or of the manifest (13, 14).
Result<std::optional<BackupEvent>> BaseBackup::State::copy_done() {
  in_copy = false;
  if (!in_archive) return std::optional<BackupEvent>();
  in_archive = false;
  return std::optional<BackupEvent>(ArchiveEnd{});
}

/// Between two COPYs: the next one, or the stop position.
Result<std::optional<BackupEvent>> BaseBackup::State::next_copy(Instant deadline) {
  STELE_TRY(PgResult got, result(deadline));
  const ExecStatusType status = PQresultStatus(got.get());
  if (status == PGRES_COMMAND_OK) return std::optional<BackupEvent>();  // the end of the COPY before
  if (status == PGRES_COPY_OUT) {
    in_copy = true;
    if (typed) return std::optional<BackupEvent>();
    if (archives == begin.tablespaces.size()) {
      in_manifest = true;
      return std::optional<BackupEvent>();
    }
    const BackupTablespace& space = begin.tablespaces[archives];
    STELE_TRY(BackupEvent event, begin_archive(ArchiveBegin{space.oid, space.path}));
    return std::optional<BackupEvent>(std::move(event));
  }
  if (status != PGRES_TUPLES_OK || PQntuples(got.get()) != 1 || PQnfields(got.get()) < 2) {
    return protocol("the stop position was expected");
  }
  if (archives != begin.tablespaces.size() || !in_manifest)
    return protocol("the backup ended before all of its archives");
  BackupEnd end;
  STELE_TRY(end.stop, parse_position(value(got.get(), 0, 0).value_or("")));
  STELE_TRY(end.timeline, number<std::uint32_t>(value(got.get(), 0, 1).value_or("")));
  // The command is complete only when the server says so: an error can still follow.
  while (true) {
    STELE_TRY(PgResult rest, connection.next_result(deadline));
    if (!rest) break;
    if (PQresultStatus(rest.get()) != PGRES_COMMAND_OK) {
      return server_error(kTried, connection.host(), connection.message_of(rest.get()));
    }
  }
  finished = true;
  return std::optional<BackupEvent>(end);
}

Result<BackupEvent> BaseBackup::State::step(Instant deadline) {
  if (pending_begin) {
    ArchiveBegin archive = std::move(*pending_begin);
    pending_begin.reset();
    return begin_archive(std::move(archive));
  }
  while (true) {
    std::optional<BackupEvent> event;
    if (!in_copy) {
      STELE_TRY(event, next_copy(deadline));
    } else {
      char* raw = nullptr;
      const int size = PQgetCopyData(connection.raw(), &raw, 1);
      buffer.reset(raw);
      const ByteView message(reinterpret_cast<const std::uint8_t*>(raw), size > 0 ? static_cast<std::size_t>(size) : 0);
      if (size > kMaxMessage) return protocol("a message larger than 1 MiB");
      if (size < -1) return server_error(kTried, connection.host(), connection.connection_message());
      if (size == -1) {
        STELE_TRY(event, copy_done());
      } else if (size == 0) {
        STELE_TRY(const PgConnection::Ready ready, connection.wait(deadline, false));
        if (ready == PgConnection::Ready::kDeadline) {
          return Error{ErrorCode::kTimeout, fmt::format("{} on {}: no data in time", kTried, connection.host()), ""};
        }
      } else if (typed) {
        STELE_TRY(event, typed_message(message));
      } else if (in_manifest) {
        event = ManifestData{message};
      } else {
        bytes_read += message.size();
        event = ArchiveData{message};
      }
    }
    if (event) return std::move(*event);
  }
}

BaseBackup::BaseBackup(std::unique_ptr<State> state) : state_(std::move(state)) {}
BaseBackup::~BaseBackup() = default;
BaseBackup::BaseBackup(BaseBackup&&) noexcept = default;
BaseBackup& BaseBackup::operator=(BaseBackup&&) noexcept = default;

Result<BaseBackup> BaseBackup::start(PgConnection replication, BaseBackupOptions options, Instant deadline) {
  if (replication.server_version() < 130000) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} on {}: server version {} is older than 13", kTried, replication.host(),
                             replication.server_version()),
                 ""};
  }
  if (options.max_rate_kib && (*options.max_rate_kib < 32 || *options.max_rate_kib > 1'048'576)) {
    return Error{ErrorCode::kConfig, fmt::format("MAX_RATE of {} KiB/s", *options.max_rate_kib),
                 "use 32 to 1048576 KiB/s"};
  }
  auto state = std::make_unique<State>(std::move(replication));
  PgConnection& c = state->connection;
  STELE_CHECK(c.send(base_backup_command(c.server_version(), options, c.literal(options.label))));
  STELE_TRY(const auto at, state->position(deadline));
  std::tie(state->begin.start, state->begin.timeline) = at;
  STELE_CHECK(state->tablespaces(deadline));
  return BaseBackup(std::move(state));
}

const BackupStart& BaseBackup::begin() const {
  return state_->begin;
}

Result<BackupEvent> BaseBackup::next(Instant deadline) {
  if (state_->finished) return Error{ErrorCode::kInternal, "the base backup is finished", ""};
  auto event = state_->step(deadline);
  if (!event.ok()) state_->finished = true;
  return event;
}

std::uint64_t BaseBackup::bytes_read() const {
  return state_->bytes_read;
}

std::uint64_t BaseBackup::estimated_size() const {
  std::uint64_t sum = 0;
  for (const BackupTablespace& space : state_->begin.tablespaces) sum += space.estimated_size;
  return sum;
}

}  // namespace stele::agent
