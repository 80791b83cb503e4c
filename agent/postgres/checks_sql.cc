#include "agent/postgres/checks_sql.h"

#include <charconv>

namespace stele::agent {
namespace {

Result<std::int64_t> integer(const std::optional<std::string>& text, std::string_view what) {
  std::int64_t out = 0;
  const std::string_view t = text ? std::string_view(*text) : std::string_view();
  const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), out);
  if (t.empty() || error != std::errc() || end != t.data() + t.size()) {
    return Error{ErrorCode::kDatabase, fmt::format("{}: \"{}\" is not a number", what, t.substr(0, 40)), ""};
  }
  return out;
}

bool is_privilege_error(const Error& error) {
  return sqlstate_of(error) == "42501";
}

/// One fact-finding session: every question with its own words for the error.
class Asker {
 public:
  Asker(PgConnection& sql, Instant deadline) : sql_(sql), deadline_(deadline) {}

  Result<Rows> rows(std::string_view query) { return sql_.query(query, deadline_); }
  /// A setting by name; empty when this server does not have it, nullopt when the role may not see it.
  Result<std::optional<std::string>> setting(std::string_view name) {
    auto got = rows(fmt::format("SELECT pg_catalog.current_setting({}, true)", sql_.literal(name)));
    if (!got.ok()) {
      if (is_privilege_error(got.error())) return std::optional<std::string>();
      return std::move(got).error();
    }
    return std::optional<std::string>(got->rows.empty() ? "" : got->rows[0][0].value_or(""));
  }
  Result<std::string> text(std::string_view name) {
    STELE_TRY(auto value, setting(name));
    return value.value_or("");
  }
  Result<int> count(std::string_view name) {
    STELE_TRY(auto value, setting(name));
    STELE_TRY(const std::int64_t n, integer(value, name));
    return static_cast<int>(n);
  }
  Result<bool> on(std::string_view name) {
    STELE_TRY(auto value, setting(name));
    return value == "on";
  }

 private:
  PgConnection& sql_;
  Instant deadline_;
};

Status read_role(Asker& ask, DatabaseFacts& facts) {
  STELE_TRY(Rows rows, ask.rows("SELECT rolname, rolreplication OR rolsuper, rolsuper, "
                                "pg_catalog.pg_has_role('pg_monitor', 'MEMBER'), pg_catalog.pg_is_in_recovery() "
                                "FROM pg_catalog.pg_roles WHERE rolname = current_user"));
  if (rows.rows.size() != 1) return Error{ErrorCode::kDatabase, "read the role: no row", ""};
  const Row& row = rows.rows[0];
  facts.role = row[0].value_or("");
  facts.can_replicate = row[1] == "t";
  facts.is_superuser = row[2] == "t";
  facts.has_pg_monitor = row[3] == "t";
  facts.in_recovery = row[4] == "t";
  return {};
}

Status read_settings(Asker& ask, DatabaseFacts& facts) {
  STELE_TRY(facts.wal_level, ask.text("wal_level"));
  // In MB in pg_settings whatever SHOW prints; -1 is "no limit".
  STELE_TRY(Rows keep, ask.rows("SELECT setting FROM pg_catalog.pg_settings WHERE name = 'max_slot_wal_keep_size'"));
  STELE_TRY(const std::string keep_text, keep.single("max_slot_wal_keep_size"));
  STELE_TRY(const std::int64_t keep_mb, integer(keep_text, "max_slot_wal_keep_size"));
  if (keep_mb >= 0) facts.max_slot_wal_keep_size = keep_mb << 20;
  STELE_TRY(facts.max_wal_senders, ask.count("max_wal_senders"));
  STELE_TRY(facts.max_replication_slots, ask.count("max_replication_slots"));
  STELE_TRY(facts.synchronous_standby_names, ask.text("synchronous_standby_names"));
  STELE_TRY(facts.synchronous_commit, ask.text("synchronous_commit"));
  STELE_TRY(facts.data_checksums, ask.on("data_checksums"));
  STELE_TRY(facts.full_page_writes, ask.on("full_page_writes"));
  STELE_TRY(facts.fsync, ask.on("fsync"));
  STELE_TRY(facts.archive_mode, ask.text("archive_mode"));
  STELE_TRY(facts.archive_command, ask.text("archive_command"));
  STELE_TRY(facts.archive_library, ask.text("archive_library"));
  STELE_TRY(facts.shared_preload_libraries, ask.text("shared_preload_libraries"));
  STELE_TRY(facts.session_preload_libraries, ask.text("session_preload_libraries"));
  STELE_TRY(facts.local_preload_libraries, ask.text("local_preload_libraries"));
  STELE_TRY(facts.data_directory, ask.setting("data_directory"));
  STELE_TRY(facts.config_file, ask.setting("config_file"));
  STELE_TRY(facts.hba_file, ask.setting("hba_file"));
  STELE_TRY(facts.ident_file, ask.setting("ident_file"));
  if (!facts.data_directory) return {};
  for (const auto& file : {facts.config_file, facts.hba_file, facts.ident_file}) {
    if (file && !file->empty() && !lies_beneath(*file, *facts.data_directory))
      facts.files_outside_data_directory.push_back(*file);
  }
  return {};
}

