#include "restore/postgres/table_dump.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/base/text.h"

extern char** environ;

namespace stele::restore {
namespace {

constexpr std::size_t kMaxName = 63;  // NAMEDATALEN - 1

std::string quote_name(std::string_view name) {
  std::string out = "\"";
  for (char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

bool is_plain(std::string_view name) {
  auto ok = [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9'); };
  return !name.empty() && !(name[0] >= '0' && name[0] <= '9') && std::all_of(name.begin(), name.end(), ok);
}

std::string show_name(std::string_view name) { return is_plain(name) ? std::string(name) : quote_name(name); }

/// The operator's own connection settings: libpq's variables and where its files are.
std::vector<std::pair<std::string, std::string>> client_environment() {
  std::vector<std::pair<std::string, std::string>> out;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos && (text.starts_with("PG") || text.starts_with("HOME="))) out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

TableName name_of(const SqlRow& row) { return {row[0].value_or(""), row[1].value_or("")}; }

}  // namespace

std::string TableName::to_string() const { return show_name(schema) + "." + show_name(table); }

Result<TableName> parse_table_name(std::string_view text) {
  auto refuse = [&](std::string_view why) { return Error{ErrorCode::kUsage, fmt::format("--table {}: {}", one_line(text, 80), why), "for example --table registry.member"}; };
  std::vector<std::string> parts(1);
  bool quoted = false, was_quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\0') return refuse("not a name");
    if (quoted) {
      if (c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
        parts.back() += '"';
        ++i;
      } else if (c == '"') {
        quoted = false;
      } else {
        parts.back() += c;
      }
    } else if (c == '"') {
      if (!parts.back().empty() || was_quoted) return refuse("a quote inside a name");
      quoted = was_quoted = true;
    } else if (c == '.') {
      parts.emplace_back();
      was_quoted = false;
    } else {
      if (was_quoted) return refuse("text behind a quoted name");
      parts.back() += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  if (quoted) return refuse("a quote is not closed");
  if (parts.size() > 2) return refuse("more than SCHEMA.TABLE; the database is given by --dbname");
  for (const std::string& part : parts) {
    if (part.empty() || part.size() > kMaxName) return refuse("each part has 1 to 63 bytes");
  }
  if (parts.size() == 1) return TableName{"public", parts[0]};
  return TableName{parts[0], parts[1]};
}

std::string sql_literal(std::string_view text) {
  // E'' reads the same whatever standard_conforming_strings says.
  std::string out = "E'";
  for (char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + "'";
}

Result<std::vector<std::optional<FoundTable>>> find_tables(SqlSession& session, const std::vector<TableName>& names, Instant deadline) {
  std::vector<std::optional<FoundTable>> out;
  for (const TableName& name : names) {
    const std::string own = fmt::format(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relname = {} "
        "AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')",
        sql_literal(name.schema), sql_literal(name.table));
    STELE_TRY(const SqlRows found, session.query(own, deadline));
    if (found.rows.empty() || !found.rows[0][0]) {
      out.emplace_back();
      continue;
    }
    FoundTable table{name, {}};
    STELE_TRY(const SqlRows below,
              session.query(fmt::format("WITH RECURSIVE below AS (SELECT inhrelid FROM pg_inherits WHERE inhparent = {} UNION "
                                        "SELECT i.inhrelid FROM pg_inherits i JOIN below b ON i.inhparent = b.inhrelid) "
                                        "SELECT n.nspname, c.relname FROM below JOIN pg_class c ON c.oid = inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
                                        "WHERE c.relkind IN ('r', 'p', 'f') ORDER BY 1, 2",
                                        *found.rows[0][0]),
                            deadline));
    for (const SqlRow& row : below.rows) table.children.push_back(name_of(row));
    out.emplace_back(std::move(table));
  }
  return out;
}

Result<std::vector<TableName>> near_tables(SqlSession& session, const TableName& name, Instant deadline) {
  STELE_TRY(const SqlRows rows,
            session.query(fmt::format("SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                                      "WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%' "
                                      "ORDER BY lower(c.relname) <> lower({0}), n.nspname <> {1}, left(c.relname, 3) <> left({0}, 3), 1, 2 LIMIT 5",
                                      sql_literal(name.table), sql_literal(name.schema)),
                          deadline));
  std::vector<TableName> out;
  for (const SqlRow& row : rows.rows) out.push_back(name_of(row));
  return out;
}

Status DumpTools::run(const std::string& what, std::vector<std::string> argv, std::vector<std::pair<std::string, std::string>> environment) {
  ProcessSpec spec;
  spec.argv = std::move(argv);
  spec.environment = std::move(environment);
  spec.output_file = log_file_;
  ::unlink(log_file_.c_str());
  STELE_TRY(auto child, runner_.start(spec));
  bool stopping = false;
  for (;;) {
    STELE_TRY(const auto end, child->poll());
    if (end) {
      if (stopping) return Error{ErrorCode::kCancelled, what + ": stopped", ""};
      if (end->ok()) return {};
      Result<std::string> said = std::string();
      if (FILE* log = std::fopen(log_file_.c_str(), "rb")) {
        said->resize(64 << 10);
        said->resize(std::fread(said->data(), 1, said->size(), log));
        std::fclose(log);
      }
      return Error{ErrorCode::kDatabase, fmt::format("{}: {}: {}", what, end->to_string(), one_line(*said, 1000)), ""};
    }
    if (!stopping && cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed)) {
      stopping = true;
      STELE_CHECK(child->send_signal(SIGTERM));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Status DumpTools::dump(const Dump& what) {
  std::vector<std::string> argv = {installation_.program("pg_dump"), "-h", what.from.host, "-p", std::to_string(what.from.port), "-U", what.from.user, "-w",
                                   "--format=" + std::string(what.custom ? "custom" : "plain"), "--file=" + what.file};
  // A custom dump is only read back from our own disk.
  if (what.custom) argv.push_back("--compress=0");
  if (what.data_only) argv.push_back("--data-only");
  // In quotes a pattern is a name.
  for (const TableName& table : what.tables) argv.push_back(fmt::format("--table={}.{}", quote_name(table.schema), quote_name(table.table)));
  // As a connection string: a database may be named like one.
  std::string database = "dbname='";
  for (char c : what.database) database += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  argv.push_back("--dbname=" + database + "'");
  // From our own socket, whatever the operator's PGHOSTADDR or PGSERVICE name.
  return run("pg_dump", std::move(argv), {});
}

Status DumpTools::load(const std::string& file, const std::string& connection, bool data_only) {
  std::vector<std::string> argv = {installation_.program("pg_restore"), "-w", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"};
  if (data_only) argv.push_back("--data-only");
  argv.push_back("--dbname=" + connection);
  argv.push_back(file);
  return run("pg_restore into the given connection", std::move(argv), client_environment());
}

Result<std::string> DumpTools::ask(const std::string& connection, const std::string& sql) {
  ProcessSpec spec;
  spec.argv = {installation_.program("psql"), "-X", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1", "-d", connection, "-c", sql};
  spec.environment = client_environment();
  STELE_TRY(const ProcessOutput done, runner_.run(spec, std::chrono::seconds(60)));
  if (!done.end.ok()) return Error{ErrorCode::kDatabase, "--into: " + one_line(done.err, 500), "a libpq connection string, as psql takes it; passwords from ~/.pgpass or a service file"};
  std::string out = done.out;
  while (out.ends_with('\n')) out.pop_back();
  return out;
}

Status check_connection(const std::string& connection) {
  if (connection.empty()) return Error{ErrorCode::kUsage, "--into: empty", "a libpq connection string, e.g. \"host=db1 dbname=registry user=postgres\""};
  std::string lower = connection;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const std::size_t scheme = lower.find("://"), at = lower.find('@');
  const bool in_url = scheme != std::string::npos && at != std::string::npos && lower.substr(scheme + 3, at - scheme - 3).find(':') != std::string::npos;
  if (lower.find("password") == std::string::npos && !in_url) return {};
  return Error{ErrorCode::kUsage, "--into: a password on the command line can be read by every user of this host", "put it into ~/.pgpass or a service file"};
}

}  // namespace stele::restore
