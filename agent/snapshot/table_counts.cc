#include "agent/snapshot/table_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace stele::agent {
namespace {

constexpr std::size_t kMaxDatabases = 64;
constexpr std::size_t kMaxWarnings = 8;
constexpr auto kOneDatabase = std::chrono::seconds(5);

// What users made: pg_ is reserved for the system's schemas. A drill asks the same of the copy (restore/drill/counts_check.cc).
constexpr std::string_view kRelations =
    "SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't' AND c.relkind <> 'c'";

// A partitioned table stands for its partitions: that one of them is dropped each month is no loss. Estimates: pg_class where a VACUUM or
// ANALYZE has been (reltuples is -1 otherwise, before PostgreSQL 14 0 with relpages 0), else the statistics' live rows, 0 of which means
// unknown, too. What counting would reach beyond the copy (foreign tables) or loses in a recovery (unlogged ones) stays away.
constexpr std::string_view kTables = R"(
WITH RECURSIVE own AS (
  SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema' AND c.relpersistence = 'p' AND c.relkind IN ('r', 'p')
    AND NOT c.relispartition
), parts(root, oid) AS (
  SELECT oid, oid FROM own
  UNION
  SELECT p.root, i.inhrelid FROM parts p JOIN pg_catalog.pg_inherits i ON i.inhparent = p.oid
), known AS (
  SELECT p.root, pg_catalog.bool_or(c.relkind = 'f') AS is_foreign,
    pg_catalog.sum(CASE WHEN c.relkind <> 'r' OR c.relpersistence <> 'p' THEN NULL
                        WHEN c.reltuples > 0 OR c.reltuples = 0 AND c.relpages > 0 THEN c.reltuples::float8
                        ELSE NULLIF(pg_catalog.pg_stat_get_live_tuples(c.oid), 0) END) AS rows
  FROM parts p JOIN pg_catalog.pg_class c ON c.oid = p.oid GROUP BY p.root
)
SELECT own.nspname, own.relname, pg_catalog.floor(known.rows)::int8, pg_catalog.count(*) OVER ()
FROM own JOIN known ON known.root = own.oid WHERE NOT known.is_foreign
ORDER BY known.rows DESC NULLS LAST, own.nspname, own.relname LIMIT )";

std::optional<std::uint64_t> number(const std::optional<std::string>& text) {
  std::uint64_t out = 0;
  if (!text) return {};
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), out);
  if (error != std::errc() || end != text->data() + text->size()) return {};
  return out;
}

ServerAddress for_database(ServerAddress address, const std::string& database) {
  std::erase_if(address.keywords, [](const auto& keyword) { return keyword.first == "dbname"; });
  address.keywords.emplace_back("dbname", database);
  return address;
}

Result<format::DatabaseCounts> count_one(const PgConnection& sql, const std::string& database, Instant deadline) {
  ConnectOptions options;
  STELE_TRY(PgConnection there, PgConnection::connect(for_database(sql.address(), database), options, deadline, sql.interrupt()));
  // The server gives up before we do: nothing is left running on it.
  STELE_TRY([[maybe_unused]] auto bounded,
            there.query(fmt::format("SET statement_timeout = {}", std::chrono::milliseconds(kOneDatabase).count() / 2), deadline));
  format::DatabaseCounts out;
  out.database = database;
  STELE_TRY(const Rows relations, there.query(kRelations, deadline));
  STELE_TRY(const std::string count, relations.single("count the relations"));
  out.relations = number(count).value_or(0);
  STELE_TRY(const Rows tables, there.query(fmt::format("{}{}", kTables, format::kMaxCountedTables), deadline));
  for (const Row& row : tables.rows) {
    out.largest.push_back({row[0].value_or(""), row[1].value_or(""), number(row[2])});
    out.tables = number(row[3]).value_or(0);
  }
  return out;
}

}  // namespace

ServerCounts read_table_counts(PgConnection& sql, Duration patience) {
  ServerCounts out;
  const Instant end = deadline_in(patience);
  const auto until = [&] { return std::min(end, deadline_in(kOneDatabase)); };
  const auto warn = [&](std::string text) {
    if (out.warnings.size() < kMaxWarnings) out.warnings.push_back(std::move(text));
  };
  auto databases = sql.query(
      "SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate "
      "ORDER BY datname <> pg_catalog.current_database(), datname",
      until());
  if (!databases.ok()) {
    warn(fmt::format("no counts are sealed: {}", databases.error().what));
    return out;
  }
  for (const Row& row : databases->rows) {
    const std::string database = row[0].value_or("");
    if (out.databases.size() == kMaxDatabases) {
      warn(fmt::format("counts of more than {} databases are not sealed", kMaxDatabases));
      break;
    }
    auto counts = count_one(sql, database, until());
    if (counts.ok()) {
      out.databases.push_back(std::move(*counts));
    } else {
      warn(fmt::format("counts of database \"{}\" are not sealed: {}", database, counts.error().what));
    }
  }
  return out;
}

}  // namespace stele::agent
