#include "restore/postgres/verify_backup.h"

#include <fmt/format.h>

namespace stele::restore {

Result<VerifyOutcome> verify_backup(io::FileSystem& fs, ProcessRunner& runner, const Installation& installation,
                                    const OsUser& user, const std::string& data_directory, Duration timeout) {
  STELE_TRY(bool program, fs.exists(installation.program("pg_verifybackup")));
  if (!program) return VerifyOutcome::kNoProgram;
  STELE_TRY(bool manifest, fs.exists(data_directory + "/backup_manifest"));
  if (!manifest) return VerifyOutcome::kNoManifest;
  STELE_TRY(
      ProcessOutput output,
      runner.run({.argv = {installation.program("pg_verifybackup"), "-n", "--quiet", data_directory}, .user = user},
                 timeout));
  if (output.end.ok()) return VerifyOutcome::kVerified;
  // One complaint a line, "pg_verifybackup: error: ..."; three are enough for a message.
  std::string complaints;
  std::string_view rest = output.err;
  for (int n = 0; n < 3 && !rest.empty(); ++n) {
    auto end = rest.find('\n');
    complaints += (n == 0 ? "" : "; ") + std::string(rest.substr(0, std::min<std::size_t>(end, 300)));
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return Error{
      ErrorCode::kDamaged,
      fmt::format("verify {} with pg_verifybackup: {}: {}", data_directory, output.end.to_string(), complaints),
      "do not start this directory; restore again from another snapshot or receiver"};
}

}  // namespace stele::restore
