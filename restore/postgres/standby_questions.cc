#include "restore/postgres/standby_questions.h"

#include <fmt/format.h>

#include <charconv>

#include "core/base/text.h"
#include "core/io/durable_file.h"

namespace stele::restore {
namespace {

template <typename Number>
std::optional<Number> number(std::string_view text, int base = 10) {
  Number value{};
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return ec == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::vector<std::string> split(std::string_view text, char by) {
  std::vector<std::string> out;
  for (;;) {
    const std::size_t at = text.find(by);
    out.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return out;
    text.remove_prefix(at + 1);
  }
}

}  // namespace

Result<StandbyQuestions> StandbyQuestions::open(const std::string& bin_directory, const std::string& user, const std::string& data_directory, std::string role) {
  StandbyQuestions out;
  io::PosixFileSystem fs;
  PosixProcessRunner runner;
  STELE_TRY(const Bytes version, io::read_file(fs, data_directory + "/PG_VERSION", 64));
  std::string text(as_text(version));
  while (text.ends_with('\n')) text.pop_back();
  const auto major = number<int>(text);
  if (!major) return Error{ErrorCode::kUsage, fmt::format("{} is not a PostgreSQL data directory", data_directory), ""};
  STELE_TRY(out.installation_, find_installation(fs, runner, *major * 10000, bin_directory));
  STELE_TRY(out.user_, choose_user(user, data_directory));
  out.data_directory_ = data_directory;
  out.role_ = std::move(role);
  return out;
}

Result<std::string> StandbyQuestions::query(const std::string& sql, Duration patience) const {
  io::PosixFileSystem fs;
  PosixProcessRunner runner;
  // Lines 4 and 5 are the port and the first socket directory (miscadmin.h, LOCK_FILE_LINE_PORT).
  auto file = io::read_file(fs, data_directory_ + "/postmaster.pid", 64 << 10);
  if (!file.ok()) return Error{ErrorCode::kClosed, fmt::format("no server runs on {}", data_directory_), "start it: pg_ctl -D DIR start"};
  const std::vector<std::string> lines = split(as_text(*file), '\n');
  if (lines.size() < 5 || lines[4].empty()) return Error{ErrorCode::kTemporary, "the server has not opened its socket yet", ""};
  const std::string host = lines[4].starts_with('/') ? lines[4] : data_directory_ + "/" + lines[4];
  ProcessSpec spec;
  spec.argv = {installation_.program("psql"), "-X", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", lines[3], "-U", role_, "-d", "postgres", "-c", sql};
  spec.user = user_;
  STELE_TRY(const ProcessOutput done, runner.run(spec, patience));
  if (!done.end.ok()) return Error{ErrorCode::kDatabase, "ask the standby: " + one_line(done.err, 400), "is --role right, and does pg_hba.conf let the server's own user in by peer?"};
  std::string out = done.out;
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

Result<StandbyState> StandbyQuestions::ask() const {
  STELE_TRY(const std::string row, query("SELECT pg_is_in_recovery(), coalesce(pg_last_wal_replay_lsn(), '0/0'), coalesce((extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint::text, '')",
                                         std::chrono::seconds(20)));
  const std::vector<std::string> columns = split(row, '|');
  if (columns.size() != 3) return Error{ErrorCode::kDatabase, "ask the standby: not one row", ""};
  StandbyState out;
  out.in_recovery = columns[0] == "t";
  STELE_TRY(out.replayed, parse_position(columns[1]));
  if (const auto micros = number<std::int64_t>(columns[2])) out.last_transaction = Timestamp{*micros};
  return out;
}

Result<std::uint32_t> StandbyQuestions::promote(Duration patience) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(patience).count();
  STELE_TRY(const std::string done, query(fmt::format("SELECT pg_promote(true, {})", seconds), patience + std::chrono::seconds(10)));
  if (done != "t") return Error{ErrorCode::kTimeout, "the standby was told to promote and did not within the time", "look at its log"};
  STELE_TRY(const std::string name, query("SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)", std::chrono::seconds(20)));
  const auto timeline = number<std::uint32_t>(name, 16);
  if (!timeline) return Error{ErrorCode::kDatabase, "ask the promoted server for its timeline: not a number", ""};
  return *timeline;
}

}  // namespace stele::restore
