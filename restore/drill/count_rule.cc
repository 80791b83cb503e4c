#include "restore/drill/count_rule.h"

#include <algorithm>

#include "core/base/text.h"

namespace stele::restore {
namespace {

constexpr std::size_t kMaxName = 200;

CountComparison::Database begin(const format::DatabaseCounts& sealed) {
  CountComparison::Database out;
  out.name = one_line(sealed.database, kMaxName);
  out.sealed = true;
  out.relations_sealed = sealed.relations;
  out.tables = sealed.tables;
  return out;
}

}  // namespace

bool too_few(std::uint64_t sealed, std::uint64_t found, int tolerance_percent) {
  if (found >= sealed || tolerance_percent >= 100) return false;
  const std::uint64_t allowed = sealed / 100 * static_cast<std::uint64_t>(tolerance_percent) + sealed % 100 * static_cast<std::uint64_t>(tolerance_percent) / 100;
  return found == 0 || sealed - found > std::max(allowed, kCountSlack);
}

bool is_ignored(const std::vector<std::string>& patterns, const format::TableCount& table) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& p) { return p == table.schema + "." + table.name || p == table.schema + ".*"; });
}

CountJudge::CountJudge(CountComparison& comparison, const format::DatabaseCounts& sealed) : comparison_(comparison), at_(comparison.databases.size()) {
  comparison_.databases.push_back(begin(sealed));
}

void CountJudge::database_missing() { deviates(CountDeviation::Problem::kDatabaseMissing, {}, 0, 0); }

void CountJudge::relations(std::uint64_t found) {
  database().relations_found = found;
  const std::uint64_t sealed = database().relations_sealed;
  if (too_few(sealed, found, comparison_.tolerance_percent)) deviates(CountDeviation::Problem::kFewerRelations, {}, sealed, found);
}

void CountJudge::table_missing(const format::TableCount& table) {
  ++database().compared;
  deviates(CountDeviation::Problem::kTableMissing, table, table.rows.value_or(0), 0);
}

void CountJudge::not_counted(const format::TableCount& table) { deviates(CountDeviation::Problem::kNotCounted, table, table.rows.value_or(0), 0); }

void CountJudge::counted(const format::TableCount& table, std::uint64_t rows) {
  ++database().compared;
  if (!table.rows) return;
  database().rows_sealed += *table.rows;
  database().rows_found += rows;
  if (too_few(*table.rows, rows, comparison_.tolerance_percent)) deviates(CountDeviation::Problem::kFewerRows, table, *table.rows, rows);
}

void CountJudge::deviates(CountDeviation::Problem problem, const format::TableCount& table, std::uint64_t sealed, std::uint64_t found) {
  ++database().deviating;
  if (comparison_.deviations.size() == CountComparison::kMaxShown) return;
  comparison_.deviations.push_back({problem, database().name, one_line(table.schema, kMaxName), one_line(table.name, kMaxName), sealed, found});
}

}  // namespace stele::restore
