#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "restore/postgres/recovery_setup.h"

namespace stele::restore {

/// A setting that always has our value in a restored server.
struct SettingRule {
  std::string name, value, reason;
  bool secret = false;      ///< the source's value may hold secrets: not shown
  bool from_facts = false;  ///< told also when only the agent's facts, not a restored file, say that the source had it
};

/// What is forced whatever the source said, for a server of this major version: our recovery settings, nothing that
/// archives, follows, waits for a standby, runs a command of the source or advances a slot elsewhere. Pure.
std::vector<SettingRule> setting_rules(const RecoverySettings& recovery, const ConfigurationOptions& options,
                                       int major);

/// kConfig for recovery settings that PostgreSQL would refuse (access/transam/xlogrecovery.c, check_recovery_target_*).
/// Pure.
Status check_recovery_settings(const RecoverySettings& recovery);

/// postgresql.conf for a data directory that has none. Pure.
Result<std::string> make_postgresql_conf(const SourceFacts& source);
/// pg_hba.conf: local users (peer), and by password on loopback.
std::string make_pg_hba_conf();
std::string make_pg_ident_conf();

}  // namespace stele::restore
