#include "restore/report/counts_table.h"

#include <fmt/format.h>

namespace stele::restore {
namespace {

/// "1,234,567".
std::string grouped(std::uint64_t number) {
  std::string out = std::to_string(number);
  for (std::size_t at = out.size(); at > 3; at -= 3) out.insert(at - 3, ",");
  return out;
}

const char* describe(CountDeviation::Problem problem, bool zh) {
  switch (problem) {
    case CountDeviation::Problem::kDatabaseMissing: return zh ? "数据库不存在" : "the database is missing";
    case CountDeviation::Problem::kFewerRelations: return zh ? "关系(表、索引等)数偏少" : "fewer relations";
    case CountDeviation::Problem::kTableMissing: return zh ? "表不存在" : "the table is missing";
    case CountDeviation::Problem::kFewerRows: return zh ? "行数偏少" : "fewer rows";
    case CountDeviation::Problem::kNotCounted: return zh ? "无法计数" : "could not be counted";
  }
  return "";
}

}  // namespace

std::string counts_table(const CountComparison& counts, Language language) {
  const bool zh = language == Language::kChinese;
  const auto say = [&](const char* chinese, const char* english) { return zh ? chinese : english; };
  if (!counts.sealed) return "";
  std::string out = fmt::format("<table><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>", say("数据库", "Database"),
                                say("关系数 封存/恢复", "Relations sealed / found"), say("表 封存/对照", "Tables sealed / compared"),
                                say("行数 封存(估计)/恢复", "Rows sealed (estimate) / found"), say("不符", "Deviate"));
  for (const CountComparison::Database& d : counts.databases) {
    if (!d.sealed) {
      out += fmt::format("<tr><td>{}</td><td colspan=\"4\">{}</td></tr>", escape_html(d.name), say("未封存计数", "not sealed"));
      continue;
    }
    out += fmt::format("<tr><td>{}</td><td>{} / {}</td><td>{} / {}</td><td>{} / {}</td><td>{}</td></tr>", escape_html(d.name), grouped(d.relations_sealed), grouped(d.relations_found),
                       grouped(d.tables), grouped(d.compared), grouped(d.rows_sealed), grouped(d.rows_found), d.deviating);
  }
  out += "</tbody></table>";
  out += fmt::format("<p class=\"small\">{} {}%</p>",
                     say("封存值由代理在快照开始时取自系统目录与统计信息(估计值，最大的若干张表)；恢复后的行数为实际计数。允许偏少：",
                         "Sealed: what the catalog and statistics of the source said when the snapshot began (estimates, of the largest tables). Found: counted. May be smaller by"),
                     counts.tolerance_percent);
  if (counts.deviations.empty()) return out;
  out += fmt::format("<table><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>", say("不符的对象", "What deviates"), say("问题", "How"), say("封存", "Sealed"),
                     say("恢复", "Found"));
  for (const CountDeviation& d : counts.deviations) {
    const std::string name = d.table.empty() ? d.database : fmt::format("{}: {}.{}", d.database, d.schema, d.table);
    out += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"num\">{}</td><td class=\"num\">{}</td></tr>", escape_html(name), describe(d.problem, zh), grouped(d.sealed), grouped(d.found));
  }
  return out + "</tbody></table>";
}

}  // namespace stele::restore
