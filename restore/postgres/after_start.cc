#include "restore/postgres/after_start.h"

#include <fmt/format.h>

#include <charconv>

#include "core/pg/timeline_history.h"

namespace stele::restore {
namespace {

/// The row's columns; NULL is an empty text.
Result<std::vector<std::string>> one_row(SqlSession& session, std::string_view sql, std::size_t columns,
                                         Instant deadline) {
  STELE_TRY(SqlRows rows, session.query(sql, deadline));
  if (rows.rows.size() != 1 || rows.rows[0].size() != columns)
    return Error{ErrorCode::kDatabase, "ask where recovery ended: not one row", ""};
  std::vector<std::string> out;
  for (auto& value : rows.rows[0]) out.push_back(std::move(value).value_or(""));
  return out;
}

template <typename Number>
Result<Number> number(std::string_view text, int base = 10) {
  Number value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size())
    return Error{ErrorCode::kDatabase, fmt::format("ask where recovery ended: '{}' is not a number", text), ""};
  return value;
}

}  // namespace

Status check_end(const RecoveredState& state, const ExpectedEnd& expected) {
  auto differs = [](ErrorCode code, std::string what) {
    return Error{code, "check the recovered cluster: " + what,
                 "do not use it: what was restored is not what was asked for; keep its log and restore again"};
  };
  if (expected.system_identifier != 0 && state.system_identifier != expected.system_identifier) {
    return differs(ErrorCode::kDatabase, fmt::format("system identifier {} instead of {}", state.system_identifier,
                                                     expected.system_identifier));
  }
  if (expected.paused != state.in_recovery)
    return differs(ErrorCode::kDatabase,
                   state.in_recovery ? "it is still in recovery" : "it is out of recovery though it should be paused");
  if (expected.target.kind != RecoveryTarget::Kind::kNone && state.stopping.empty()) {
    return differs(ErrorCode::kGap,
                   fmt::format("recovery ended at {} without reaching its target", state.replayed.to_string()));
  }
  if (expected.replayed_at_least && state.replayed < *expected.replayed_at_least) {
    return differs(ErrorCode::kGap, fmt::format("recovery ended at {}, before {}", state.replayed.to_string(),
                                                expected.replayed_at_least->to_string()));
  }
  if (expected.replayed_at_most && state.replayed > *expected.replayed_at_most) {
    return differs(ErrorCode::kDatabase, fmt::format("recovery ended at {}, behind {}", state.replayed.to_string(),
                                                     expected.replayed_at_most->to_string()));
  }
  if (expected.recovered_timeline != 0 && state.recovered_timeline != 0 &&
      state.recovered_timeline != expected.recovered_timeline) {
    return differs(ErrorCode::kDatabase, fmt::format("timeline {} was recovered instead of {}",
                                                     state.recovered_timeline, expected.recovered_timeline));
  }
  return {};
}

Result<RecoveredState> ask_where_it_ended(ServerProcess& server, Instant deadline) {
  STELE_TRY(auto session, server.connect_anywhere(deadline));
  STELE_TRY(auto row, one_row(*session,
                              "SELECT (SELECT system_identifier FROM pg_control_system())::text, "
                              "pg_is_in_recovery()::text, pg_last_wal_replay_lsn()::text, "
                              "(extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint::text, "
                              "current_setting('server_version')",
                              5, deadline));
  RecoveredState state;
  STELE_TRY(auto identifier, number<std::int64_t>(row[0]));
  state.system_identifier = static_cast<std::uint64_t>(identifier);
  state.in_recovery = row[1] == "true";
  if (!row[2].empty()) {
    STELE_TRY(state.replayed, parse_position(row[2]));
  }
  if (!row[3].empty()) {
    STELE_TRY(std::int64_t micros, number<std::int64_t>(row[3]));
    state.last_transaction = Timestamp{micros};
  }
  state.server_version = row[4];
  STELE_TRY(RecoveryLog log, server.log());
  state.stopping = log.stopping;
  if (!state.in_recovery) {
    // A file name begins with its timeline; of the ancestors in the history file the last one was recovered.
    STELE_TRY(auto name,
              one_row(*session, "SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)", 1, deadline));
    STELE_TRY(state.timeline, number<pg::TimelineId>(name[0], 16));
    if (log.new_timeline) {
      STELE_TRY(auto history,
                one_row(*session, fmt::format("SELECT pg_read_file('pg_wal/{:08X}.history')", *log.new_timeline), 1,
                        deadline));
      STELE_TRY(auto parsed, pg::parse_timeline_history(*log.new_timeline, history[0]));
      if (!parsed.ancestors.empty()) state.recovered_timeline = parsed.ancestors.back().tli;
    }
  } else {
    STELE_TRY(auto control, one_row(*session, "SELECT timeline_id::text FROM pg_control_checkpoint()", 1, deadline));
    STELE_TRY(state.timeline, number<pg::TimelineId>(control[0]));
  }
  return state;
}

Result<RecoveredState> check_after_start(ServerProcess& server, const ExpectedEnd& expected, Instant deadline) {
  STELE_TRY(RecoveredState state, ask_where_it_ended(server, deadline));
  STELE_CHECK(check_end(state, expected));
  return state;
}

}  // namespace stele::restore
