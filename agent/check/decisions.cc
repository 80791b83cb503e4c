#include "agent/check/decisions.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "core/config/values.h"

namespace stele::agent {

namespace {

constexpr Duration kClockWarn = std::chrono::seconds(1), kClockFail = std::chrono::seconds(60);
constexpr Duration kExpiryWarn = std::chrono::hours(30 * 24), kExpiryFail = std::chrono::hours(7 * 24);

Check ok(std::string name, std::string what) { return {std::move(name), CheckLevel::kOk, std::move(what), ""}; }
Check warn(std::string name, std::string what, std::string todo) {
  return {std::move(name), CheckLevel::kWarn, std::move(what), std::move(todo)};
}
Check fail(std::string name, std::string what, std::string todo) {
  return {std::move(name), CheckLevel::kFail, std::move(what), std::move(todo)};
}
Check fail(std::string name, const Error& error, std::string todo) {
  return fail(std::move(name), error.what, error.hint.empty() ? std::move(todo) : error.hint);
}

bool waits_for_receivers(const config::AgentConfig& config) { return config.policy.ack == config::AckPolicy::kReceivers; }
double in_seconds(Duration d) { return std::chrono::duration<double>(d).count(); }

std::string hba_advice(const CheckedHost& host) {
  std::string out = "pg_hba.conf needs:";
  for (const std::string& line : needed_hba_lines(host.role, host.database, host.client_address, host.tls)) out += "\n" + line;
  return out + "\nthen: SELECT pg_reload_conf()";
}

Check judge_slot(const CheckedHost& host, const config::AgentConfig& config) {
  const std::string name = "slot on " + host.label;
  if (host.slot_error && host.slot_error->code != ErrorCode::kNotFound) return fail(name, *host.slot_error, "");
  if (!host.slot) {
    return warn(name, fmt::format("slot {} does not exist", config.postgres.slot),
                "nothing: the agent makes it when it runs; until then WAL is not kept for it");
  }
  const SlotState& slot = *host.slot;
  if (!slot.physical) {
    return fail(name, fmt::format("slot {} is logical", slot.name), "choose another name in [postgres] slot; the agent makes a physical slot");
  }
  if (slot.invalidated()) {
    return fail(name, fmt::format("slot {} was invalidated ({})", slot.name, slot.invalidation_reason),
                "start the agent: it records the gap, makes the slot again and takes a snapshot");
  }
  if (slot.wal_status == WalStatus::kUnreserved) {
    return fail(name, fmt::format("slot {} has fallen behind max_slot_wal_keep_size and loses its WAL at the next checkpoint", slot.name),
                "start the agent now, or raise max_slot_wal_keep_size");
  }
  return ok(name, fmt::format("{}, keeps {} of WAL", slot.active ? "in use" : "not in use", config::format_bytes(slot.retained)));
}

Check judge_slot_limit(const CheckedHost& host, const config::AgentConfig& config) {
  const std::string name = "max_slot_wal_keep_size on " + host.label;
  if (host.facts->max_slot_wal_keep_size) {
    return ok(name, config::format_bytes(static_cast<std::uint64_t>(*host.facts->max_slot_wal_keep_size)));
  }
  if (config.policy.on_full_written && config.policy.on_full == config::OnFull::kHold) {
    return ok(name, "no limit, and on_full = \"hold\" is written: WAL is kept until the receivers have it");
  }
  if (config.policy.on_full == config::OnFull::kRelease) {
    return ok(name, "no limit, and on_full = \"release\": a full spool lets WAL go");
  }
  return fail(name, "-1: while the receivers are away WAL grows until the server's disk is full, and the server stops",
              "ALTER SYSTEM SET max_slot_wal_keep_size = '50GB' (what the disk can spare), or write on_full = \"hold\" in [policy] to accept it");
}

Check judge_wal_level(const CheckedHost& host) {
  const std::string name = "wal_level on " + host.label;
  if (host.facts->wal_level != "minimal") return ok(name, host.facts->wal_level);
  return fail(name, "minimal: the log cannot rebuild a database", "ALTER SYSTEM SET wal_level = 'replica', then restart the server");
}

}  // namespace

std::string_view check_level_name(CheckLevel level) {
  switch (level) {
    case CheckLevel::kOk:
      return "ok";
    case CheckLevel::kWarn:
      return "warn";
    case CheckLevel::kFail:
      break;
  }
  return "fail";
}

std::vector<Check> judge_host(const CheckedHost& host, const config::AgentConfig& config) {
  std::vector<Check> out;
  if (host.sql_error) {
    out.push_back(fail("connection to " + host.label, fmt::format("an SQL session is refused: {}", host.sql_error->what), hba_advice(host)));
  } else {
    out.push_back(ok("connection to " + host.label, "an SQL session works"));
  }
  if (host.replication_error) {
    out.push_back(fail("replication from " + host.label, host.replication_error->what, hba_advice(host)));
  } else {
    out.push_back(ok("replication from " + host.label, "a replication connection works"));
  }
  if (host.facts_error) out.push_back(fail("settings of " + host.label, *host.facts_error, ""));
  if (!host.facts) return out;
  const DatabaseFacts& f = *host.facts;
  const std::string privileges = "privileges on " + host.label;
  if (!f.can_replicate) {
    out.push_back(fail(privileges, fmt::format("role {} may not replicate", f.role), fmt::format("ALTER ROLE {} REPLICATION", f.role)));
  } else if (!f.has_pg_monitor && !f.is_superuser) {
    out.push_back(fail(privileges, fmt::format("role {} is not in pg_monitor", f.role), fmt::format("GRANT pg_monitor TO {}", f.role)));
  } else if (f.is_superuser) {
    out.push_back(warn(privileges, fmt::format("role {} is a superuser, which the agent does not need", f.role),
                       "use a role with REPLICATION and pg_monitor only"));
  } else {
    out.push_back(ok(privileges, "REPLICATION and pg_monitor"));
  }
  out.push_back(judge_wal_level(host));
  out.push_back(judge_slot(host, config));
  out.push_back(judge_slot_limit(host, config));
  const std::string room = "walsenders and slots on " + host.label;
  if (f.max_replication_slots == 0 || (!host.slot && f.used_replication_slots >= f.max_replication_slots)) {
    out.push_back(fail(room, fmt::format("{} of {} replication slots are used", f.used_replication_slots, f.max_replication_slots),
                       "raise max_replication_slots, then restart the server"));
  } else if (f.max_wal_senders - f.used_wal_senders < 2 && !(host.slot && host.slot->active)) {
    out.push_back(fail(room, fmt::format("{} of {} walsenders are used; the log and a snapshot need one each", f.used_wal_senders, f.max_wal_senders),
                       "raise max_wal_senders, then restart the server"));
  } else {
    out.push_back(ok(room, fmt::format("{} of {} walsenders, {} of {} slots used", f.used_wal_senders, f.max_wal_senders,
                                       f.used_replication_slots, f.max_replication_slots)));
  }
  const Duration ahead = f.clock_difference.ahead, off = ahead < Duration(0) ? -ahead : ahead;
  const std::string clock = "clock of " + host.label;
  const std::string difference = fmt::format("{:+.3f} s from this host (± {:.3f} s)", in_seconds(ahead), in_seconds(f.clock_difference.uncertainty));
  if (off >= kClockFail) {
    out.push_back(fail(clock, difference, "set the clocks (NTP): a restore to a time would end at another moment"));
  } else if (off >= kClockWarn) {
    out.push_back(warn(clock, difference, "set the clocks (NTP)"));
  } else {
    out.push_back(ok(clock, difference));
  }
  return out;
}

std::vector<Check> judge_primary(const DatabaseFacts& f, const config::AgentConfig& config) {
  std::vector<Check> out;
  if (f.data_checksums) {
    out.push_back(ok("data checksums", "on"));
  } else {
    out.push_back(warn("data checksums", "off: a rotten page is found only when it is used",
                       "stop the server, pg_checksums --enable, start it"));
  }
  if (!f.fsync || !f.full_page_writes) {
    out.push_back(fail("durability of the server", fmt::format("fsync = {}, full_page_writes = {}", f.fsync ? "on" : "off", f.full_page_writes ? "on" : "off"),
                       "set both to on: the server loses or damages data when its host stops"));
  } else {
    out.push_back(ok("durability of the server", "fsync and full_page_writes are on"));
  }
  // Whether every commit waits: the default, and those who have a setting of their own.
  std::vector<std::string> weak, refused;
  auto look = [&](const std::string& who, const std::string& value) {
    if (value == "off" || value == "local") weak.push_back(fmt::format("{}: {}", who, value));
    if (value == "remote_apply") refused.push_back(who);
  };
  look("the default", f.synchronous_commit);
  for (const SyncCommitOverride& o : f.synchronous_commit_overrides) {
    std::string who = o.role.empty() ? "" : "role " + o.role;
    if (!o.database.empty()) who += (who.empty() ? "database " : " in database ") + o.database;
    look(who.empty() ? "every role and database" : who, o.value);
  }
  if (!refused.empty()) {
    out.push_back(fail("remote_apply", fmt::format("synchronous_commit = remote_apply for {}: it promises that a standby shows the commit, and the agent is no standby",
                                                   fmt::join(refused, ", ")),
                       "set synchronous_commit = on there"));
  } else {
    out.push_back(ok("remote_apply", "nobody uses it"));
  }
  if (weak.empty()) {
    out.push_back(ok("synchronous_commit", f.synchronous_commit + " for every role and database"));
  } else {
    const std::string what = fmt::format("commits return before they are safe for {}", fmt::join(weak, "; "));
    const std::string todo = "ALTER ROLE (or DATABASE) ... RESET synchronous_commit, or accept that their last commits can be lost";
    out.push_back(warn("synchronous_commit", what, todo));
  }
  if (!waits_for_receivers(config)) {
    out.push_back(ok("synchronous_standby_names", "not needed: ack = \"spool\""));
  } else if (f.synchronous_standby_names.empty()) {
    out.push_back(fail("synchronous_standby_names", "empty: commits do not wait for the receivers, so the last ones can be lost (RPO is not 0)",
                       fmt::format("ALTER SYSTEM SET synchronous_standby_names = '{}', then SELECT pg_reload_conf()", config.postgres.application_name)));
  } else if (const StandbyRank rank = standby_rank(f.synchronous_standby_names, config.postgres.application_name); rank == StandbyRank::kNone) {
    out.push_back(fail("synchronous_standby_names",
                       fmt::format("\"{}\" does not contain the agent's name {}", f.synchronous_standby_names, config.postgres.application_name),
                       fmt::format("ALTER SYSTEM SET synchronous_standby_names = '{}', then SELECT pg_reload_conf()", config.postgres.application_name)));
  } else if (rank == StandbyRank::kPerhaps) {
    out.push_back(warn("synchronous_standby_names",
                       fmt::format("\"{}\": a commit may wait for another standby instead of the agent, and is then not at the receivers (RPO is not 0)",
                                   f.synchronous_standby_names),
                       fmt::format("name the agent first, or wait for all: 'FIRST 2 ({}, ...)' or 'ANY n' of n", config.postgres.application_name)));
  } else {
    out.push_back(ok("synchronous_standby_names", f.synchronous_standby_names));
  }
  return out;
}

namespace {

Check judge_expiry(std::string name, Timestamp end, Timestamp now, std::string todo) {
  if (end.is_none()) return ok(std::move(name), "does not expire");
  const Duration left = end - now;
  const std::string what = fmt::format("until {}", to_iso8601(end));
  if (left <= Duration(0)) return fail(std::move(name), "expired: " + what, std::move(todo));
  if (left < kExpiryFail) return fail(std::move(name), fmt::format("{}: less than 7 days", what), std::move(todo));
  if (left < kExpiryWarn) return warn(std::move(name), fmt::format("{}: less than 30 days", what), std::move(todo));
  return ok(std::move(name), what);
}

Check judge_spool(const CheckedSpool& spool, const config::AgentConfig& config) {
  const std::string name = "spool";
  if (config.spool.mode == config::SpoolMode::kNone) return ok(name, "none: the slot alone holds the log back");
  if (spool.error) return fail(name, *spool.error, "");
  const std::uint64_t room = spool.free_bytes + spool.used_bytes;
  const std::string what = fmt::format("limit {}, {} free beside the {} in use", config::format_bytes(config.spool.max_bytes),
                                       config::format_bytes(spool.free_bytes), config::format_bytes(spool.used_bytes));
  if (room < 2 * config.spool.file_bytes) return fail(name, what, "free space on this disk, or move [spool] directory");
  if (room < config.spool.max_bytes) return warn(name, what, "free space on this disk, or lower [spool] max_bytes to what there is");
  return ok(name, what);
}

void judge_tls(const CheckedTls& tls, Timestamp now, std::vector<Check>& out) {
  if (tls.error) {
    out.push_back(fail("certificate", *tls.error, "look at [tls]"));
    return;
  }
  out.push_back(judge_expiry("certificate", tls.certificate_not_after, now, "have the agent's certificate renewed; a new file is read without a restart"));
  out.push_back(judge_expiry("certificate authority", tls.ca_not_after, now, "have the authority's certificate renewed on every host"));
  if (!tls.has_crl) {
    out.push_back(warn("revocation list", "none: a revoked receiver would still be believed", "set [tls] crl"));
  } else if (tls.crl_outdated) {
    out.push_back(warn("revocation list", fmt::format("outdated since {}", to_iso8601(tls.crl_next_update)), "fetch the authority's newest list"));
  } else {
    out.push_back(ok("revocation list", tls.crl_next_update.is_none() ? "current" : "until " + to_iso8601(tls.crl_next_update)));
  }
}

}  // namespace

std::vector<Check> judge_site(const CheckFacts& facts, const config::AgentConfig& config) {
  std::vector<Check> out;
  if (facts.keys.error) {
    out.push_back(fail("keys", *facts.keys.error, "stele-agent enroll, then stele-restore enroll"));
  } else {
    out.push_back(ok("keys", "the agent's key, its enrolment and the recipient list belong together"));
    const std::string what = fmt::format("{} recovery, {} drill", facts.keys.recovery, facts.keys.drill);
    if (facts.keys.recovery == 0) {
      out.push_back(fail("recipients", what, "no recovery key can open what would be sent: make two with stele-restore keygen and enrol again"));
    } else if (facts.keys.recovery < 2) {
      out.push_back(warn("recipients", what + ": when this one key is lost, so is everything", "add a second recovery key, kept elsewhere"));
    } else {
      out.push_back(ok("recipients", what));
    }
  }
  judge_tls(facts.tls, facts.now, out);
  for (const CheckedReceiver& receiver : facts.receivers) {
    const std::string name = "receiver " + receiver.name;
    if (receiver.error) {
      out.push_back(fail(name, *receiver.error, "start the receiver, or look at its address and certificate"));
    } else {
      out.push_back(ok(name, fmt::format("{} answers: {}, protocol {}", receiver.address, receiver.software, receiver.protocol)));
    }
  }
  const auto n = static_cast<int>(config.receivers.size());
  const int k = config.policy.quorum;
  if (!waits_for_receivers(config)) {
    out.push_back(ok("quorum", "not used: ack = \"spool\""));
  } else if (2 * k <= n) {
    out.push_back(warn("quorum", fmt::format("{} of {}: two agents at once could both be acknowledged, by different receivers", k, n),
                       fmt::format("set quorum = {} or more", n / 2 + 1)));
  } else {
    out.push_back(ok("quorum", fmt::format("{} of {}", k, n)));
  }
  if (facts.locked_memory) {
    out.push_back(warn("locked memory", facts.locked_memory->what, facts.locked_memory->hint.empty() ? "raise LimitMEMLOCK in the unit" : facts.locked_memory->hint));
  } else {
    out.push_back(ok("locked memory", "keys do not reach the swap"));
  }
  out.push_back(judge_spool(facts.spool, config));
  return out;
}

std::vector<Check> judge(const CheckFacts& facts, const config::AgentConfig& config) {
  std::vector<Check> out;
  const CheckedHost* primary = nullptr;
  std::size_t primaries = 0;
  for (const CheckedHost& host : facts.hosts) {
    for (Check& check : judge_host(host, config)) out.push_back(std::move(check));
    if (!host.facts || host.facts->in_recovery) continue;
    primary = &host;
    ++primaries;
  }
  if (primaries == 1) {
    out.push_back(ok("primary", primary->label));
    for (Check& check : judge_primary(*primary->facts, config)) out.push_back(std::move(check));
  } else {
    out.push_back(fail("primary", primaries == 0 ? "none of the hosts is a primary that answers" : "more than one host is a primary",
                       primaries == 0 ? "start the primary, or add it to [postgres] conninfo" : "stop the one that was replaced"));
  }
  for (Check& check : judge_site(facts, config)) out.push_back(std::move(check));
  return out;
}

namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c); });
  return out;
}

