#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/postgres/checks_sql.h"
#include "agent/postgres/slot.h"
#include "core/config/agent_config.h"

namespace stele::agent {

enum class CheckLevel { kOk, kWarn, kFail };
std::string_view check_level_name(CheckLevel level);  ///< "ok", "warn", "fail"

/// One named check: what was found, and what to do about it (empty when it is fine).
struct Check {
  std::string name;
  CheckLevel level = CheckLevel::kOk;
  std::string what;
  std::string what_to_do;
};

/// One host of the connection string, as far as it answered.
struct CheckedHost {
  std::string label;
  std::string role, client_address;  ///< for the pg_hba lines; the address may be empty
  std::string database;
  bool tls = false;
  std::optional<Error> sql_error, replication_error, facts_error, slot_error;
  std::optional<DatabaseFacts> facts;
  std::optional<ServerInfo> info;
  std::optional<SlotState> slot;
};

struct CheckedReceiver {
  std::string name, address;
  std::optional<Error> error;
  std::string software;  ///< as it greets
  std::uint32_t protocol = 0;
};

struct CheckedKeys {
  std::optional<Error> error;
  int recovery = 0, drill = 0;
};

struct CheckedTls {
  std::optional<Error> error;
  Timestamp certificate_not_after, ca_not_after;
  bool has_crl = false, crl_outdated = false;
  Timestamp crl_next_update;
};

struct CheckedSpool {
  std::optional<Error> error;
  std::uint64_t free_bytes = 0;  ///< of the file system
  std::uint64_t used_bytes = 0;  ///< by spool files already there
};

/// Everything `stele-agent check` looks at. Gathered by gather.h.
struct CheckFacts {
  Timestamp now;
  std::vector<CheckedHost> hosts;
  std::vector<CheckedReceiver> receivers;
  CheckedKeys keys;
  CheckedTls tls;
  CheckedSpool spool;
  std::optional<Error> locked_memory;  ///< why memory cannot be locked
};

/// Judges the facts. Pure; every check appears in every run, in this order, so that a list can be compared with the one before.
std::vector<Check> judge(const CheckFacts& facts, const config::AgentConfig& config);
/// Each part of judge(), for tests.
std::vector<Check> judge_host(const CheckedHost& host, const config::AgentConfig& config);
std::vector<Check> judge_primary(const DatabaseFacts& facts, const config::AgentConfig& config);
std::vector<Check> judge_site(const CheckFacts& facts, const config::AgentConfig& config);

/// What synchronous_standby_names ("FIRST 2 (a, \"B\")", "ANY 1 (*)", "a, b") means for the standby `name`.
enum class StandbyRank {
  kNone,     ///< no commit waits for it
  kPerhaps,  ///< a commit waits for it or for another in its place
  kAlways,   ///< every synchronous commit waits for it
};
StandbyRank standby_rank(std::string_view synchronous_standby_names, std::string_view name);

/// 0: nothing failed; 1: something did.
int check_exit_code(const std::vector<Check>& checks);
std::string checks_text(const std::vector<Check>& checks, bool colour);
std::string checks_json(const std::vector<Check>& checks);

}  // namespace stele::agent
