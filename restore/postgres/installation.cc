#include "restore/postgres/installation.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

#include "core/pg/versions.h"
#include "restore/postgres/config_file.h"

namespace stele::restore {
namespace {

constexpr Duration kPatience = std::chrono::seconds(20);

std::string first_line(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

Result<Installation> look_into(io::FileSystem& fs, ProcessRunner& runner, const std::string& directory) {
  Installation found;
  found.bin_directory = directory;
  STELE_TRY(ProcessOutput version, runner.run({.argv = {found.program("postgres"), "--version"}}, kPatience));
  if (!version.end.ok()) {
    return Error{ErrorCode::kUnsupported,
                 fmt::format("run {} --version: {}: {}", found.program("postgres"), version.end.to_string(),
                             first_line(version.err)),
                 ""};
  }
  STELE_TRY(found.version, parse_version_line(first_line(version.out)));
  found.major = major_of(found.version);
  // Only with the development or client package; the compiled-in layouts of Debian and PGDG are known.
  STELE_TRY(bool has_config, fs.exists(found.program("pg_config")));
  if (has_config) {
    auto library = runner.run({.argv = {found.program("pg_config"), "--pkglibdir"}}, kPatience);
    if (library.ok() && library->end.ok()) found.library_directory = first_line(library->out);
  }
  if (found.library_directory.empty() && directory.ends_with("/bin")) {
    std::string candidate = directory.substr(0, directory.size() - 3) + "lib";
    STELE_TRY(bool there, fs.exists(candidate));
    if (there) found.library_directory = candidate;
  }
  return found;
}

Error no_user(const std::string& name) {
  return {ErrorCode::kConfig, fmt::format("look up operating system user '{}': there is none", name),
          "set [postgres] user in the configuration, or install PostgreSQL's server package"};
}

Result<OsUser> user_of(const passwd& entry) {
  OsUser user;
  user.change = true;
  user.uid = entry.pw_uid;
  user.gid = entry.pw_gid;
  user.name = entry.pw_name;
  int count = 256;
  user.groups.resize(static_cast<std::size_t>(count));
  if (getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0) {
    user.groups.resize(static_cast<std::size_t>(count));
    if (getgrouplist(entry.pw_name, entry.pw_gid, user.groups.data(), &count) < 0)
      return system_error("list the groups of", user.name, E2BIG);
  }
  user.groups.resize(static_cast<std::size_t>(count));
  return user;
}

/// getpwnam_r and getpwuid_r with a buffer that lives long enough.
template <typename Lookup>
Result<std::optional<OsUser>> look_up(Lookup lookup) {
  std::vector<char> buffer(64 * 1024);
  passwd entry{};
  passwd* found = nullptr;
  int number = lookup(&entry, buffer.data(), buffer.size(), &found);
  if (number != 0) return system_error("look up", "the server's user", number);
  if (found == nullptr) return std::optional<OsUser>();
  STELE_TRY(OsUser user, user_of(entry));
  return std::optional<OsUser>(std::move(user));
}

Result<std::optional<OsUser>> by_name(const std::string& name) {
  return look_up([&](passwd* e, char* b, std::size_t n, passwd** f) { return getpwnam_r(name.c_str(), e, b, n, f); });
}
Result<std::optional<OsUser>> by_id(uid_t uid) {
  return look_up([&](passwd* e, char* b, std::size_t n, passwd** f) { return getpwuid_r(uid, e, b, n, f); });
}

/// Takes over `fd`.
Status give_directory(const OsUser& user, int fd, const std::string& path, int depth) {
  if (depth > 64) {
    close(fd);
    return Error{ErrorCode::kLimit, fmt::format("change the owner of {}: too many levels", path), ""};
  }
  if (fchown(fd, user.uid, user.gid) != 0) {
    int number = errno;
    close(fd);
    return system_error("change the owner of", path, number);
  }
  DIR* dir = fdopendir(fd);
  if (dir == nullptr) {
    int number = errno;
    close(fd);
    return system_error("list", path, number);
  }
  Status result;
  while (result.ok()) {
    errno = 0;
    dirent* entry = readdir(dir);
    if (entry == nullptr) {
      if (errno != 0) result = system_error("list", path, errno);
      break;
    }
    std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    std::string child = path + "/" + entry->d_name;
    int sub = openat(dirfd(dir), entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (sub >= 0) {
      result = give_directory(user, sub, child, depth + 1);
    } else if (errno == ENOTDIR || errno == ELOOP) {
      if (fchownat(dirfd(dir), entry->d_name, user.uid, user.gid, AT_SYMLINK_NOFOLLOW) != 0)
        result = system_error("change the owner of", child, errno);
    } else {
      result = system_error("open", child, errno);
    }
  }
  closedir(dir);
  return result;
}

}  // namespace

Result<int> parse_version_line(std::string_view line) {
  constexpr std::string_view kStart = "postgres (PostgreSQL) ";
  auto refuse = [&] {
    return Error{ErrorCode::kUnsupported, fmt::format("read PostgreSQL's version: '{}' is not one", line.substr(0, 80)),
                 ""};
  };
  if (!line.starts_with(kStart)) return refuse();
  std::string_view text = line.substr(kStart.size());
  int major = 0, minor = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), major);
  if (error != std::errc() || major < 10 || major > 99) return refuse();
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with('.')) {
    auto [stop, problem] = std::from_chars(text.data() + 1, text.data() + text.size(), minor);
    if (problem != std::errc() || minor < 0 || minor > 9999) return refuse();
    (void)stop;
  }
  return major * 10000 + minor;
}