Status read_usage(Asker& ask, DatabaseFacts& facts) {
  // Every walsender has a row here, whoever may read its details.
  STELE_TRY(Rows senders, ask.rows("SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_replication"));
  STELE_TRY(const std::string used, senders.single("pg_stat_replication"));
  STELE_TRY(const std::int64_t sender_count, integer(used, "pg_stat_replication"));
  facts.used_wal_senders = static_cast<int>(sender_count);
  STELE_TRY(Rows slots, ask.rows("SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots"));
  STELE_TRY(const std::string taken, slots.single("pg_replication_slots"));
  STELE_TRY(const std::int64_t slot_count, integer(taken, "pg_replication_slots"));
  facts.used_replication_slots = static_cast<int>(slot_count);
  STELE_TRY(Rows size,
            ask.rows("SELECT coalesce(sum(pg_catalog.pg_database_size(oid)), 0)::int8 FROM pg_catalog.pg_database "
                     "WHERE pg_catalog.has_database_privilege(oid, 'CONNECT') OR "
                     "pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE')"));
  STELE_TRY(const std::string size_text, size.single("pg_database_size"));
  STELE_TRY(const std::int64_t bytes, integer(size_text, "pg_database_size"));
  facts.database_size = static_cast<std::uint64_t>(bytes);
  return {};
}

Status read_synchronous_commit(Asker& ask, DatabaseFacts& facts) {
  STELE_TRY(Rows rows,
            ask.rows("SELECT d.datname, r.rolname, pg_catalog.split_part(c, '=', 2) "
                     "FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) c "
                     "LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase "
                     "LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole "
                     "WHERE c LIKE 'synchronous\\_commit=%' ORDER BY 1, 2"));
  for (const Row& row : rows.rows) {
    facts.synchronous_commit_overrides.push_back({row[0].value_or(""), row[1].value_or(""), row[2].value_or("")});
  }
  return {};
}

Status read_hba(Asker& ask, DatabaseFacts& facts) {
  auto rows = ask.rows(
      "SELECT line_number, type, database, user_name, address, netmask, auth_method, error "
      "FROM pg_catalog.pg_hba_file_rules ORDER BY line_number");
  if (!rows.ok()) {
    if (is_privilege_error(rows.error())) return {};
    return std::move(rows).error();
  }
  facts.hba_rules.emplace();
  for (const Row& row : rows->rows) {
    HbaRule rule;
    STELE_TRY(const std::int64_t line, integer(row[0], "line_number"));
    rule.line = static_cast<int>(line);
    rule.type = row[1].value_or("");
    STELE_TRY(rule.databases, parse_text_array(row[2].value_or("{}")));
    STELE_TRY(rule.users, parse_text_array(row[3].value_or("{}")));
    rule.address = row[4].value_or("");
    rule.netmask = row[5].value_or("");
    rule.method = row[6].value_or("");
    rule.error = row[7].value_or("");
    facts.hba_rules->push_back(std::move(rule));
  }
  return {};
}

