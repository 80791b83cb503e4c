#pragma once

#include "core/format/table_counts.h"
#include "restore/drill/result.h"

namespace stele::restore {

/// Rows by which an estimate may be off whatever the table's size: autovacuum looks at a table again after 50 changed rows
/// (autovacuum_analyze_threshold) and a share of it.
inline constexpr std::uint64_t kCountSlack = 50;

/// Whether what was found is less than what was sealed by more than the tolerance allows, or all of it is gone. With 100 percent never. Pure.
bool too_few(std::uint64_t sealed, std::uint64_t found, int tolerance_percent);

/// Whether "schema.table" or "schema.*" names it. Pure.
bool is_ignored(const std::vector<std::string>& patterns, const format::TableCount& table);

/// Collects what was counted in one SQL database and judges it against the sealed numbers. Pure.
class CountJudge {
 public:
  CountJudge(CountComparison& comparison, const format::DatabaseCounts& sealed);
  void database_missing();
  void relations(std::uint64_t found);
  void table_missing(const format::TableCount& table);
  void not_counted(const format::TableCount& table);
  void counted(const format::TableCount& table, std::uint64_t rows);

 private:
  CountComparison::Database& database() { return comparison_.databases[at_]; }
  void deviates(CountDeviation::Problem problem, const format::TableCount& table, std::uint64_t sealed, std::uint64_t found);
  CountComparison& comparison_;
  const std::size_t at_;
};

}  // namespace stele::restore
