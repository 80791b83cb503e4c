#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/postgres/connection.h"
#include "core/base/identity.h"

namespace stele::agent {

struct BaseBackupOptions {
  std::string label = "stele";
  bool fast_checkpoint = false;  ///< false: CHECKPOINT 'spread', which hurts the server less and takes minutes
  std::optional<std::uint32_t> max_rate_kib;  ///< KiB a second, 32 to 1,048,576 (PostgreSQL's limits)
};

/// One tablespace of the server. The main data directory has no oid and no path.
struct BackupTablespace {
  std::optional<std::uint32_t> oid;
  std::string path;                  ///< where it lies on the source's host
  std::uint64_t estimated_size = 0;  ///< bytes, as PostgreSQL counted before it began
};

struct BackupStart {
  Position start;  ///< the checkpoint's redo position: recovery begins here
  std::uint32_t timeline = 0;
  std::vector<BackupTablespace> tablespaces;  ///< in the order of the archives; the main directory is among them
};

struct ArchiveBegin {
  std::optional<std::uint32_t> oid;  ///< none: the main data directory
  std::string path;
};
struct ArchiveData {
  ByteView bytes;  ///< a piece of a tar stream, valid until the next call
};
struct ArchiveEnd {};
/// A piece of PostgreSQL's backup_manifest (JSON); comes after all archives.
struct ManifestData {
  ByteView bytes;
};
struct BackupEnd {
  Position stop;  ///< the log must be durable up to here before the backup can be restored
  std::uint32_t timeline = 0;
};
using BackupEvent = std::variant<ArchiveBegin, ArchiveData, ArchiveEnd, ManifestData, BackupEnd>;

/// One BASE_BACKUP on a replication connection of its own (never the log's). Speaks the sub-protocol of PostgreSQL 15
/// and newer (one COPY with typed messages) and of 13 and 14 (one COPY for each archive), decided by server_version.
/// WAIT false, VERIFY_CHECKSUMS false (page checks are the snapshot's own), MANIFEST yes, no TABLESPACE_MAP. Belongs to
/// one thread; holds one message (≤ 1 MiB) at a time: reading slowly is the back-pressure. Dropping it midway closes
/// the connection, and the server ends the backup.
class BaseBackup {
 public:
  /// Waits for the checkpoint: give a deadline of at least checkpoint_timeout unless `fast_checkpoint`. kUnsupported
  /// before PostgreSQL 13.
  static Result<BaseBackup> start(PgConnection replication, BaseBackupOptions options, Instant deadline);
  ~BaseBackup();
  BaseBackup(BaseBackup&&) noexcept;
  BaseBackup& operator=(BaseBackup&&) noexcept;

  const BackupStart& begin() const;
  /// The next event; kTimeout when nothing came until the deadline (then the backup has failed). After BackupEnd:
  /// kInternal.
  Result<BackupEvent> next(Instant deadline);

  std::uint64_t bytes_read() const;      ///< tar bytes of all archives so far
  std::uint64_t estimated_size() const;  ///< sum over the tablespaces; may be less than bytes_read at the end

 private:
  struct State;
  explicit BaseBackup(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The BASE_BACKUP command for a server version; `label` is a quoted literal. Pure.
std::string base_backup_command(int server_version, const BaseBackupOptions& options, std::string_view quoted_label);

}  // namespace stele::agent
