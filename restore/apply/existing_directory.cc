#include "restore/apply/existing_directory.h"

#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/pg/control_file.h"
#include "restore/apply/data_directory.h"

namespace stele::restore {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMarkerWord = "stele-incomplete system_identifier ";

std::string read_front(const fs::path& path, std::size_t limit) {
  std::ifstream in(path, std::ios::binary);
  std::string text(limit, '\0');
  in.read(text.data(), static_cast<std::streamsize>(limit));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

template <typename Number>
std::optional<Number> leading_number(std::string_view text) {
  Number value{};
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace

bool ExistingDirectory::holds(std::uint32_t oid, const std::string& directory) const {
  auto found = tablespaces.find(oid);
  return found != tablespaces.end() && found->second == directory;
}

std::string marker_first_line(std::uint64_t system_identifier) { return fmt::format("{}{}", kMarkerWord, system_identifier); }

Result<ExistingDirectory> inspect_existing(const std::string& directory) {
  ExistingDirectory out;
  STELE_TRY(out.path, resolve_target(directory));
  const fs::path root = out.path;
  std::error_code ec;
  const std::string marker = read_front(marker_path(out.path), 256);
  const bool empty = !fs::exists(root, ec) || (fs::is_directory(root, ec) && fs::is_empty(root, ec));
  if (empty && marker.empty()) return out;
  out.there = fs::exists(root, ec);
  // As PostgreSQL itself judges (utils/init/miscinit.c, CreateLockFile): the process of that number lives, or the file is a leftover.
  if (fs::exists(root / "postmaster.pid", ec)) {
    const auto pid = leading_number<int>(read_front(root / "postmaster.pid", 64));
    if (!pid || *pid <= 1 || ::kill(*pid, 0) == 0 || errno == EPERM) {
      return Error{ErrorCode::kExists, fmt::format("{}: PostgreSQL runs there (postmaster.pid{})", out.path, pid ? fmt::format(", process {}", *pid) : ""),
                   "stop it first; if none runs, remove postmaster.pid"};
    }
  }
  if (fs::is_directory(root / "pg_tblspc", ec)) {
    for (const auto& entry : fs::directory_iterator(root / "pg_tblspc", ec)) {
      const auto oid = leading_number<std::uint32_t>(entry.path().filename().string());
      if (oid && fs::is_symlink(entry.symlink_status())) out.tablespaces[*oid] = normal_path(fs::read_symlink(entry.path(), ec).string());
    }
  }
  const std::string control = read_front(root / "global/pg_control", 8192);
  if (!control.empty()) {
    auto parsed = pg::parse_control_file(as_bytes(control));
    if (!parsed.ok()) return parsed.error().in(fmt::format("look at {}/global/pg_control", out.path)).with_hint("restore into an empty directory");
    out.system_identifier = parsed->system_identifier;
    return out;
  }
  if (!marker.starts_with(kMarkerWord)) {
    return Error{ErrorCode::kExists, fmt::format("{} is not empty, and neither a PostgreSQL data directory nor an incomplete restore", out.path), "choose an empty or new directory"};
  }
  out.incomplete = true;
  out.system_identifier = leading_number<std::uint64_t>(std::string_view(marker).substr(kMarkerWord.size())).value_or(0);
  return out;
}

}  // namespace stele::restore