Result<Installation> find_installation(io::FileSystem& fs, ProcessRunner& runner, int server_version,
                                       const std::string& bin_directory) {
  int major = major_of(server_version);
  if (major < pg::kOldestMajor || major > pg::kNewestMajor) {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("find PostgreSQL {}: this program knows {} to {}", major, pg::kOldestMajor, pg::kNewestMajor), ""};
  }
  std::string hint = fmt::format(
      "install PostgreSQL {} (Debian: postgresql-{}), or set [postgres] bin_directory; another major version cannot "
      "read these files",
      major, major);
  if (!bin_directory.empty()) {
    STELE_TRY(bool there, fs.exists(bin_directory + "/postgres"));
    if (!there)
      return Error{ErrorCode::kUnsupported,
                   fmt::format("find PostgreSQL {}: {}/postgres does not exist", major, bin_directory), hint};
    STELE_TRY(Installation found, look_into(fs, runner, bin_directory));
    if (found.major == major) return found;
    return Error{ErrorCode::kUnsupported,
                 fmt::format("find PostgreSQL {}: {} has version {}", major, bin_directory, found.major), hint};
  }
  std::vector<std::string> places = {fmt::format("/usr/lib/postgresql/{}/bin", major),
                                     fmt::format("/usr/pgsql-{}/bin", major)};
  for (const char* config : {"/usr/local/bin/pg_config", "/usr/bin/pg_config"}) {
    STELE_TRY(bool there, fs.exists(config));
    if (!there) continue;
    auto answer = runner.run({.argv = {config, "--bindir"}}, kPatience);
    if (answer.ok() && answer->end.ok()) places.push_back(first_line(answer->out));
  }
  for (const auto& place : places) {
    STELE_TRY(bool there, fs.exists(place + "/postgres"));
    if (!there) continue;
    auto found = look_into(fs, runner, place);
    if (found.ok() && found->major == major) return found;
  }
  return Error{ErrorCode::kUnsupported, fmt::format("find PostgreSQL {}: not on this host", major), hint};
}

Result<OsUser> choose_user(const std::string& configured, const std::string& data_directory) {
  uid_t me = geteuid();
  if (me != 0) {
    if (!configured.empty()) {
      STELE_TRY(auto user, by_name(configured));
      if (!user) return no_user(configured);
      if (user->uid != me)
        return Error{ErrorCode::kConfig,
                     fmt::format("run PostgreSQL as '{}': only root can change the user", configured),
                     "run as root or as that user, or leave [postgres] user out"};
    }
    STELE_TRY(const auto known, by_id(me));
    return OsUser{.change = false, .uid = me, .gid = getegid(), .name = known ? known->name : std::to_string(me)};
  }
  std::optional<OsUser> user;
  std::string name = configured;
  struct stat info {};
  if (name.empty() && stat(data_directory.c_str(), &info) == 0 && info.st_uid != 0) {
    STELE_TRY(user, by_id(info.st_uid));
  }
  if (!user) {
    if (name.empty()) name = "postgres";
    STELE_TRY(user, by_name(name));
  }
  if (!user) return no_user(name);
  if (user->uid == 0)
    return Error{ErrorCode::kConfig, "run PostgreSQL as root: it refuses that",
                 "set [postgres] user to an unprivileged user"};
  return std::move(*user);
}

Status check_can_reach(ProcessRunner& runner, const OsUser& user, const std::string& path) {
  if (!user.change) return {};
  std::vector<std::string> above;
  for (std::filesystem::path up = std::filesystem::path(path).parent_path(); up.has_relative_path(); up = up.parent_path()) {
    std::error_code ec;
    if (std::filesystem::is_directory(up, ec)) above.insert(above.begin(), up.string());
  }
  for (const std::string& directory : above) {
    STELE_TRY(const ProcessOutput asked, runner.run({.argv = {"/usr/bin/test", "-x", directory}, .user = user}, kPatience));
    if (asked.end.ok()) continue;
    return Error{ErrorCode::kConfig, fmt::format("place a server of user {} in {}: {} does not let this user pass", user.name, path, directory),
                 fmt::format("chmod o+x {}, or choose another place; nothing was written", directory)};
  }
  return {};
}

Status give_tree_to(const OsUser& user, const std::string& directory) {
  if (!user.change) return {};
  int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return system_error("open", directory, errno);
  return give_directory(user, fd, directory, 0);
}

Status give_file_to(const OsUser& user, const std::string& path) {
  if (user.change && lchown(path.c_str(), user.uid, user.gid) != 0)
    return system_error("change the owner of", path, errno);
  return {};
}

Result<std::vector<std::string>> missing_libraries(io::FileSystem& fs, const Installation& installation,
                                                   std::string_view preload_list) {
  std::vector<std::string> missing;
  auto words = split_list(preload_list);
  if (!words || installation.library_directory.empty()) return missing;
  for (const auto& word : *words) {
    std::string path = word;
    if (path.starts_with("$libdir/")) path = path.substr(8);
    if (!path.starts_with('/')) path = installation.library_directory + "/" + path;
    STELE_TRY(bool plain, fs.exists(path));
    if (plain) continue;
    STELE_TRY(bool with_suffix, fs.exists(path + ".so"));
    if (!with_suffix) missing.push_back(word);
  }
  return missing;
}

}  // namespace stele::restore