/// The elements of a list of names, in lower case; names compare without case (syncrep.c, pg_strcasecmp).
std::vector<std::string> standby_list(std::string_view text) {
  std::vector<std::string> out;
  std::string element;
  bool quoted = false, was_quoted = false;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == ',' && !quoted)) {
      out.push_back(element == "*" && was_quoted ? "" : lower(element));
      element.clear();
      was_quoted = false;
    } else if (text[i] == '"') {
      if (quoted && i + 1 < text.size() && text[i + 1] == '"') element += text[++i];
      else quoted = !quoted;
      was_quoted = true;
    } else if (quoted || (text[i] != ' ' && text[i] != '\t' && text[i] != '\n')) {
      element += text[i];
    }
  }
  return out;
}

}  // namespace

StandbyRank standby_rank(std::string_view text, std::string_view name) {
  // syncrep_gram.y: [FIRST|ANY] n ( list ), or a list, which is FIRST 1.
  bool any = false;
  std::size_t wanted = 1;
  if (const auto open = text.find('('); open != std::string_view::npos) {
    const auto close = text.rfind(')');
    if (close == std::string_view::npos || close < open) return StandbyRank::kNone;
    const std::string method = lower(text.substr(0, open));
    any = method.find("any") != std::string::npos;
    if (const auto digit = method.find_first_of("0123456789"); digit != std::string::npos) {
      wanted = static_cast<std::size_t>(std::strtoul(method.c_str() + digit, nullptr, 10));
    }
    text = text.substr(open + 1, close - open - 1);
  }
  const std::vector<std::string> list = standby_list(text);
  const auto everybody = std::find(list.begin(), list.end(), "*");
  const auto named = std::find(list.begin(), list.end(), lower(name));
  if (name.empty() || (named == list.end() && everybody == list.end())) return StandbyRank::kNone;
  if (any) return everybody == list.end() && wanted >= list.size() ? StandbyRank::kAlways : StandbyRank::kPerhaps;
  return named < everybody && static_cast<std::size_t>(named - list.begin()) < wanted ? StandbyRank::kAlways : StandbyRank::kPerhaps;
}

int check_exit_code(const std::vector<Check>& checks) {
  return std::any_of(checks.begin(), checks.end(), [](const Check& c) { return c.level == CheckLevel::kFail; }) ? 1 : 0;
}

}  // namespace stele::agent
