#include "tests/tools/workload/client.h"

#include <fmt/format.h>

#include <thread>

#include "core/base/time.h"

namespace stele::workload {
namespace {

constexpr auto kReconnectEvery = std::chrono::milliseconds(100);

}  // namespace

/// The SQL of one change; a pure function of run, client and sequence.
std::string Client::change() {
  const std::uint64_t random =
      registry::mix(options_.seed ^ std::hash<std::string>{}(options_.run), static_cast<std::uint64_t>(sequence_),
                    static_cast<std::uint64_t>(options_.client) + 100);
  const auto member = static_cast<std::int64_t>(random % static_cast<std::uint64_t>(options_.members)) + 1;
  const auto organisation =
      static_cast<std::int64_t>((random >> 32) % static_cast<std::uint64_t>(generator_.organisations())) + 1;
  switch (random % 10) {
    case 0:
    case 1:
    case 2: {
      const registry::Member m = generator_.member(options_.first_new_member + joined_++);
      return fmt::format(
          "WITH joined AS (INSERT INTO registry.member (id, name, sex, identity_number, birth_date, phone, "
          "household_type, organisation) VALUES "
          "({}, '{}', '{}', '{}', '{}', '{}', '{}', {}) ON CONFLICT DO NOTHING RETURNING id, organisation) "
          "INSERT INTO registry.movement (member, kind, to_organisation) SELECT id, '入会', organisation FROM joined",
          m.id, m.name, m.sex, m.identity_number, m.birth_date, m.phone, m.household_type, m.organisation);
    }
    case 3:
      return fmt::format(
          "WITH retired AS (UPDATE registry.member SET retired_on = current_date WHERE id = {} AND retired_on IS NULL "
          "RETURNING id, organisation) "
          "INSERT INTO registry.movement (member, kind, from_organisation) SELECT id, '退休', organisation FROM "
          "retired",
          member);
    default:
      return fmt::format(
          "WITH before AS (SELECT id, organisation FROM registry.member WHERE id = {} FOR UPDATE), "
          "moved AS (UPDATE registry.member m SET organisation = {} FROM before WHERE m.id = before.id RETURNING m.id) "
          "INSERT INTO registry.movement (member, kind, from_organisation, to_organisation) SELECT id, '转会', "
          "organisation, {} FROM before",
          member, organisation, organisation);
  }
}

Status Client::transaction(pq::Session& session) {
  Entry entry;
  entry.run = options_.run;
  entry.client = options_.client;
  entry.sequence = ++sequence_;
  // Until COMMIT is sent, a failure means that nothing was committed.
  STELE_TRY(const std::string xid,
            session.value(fmt::format(
                "BEGIN; {}; INSERT INTO registry.commit_ledger (run, client, sequence) VALUES ('{}', {}, {}) "
                "RETURNING pg_current_xact_id()::text::bigint & 4294967295",
                change(), options_.run, options_.client, entry.sequence)));
  entry.xid = static_cast<std::uint32_t>(std::stoull(xid));
  const auto commit = session.commit();
  SystemClock clock;
  entry.received_at = to_iso8601(clock.now());
  entry.position = commit.position.value_or("");
  entry.committed_at = commit.committed_at.value_or("");
  using Answer = pq::Session::Commit::Outcome;
  switch (commit.outcome) {
    case Answer::kRefused:
      return Error{ErrorCode::kDatabase, "COMMIT: " + commit.message, ""};
    case Answer::kCommitted:
      entry.outcome = Outcome::kAcknowledged;
      break;
    case Answer::kWarned:
      entry.outcome = Outcome::kWarned;
      break;
    case Answer::kUnknown:
      entry.outcome = Outcome::kUnknown;
      break;
  }
  STELE_CHECK(ledger_.append(entry));
  if (commit.outcome == Answer::kCommitted) ++acknowledged_;
  if (commit.outcome == Answer::kUnknown) {
    ++unknown_;
    return Error{ErrorCode::kClosed, "COMMIT: the server went away", ""};
  }
  return {};
}

Status Client::run(const std::atomic<bool>& stop) {
  int refused = 0;
  while (!stop) {
    auto session = pq::Session::connect(options_.conninfo);
    if (!session.ok()) {
      std::this_thread::sleep_for(kReconnectEvery);
      continue;
    }
    while (!stop) {
      const Status done = transaction(*session);
      if (done.ok()) {
        refused = 0;
        if (options_.transactions > 0 && acknowledged_ >= options_.transactions) return {};
        if (options_.pause.count() > 0) std::this_thread::sleep_for(options_.pause);
        continue;
      }
      if (done.error().code == ErrorCode::kClosed) break;
      // Refused: a server that is starting or stopping, a table that an operator is changing. For good only when it
      // repeats.
      if (done.error().code != ErrorCode::kDatabase || ++refused > 50) return done;
      break;
    }
    if (!stop) std::this_thread::sleep_for(kReconnectEvery);
  }
  return {};
}

}  // namespace stele::workload
