#pragma once

#include <string>

#include "restore/postgres/installation.h"

namespace stele::restore {

enum class VerifyOutcome {
  kVerified,    ///< every file is what the source's backup_manifest says
  kNoProgram,   ///< pg_verifybackup is not installed
  kNoManifest,  ///< the data directory has no backup_manifest
};

/// Runs PostgreSQL's own pg_verifybackup -n on a data directory that was not started or configured yet. It ignores
/// pg_wal, recovery.signal and postgresql.auto.conf; every other foreign file counts as damage. kDamaged with its first
/// complaints.
Result<VerifyOutcome> verify_backup(io::FileSystem& fs, ProcessRunner& runner, const Installation& installation,
                                    const OsUser& user, const std::string& data_directory, Duration timeout);

}  // namespace stele::restore