Status read_collations(Asker& ask, DatabaseFacts& facts) {
  if (facts.version_num >= 150000) {
    STELE_TRY(Rows defaults,
              ask.rows("SELECT datname, datlocprovider, datcollversion, "
                       "pg_catalog.pg_database_collation_actual_version(oid) FROM pg_catalog.pg_database "
                       "WHERE datcollversion IS NOT NULL ORDER BY 1"));
    for (const Row& row : defaults.rows) {
      facts.collations.push_back(
          {row[0].value_or(""), "", row[1].value_or(""), row[2].value_or(""), row[3].value_or("")});
    }
  }
  STELE_TRY(Rows used, ask.rows("SELECT current_database(), c.collname, c.collprovider, c.collversion, "
                                "pg_catalog.pg_collation_actual_version(c.oid) FROM pg_catalog.pg_collation c "
                                "WHERE c.collversion IS NOT NULL AND EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a "
                                "WHERE a.attcollation = c.oid AND a.attrelid >= 16384) ORDER BY 2"));
  for (const Row& row : used.rows) {
    facts.collations.push_back(
        {row[0].value_or(""), row[1].value_or(""), row[2].value_or(""), row[3].value_or(""), row[4].value_or("")});
  }
  return {};
}

}  // namespace

Result<DatabaseFacts> read_database_facts(PgConnection& sql, Clock& clock, Instant deadline) {
  Asker ask(sql, deadline);
  DatabaseFacts facts;
  facts.version_num = sql.server_version();
  STELE_CHECK(read_role(ask, facts));
  STELE_CHECK(read_settings(ask, facts));
  STELE_CHECK(read_usage(ask, facts));
  STELE_CHECK(read_synchronous_commit(ask, facts));
  STELE_CHECK(read_hba(ask, facts));
  STELE_CHECK(read_collations(ask, facts));
  STELE_TRY(facts.clock_difference, measure_clock_difference(sql, clock, deadline));
  return facts;
}

std::vector<std::string> needed_hba_lines(std::string_view role, std::string_view database,
                                          std::string_view client_address, bool tls) {
  const auto quoted = [](std::string_view name) {
    std::string out = "\"";
    for (char c : name) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    return out + "\"";
  };
  const bool local = client_address.empty();
  std::string address(client_address);
  if (!local && address.find('/') == std::string::npos)
    address += address.find(':') == std::string::npos ? "/32" : "/128";
  std::vector<std::string> out;
  for (const std::string& what : {std::string("replication"), quoted(database)}) {
    out.push_back(
        local ? fmt::format("local {} {} scram-sha-256", what, quoted(role))
              : fmt::format("{} {} {} {} scram-sha-256", tls ? "hostssl" : "host", what, quoted(role), address));
  }
  return out;
}

Result<std::vector<std::string>> parse_text_array(std::string_view text) {
  const Error bad{ErrorCode::kDatabase, fmt::format("\"{}\" is not an array", text.substr(0, 80)), ""};
  if (text.size() < 2 || text.front() != '{' || text.back() != '}') return bad;
  std::vector<std::string> out;
  const std::string_view body = text.substr(1, text.size() - 2);
  if (body.empty()) return out;
  std::size_t i = 0;
  while (true) {
    std::string element;
    if (i < body.size() && body[i] == '"') {
      for (++i; i < body.size() && body[i] != '"'; ++i) {
        if (body[i] == '\\' && ++i == body.size()) return bad;
        element += body[i];
      }
      if (i == body.size()) return bad;
      ++i;
    } else {
      while (i < body.size() && body[i] != ',') element += body[i++];
      if (element.empty() || element.find_first_of("{}\"") != std::string::npos) return bad;
    }
    out.push_back(std::move(element));
    if (i == body.size()) return out;
    if (body[i++] != ',') return bad;
  }
}

bool lies_beneath(std::string_view file, std::string_view directory) {
  const auto inner = std::filesystem::path(file).lexically_normal();
  auto outer = std::filesystem::path(directory).lexically_normal();
  if (!outer.has_filename()) outer = outer.parent_path();  // "/data/" is "/data"
  const auto [end, rest] = std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end());
  return end == outer.end() && rest != inner.end();
}

}  // namespace stele::agent
