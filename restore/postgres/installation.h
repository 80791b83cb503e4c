#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/io/file_system.h"
#include "restore/postgres/process_runner.h"

namespace stele::restore {

/// PostgreSQL's programs of one major version on this host.
struct Installation {
  std::string bin_directory;
  std::string library_directory;  ///< $libdir, where preload libraries are looked up (pg_config --pkglibdir); empty
                                  ///< when not known
  int major = 0;
  int version = 0;  ///< 150020 for 15.20
  std::string program(std::string_view name) const { return bin_directory + "/" + std::string(name); }
};

/// 150020 gives 15.
constexpr int major_of(int server_version) {
  return server_version / 10000;
}

/// "postgres (PostgreSQL) 15.20 (Debian ...)" to 150020; beta and rc versions give x.0. kUnsupported when it is
/// something else.
Result<int> parse_version_line(std::string_view line);

/// Finds the programs for data of `server_version` (150020). With a configured directory only that one is asked;
/// otherwise /usr/lib/postgresql/MAJOR/bin, /usr/pgsql-MAJOR/bin, and what pg_config on the PATH says. kUnsupported
/// with a hint when this major version is not here: another one cannot read the files.
Result<Installation> find_installation(io::FileSystem& fs, ProcessRunner& runner, int server_version,
                                       const std::string& bin_directory);

/// Who runs the server: the caller, unless that is root, whom PostgreSQL refuses: then the configured user, else the
/// owner of the data directory when it is not root, else "postgres". kConfig when there is no such user, or when the
/// caller is neither root nor that user.
Result<OsUser> choose_user(const std::string& configured, const std::string& data_directory);

/// The user can pass every directory above `path`, as far as they exist: asked before anything is written, for the server would
/// refuse only at its start. kConfig names the one that is closed. Access lists count too, so a small program asks as that user.
Status check_can_reach(ProcessRunner& runner, const OsUser& user, const std::string& path);

/// Gives a directory and all that is beneath to the user; symbolic links are changed themselves and never followed.
/// Nothing to do when user.change is false. Blocks for one pass over the tree.
Status give_tree_to(const OsUser& user, const std::string& directory);

/// The same for one file, which is not followed when it is a link.
Status give_file_to(const OsUser& user, const std::string& path);

/// The words of a preload list that have no library on this host, e.g. "timescaledb". Unknown library directory: none.
Result<std::vector<std::string>> missing_libraries(io::FileSystem& fs, const Installation& installation,
                                                   std::string_view preload_list);

}  // namespace stele::restore
