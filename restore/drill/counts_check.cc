#include <fmt/format.h>

#include <charconv>
#include <set>

#include "restore/drill/checks.h"
#include "restore/drill/count_rule.h"
#include "restore/drill/measured_check.h"

namespace stele::restore {
namespace {

// The same question as agent/snapshot/table_counts.cc asked the source.
constexpr std::string_view kRelations =
    "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't' AND c.relkind <> 'c'";
/// A view that took a table's name is no table: counting it would run code of the source.
constexpr std::string_view kTables =
    "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')";

Result<std::uint64_t> number(const std::string& text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return Error{ErrorCode::kDatabase, "count: the copy gave no number", ""};
  return out;
}

std::string quoted(const std::string& name) {
  std::string out = "\"";
  for (const char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

Status CopyChecks::count_database(const format::DatabaseCounts& sealed, CountJudge& judge) {
  STELE_TRY(auto session, read_only_session(sealed.database));
  STELE_TRY(const SqlRows relations, session->query(kRelations, deadline()));
  STELE_TRY(const std::string relation_count, relations.single("its relations"));
  STELE_TRY(const std::uint64_t found, number(relation_count));
  judge.relations(found);
  STELE_TRY(const SqlRows names, session->query(kTables, deadline()));
  std::set<std::pair<std::string, std::string>> tables;
  for (const SqlRow& row : names.rows) tables.emplace(row[0].value_or(""), row[1].value_or(""));
  for (const format::TableCount& table : sealed.largest) {
    if (is_ignored(config_.count_ignore, table)) continue;
    if (!tables.contains({table.schema, table.name})) {
      judge.table_missing(table);
      continue;
    }
    // A refused query ends its transaction; the next one begins anew.
    STELE_TRY([[maybe_unused]] auto begun, session->query("ROLLBACK; BEGIN READ ONLY", deadline()));
    auto rows = session->query(fmt::format("SELECT count(*) FROM {}.{}", quoted(table.schema), quoted(table.name)), deadline());
    if (!rows.ok() && rows.error().code != ErrorCode::kDatabase) return rows.error();
    if (!rows.ok()) {
      judge.not_counted(table);
      continue;
    }
    STELE_TRY(const std::string count, rows->single("a number of rows"));
    STELE_TRY(const std::uint64_t counted, number(count));
    judge.counted(table, counted);
  }
  return {};
}

Check CopyChecks::counts(CountComparison& comparison) {
  return measured_check("counts", "表与行数对照备份时的封存值", "Tables and rows against what was sealed with the snapshot", [&](Check& out) -> Status {
    comparison.tolerance_percent = config_.count_tolerance_percent;
    STELE_TRY(const std::vector<format::DatabaseCounts> sealed, format::sealed_counts(job_.snapshot().texts));
    comparison.sealed = !sealed.empty();
    if (sealed.empty()) {
      out.result = CheckResult::kSkipped;
      out.detail = "not sealed: the agent that took this snapshot sealed no counts";
      out.detail_zh = "未封存：采集该快照的代理未封存计数";
      return {};
    }
    STELE_TRY(auto session, server_.connect_anywhere(deadline(), &cancelled_));
    STELE_TRY(const SqlRows names, session->query("SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname", deadline()));
    std::set<std::string> databases;
    for (const SqlRow& row : names.rows) databases.insert(row[0].value_or(""));
    for (const format::DatabaseCounts& database : sealed) {
      CountJudge judge(comparison, database);
      if (databases.erase(database.database) == 0) {
        judge.database_missing();
      } else {
        STELE_CHECK(count_database(database, judge));
      }
    }
    for (const std::string& other : databases) {
      comparison.databases.push_back({});
      comparison.databases.back().name = one_line(other, kMaxDetail);
    }
    std::uint64_t tables = 0, rows = 0, deviating = 0;
    for (const CountComparison::Database& database : comparison.databases) {
      tables += database.compared;
      rows += database.rows_found;
      deviating += database.deviating;
    }
    out.result = deviating == 0 ? CheckResult::kPassed : CheckResult::kFailed;
    out.detail = fmt::format("{} databases, {} tables, {} rows counted; {} deviate", sealed.size(), tables, rows, deviating);
    out.detail_zh = fmt::format("{} 个数据库、{} 张表，共 {} 行；不符 {} 处", sealed.size(), tables, rows, deviating);
    if (!databases.empty()) {
      out.detail += fmt::format("; {} databases not sealed", databases.size());
      out.detail_zh += fmt::format(";{} 个数据库未封存计数", databases.size());
    }
    return {};
  });
}

}  // namespace stele::restore
