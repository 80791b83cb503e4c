#include "agent/snapshot/server_texts.h"

#include <charconv>

#include "agent/postgres/checks_sql.h"
#include "agent/snapshot/table_counts.h"

namespace stele::agent {
namespace {

constexpr std::size_t kMaxTexts = 4000;  // the format's limit is 4096; counts come on top
constexpr auto kCountsPatience = std::chrono::seconds(20);

std::uint64_t number_or_zero(std::string_view text) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() ? out : 0;
}

}  // namespace

Result<ServerTexts> read_server_texts(PgConnection& sql, Clock& clock, Instant deadline) {
  ServerTexts out;
  // Everything that was set by somebody, and what a restored server must not have less of (xlogrecovery.c,
  // CheckRequiredParameterValues) or needs to start.
  STELE_TRY(
      const Rows settings,
      sql.query(
          "SELECT name, setting, unit FROM pg_catalog.pg_settings WHERE source NOT IN ('default', 'client', 'session') "
          "OR name IN ('max_connections', 'max_worker_processes', 'max_wal_senders', 'max_prepared_transactions', "
          "'max_locks_per_transaction', 'wal_level', 'wal_log_hints', 'track_commit_timestamp', "
          "'shared_preload_libraries', "
          "'session_preload_libraries', 'local_preload_libraries', 'data_directory', 'config_file', 'hba_file', "
          "'ident_file', "
          "'block_size', 'segment_size', 'wal_segment_size', 'server_version', 'server_encoding', 'data_checksums', "
          "'checkpoint_timeout', 'huge_pages', 'shared_buffers') ORDER BY name",
          deadline));
  for (const Row& row : settings.rows) {
    const std::string name = row[0].value_or(""), value = row[1].value_or(""), unit = row[2].value_or("");
    if (name == "block_size") out.block_size = static_cast<std::uint32_t>(number_or_zero(value));
    if (name == "segment_size") out.segment_blocks = static_cast<std::uint32_t>(number_or_zero(value));
    if (name == "checkpoint_timeout") out.checkpoint_timeout = std::chrono::seconds(number_or_zero(value));
    // As it can be written into a configuration file; a unit such as "8kB" counts blocks and stays away.
    const bool plain_unit = !unit.empty() && (unit[0] < '0' || unit[0] > '9') && value != "-1";
    if (out.texts.size() < kMaxTexts) out.texts.push_back({"setting/" + name, plain_unit ? value + unit : value});
  }
  STELE_TRY(const DatabaseFacts facts, read_database_facts(sql, clock, deadline));
  for (const CollationVersion& c : facts.collations) {
    if (out.texts.size() == kMaxTexts) break;
    out.texts.push_back({fmt::format("collation/{}/{}", c.database, c.name),
                         fmt::format("{} {} {}", c.provider, c.recorded, c.actual)});
  }
  ServerCounts counts = read_table_counts(sql, kCountsPatience);
  for (const format::DatabaseCounts& database : counts.databases) out.texts.push_back(format::encode_counts(database));
  out.warnings = std::move(counts.warnings);
  if (!facts.data_directory)
    out.warnings.emplace_back("the role may not see where the configuration files are; grant it pg_monitor");
  out.files_outside_data_directory = facts.files_outside_data_directory;
  return out;
}

}  // namespace stele::agent
