#include "tests/tools/workload/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <fstream>
#include <sstream>

namespace stele::workload {
namespace {

constexpr std::string_view kWords[] = {"acknowledged", "warned", "unknown"};

template <typename Number>
bool read_number(std::string_view text, Number& out, int base = 10) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return problem == std::errc() && end == text.data() + text.size();
}

}  // namespace

std::string to_line(const Entry& e) {
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", kWords[static_cast<int>(e.outcome)], e.run, e.client,
                     e.sequence, e.xid, e.position, e.committed_at, e.received_at);
}

Result<Entry> parse_line(std::string_view line) {
  const Error bad{ErrorCode::kDamaged, "ledger line \"" + std::string(line.substr(0, 200)) + "\": not an entry", ""};
  std::vector<std::string_view> fields;
  for (std::string_view rest = line;;) {
    const auto tab = rest.find('\t');
    fields.push_back(rest.substr(0, tab));
    if (tab == std::string_view::npos) break;
    rest.remove_prefix(tab + 1);
  }
  if (fields.size() != 8) return bad;
  Entry e;
  const auto* word = std::find(std::begin(kWords), std::end(kWords), fields[0]);
  if (word == std::end(kWords)) return bad;
  e.outcome = static_cast<Outcome>(word - std::begin(kWords));
  e.run = fields[1];
  if (!read_number(fields[2], e.client) || !read_number(fields[3], e.sequence) || !read_number(fields[4], e.xid))
    return bad;
  e.position = fields[5];
  e.committed_at = fields[6];
  e.received_at = fields[7];
  if (!e.position.empty() && !position_number(e.position)) return bad;
  return e;
}

Result<LedgerFile> LedgerFile::open(const std::string& path, bool sync) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return system_error("open", path, errno);
  return LedgerFile(fd, path, sync);
}

LedgerFile::LedgerFile(LedgerFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)), sync_(other.sync_) {}

LedgerFile::~LedgerFile() {
  if (fd_ >= 0) close(fd_);
}

Status LedgerFile::append(const Entry& entry) {
  const std::string line = to_line(entry);
  const ssize_t written = write(fd_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size()))
    return system_error("append to", path_, written < 0 ? errno : ENOSPC);
  if (sync_ && fdatasync(fd_) != 0) return system_error("sync", path_, errno);
  return {};
}

Result<std::vector<Entry>> read_ledger(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return system_error("open", path, errno == 0 ? ENOENT : errno);
  std::stringstream buffer;
  buffer << in.rdbuf();
  const std::string text = buffer.str();
  std::vector<Entry> out;
  for (std::size_t at = 0;;) {
    const auto end = text.find('\n', at);
    if (end == std::string::npos) return out;
    STELE_TRY(Entry entry, parse_line(std::string_view(text).substr(at, end - at)));
    out.push_back(std::move(entry));
    at = end + 1;
  }
}

Comparison compare(const std::vector<Entry>& recorded, const std::set<CommitName>& present,
                   std::optional<std::uint64_t> until) {
  Comparison out;
  std::set<CommitName> known;
  for (const Entry& e : recorded) {
    CommitName name{e.run, e.client, e.sequence};
    const bool there = present.contains(name);
    switch (e.outcome) {
      case Outcome::kAcknowledged:
        if (until) {
          const auto position = position_number(e.position);
          if (!position || *position > *until) {
            ++out.after;
            break;
          }
        }
        ++out.acknowledged;
        if (there) {
          ++out.found;
        } else {
          out.missing.push_back(name);
        }
        break;
      case Outcome::kWarned:
        ++out.warned;
        break;
      case Outcome::kUnknown:
        ++out.unknown;
        if (there) ++out.unknown_and_present;
        break;
    }
    known.insert(std::move(name));
  }
  for (const auto& name : present) {
    if (!known.contains(name)) ++out.not_recorded;
  }
  return out;
}

std::optional<std::uint64_t> position_number(std::string_view text) {
  const auto slash = text.find('/');
  std::uint32_t high = 0, low = 0;
  if (slash == std::string_view::npos || !read_number(text.substr(0, slash), high, 16) ||
      !read_number(text.substr(slash + 1), low, 16))
    return std::nullopt;
  return static_cast<std::uint64_t>(high) << 32 | low;
}

}  // namespace stele::workload
