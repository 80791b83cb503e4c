// Drills at random moments under load, compared with the ledger of commits and with PostgreSQL's own reading of its log: exactly the
// transactions committed by then. STELE_DRILL_MOMENTS says how many moments (default 2; drill_moments.sh takes ten).
#include <gmock/gmock.h>

#include <sstream>

#include "core/base/time.h"
#include "tests/scenario/drill/drill_world.h"
#include "tests/tools/workload/ledger.h"

namespace stele::scenario {
namespace {

/// One commit record of the source's log.
struct Commit {
  std::uint32_t xid = 0;
  std::uint64_t lsn = 0;
  Timestamp time;
};

class Moments : public DrillTest {
 protected:
  /// Commits in the order of the log, as pg_waldump reads it; independent of every line of ours.
  std::vector<Commit> commits_of_source() {
    auto first = world_->source->psql("SELECT name FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' ORDER BY name LIMIT 1");
    auto last = world_->source->psql("SELECT pg_walfile_name(pg_current_wal_flush_lsn())");
    std::vector<Commit> out;
    EXPECT_EQ("", problem_of(first));
    EXPECT_EQ("", problem_of(last));
    if (!first.ok() || !last.ok()) return out;
    auto dump = test::run_process({"env", "TZ=UTC", test::PostgresCluster::program("pg_waldump"), "--path", world_->source->data_directory() + "/pg_wal", "--rmgr=Transaction", *first, *last});
    EXPECT_EQ("", problem_of(dump));
    if (!dump.ok()) return out;
    // "rmgr: Transaction len (rec/tot): 46/ 46, tx: 763, lsn: 0/01A3C7F8, prev 0/01A3C7B0, desc: COMMIT 2026-11-25 11:04:25.606151 UTC; ..."
    std::istringstream lines(dump->out);
    for (std::string line; std::getline(lines, line);) {
      const auto at = line.find("desc: COMMIT "), tx = line.find("tx:"), lsn = line.find("lsn: ");
      if (at == std::string::npos || tx == std::string::npos || lsn == std::string::npos) continue;
      Commit c;
      c.xid = static_cast<std::uint32_t>(std::stoull(line.substr(tx + 3)));
      c.lsn = workload::position_number(line.substr(lsn + 5, line.find(',', lsn) - lsn - 5)).value_or(0);
      auto time = parse_timestamp(line.substr(at + 13, line.find(" UTC", at) - at - 13) + "Z");
      EXPECT_EQ("", problem_of(time));
      if (time.ok()) c.time = *time;
      out.push_back(c);
    }
    return out;
  }
};

TEST_F(Moments, RandomOnesUnderLoadHoldExactlyTheTransactionsCommittedByThen) {
  const char* wanted = std::getenv("STELE_DRILL_MOMENTS");
  const int moments = wanted == nullptr ? 2 : std::atoi(wanted);
  ASSERT_GT(moments, 0);
  World::Options options = default_options();
  options.postgres.config = "wal_keep_size = 1GB\n";
  begin(std::move(options));
  ASSERT_OK(world_->start_clients(4));
  ASSERT_OK(world_->wait_progress(50));
  ASSERT_OK(world_->snapshot());
  ASSERT_OK(world_->wait_progress(400));
  auto acknowledged = world_->stop_clients();
  ASSERT_OK(acknowledged);
  ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
  // The window ends with the load, so that moments fall into it.
  ASSERT_OK(world_->stele->agent_process().stop());
  const std::vector<Commit> commits = commits_of_source();
  ASSERT_GT(commits.size(), 400u);
  auto recorded = workload::read_ledger(world_->ledger);
  ASSERT_OK(recorded);
  std::map<std::uint32_t, const Commit*> by_xid;
  for (const Commit& c : commits) by_xid[c.xid] = &c;
  std::string values;
  for (const workload::Entry& e : *recorded) {
    if (e.outcome != workload::Outcome::kAcknowledged) continue;
    ASSERT_TRUE(by_xid.contains(e.xid)) << "pg_waldump does not show transaction " << e.xid;
    values += fmt::format("{}({}, {}, {}, {})", values.empty() ? "" : ", ", e.client, e.sequence, e.xid, by_xid[e.xid]->lsn);
  }
  // In the copy: every recorded commit before the end of its recovery is there, none after it, and nothing else.
  assertions_ = root() + "/assertions";
  std::filesystem::create_directory(assertions_);
  ASSERT_OK(test::write_file_text(
      assertions_ + "/ledger.sql",
      fmt::format("SELECT 1 FROM (SELECT * FROM (VALUES {}) AS v (client, sequence, xid, lsn) WHERE lsn < pg_last_wal_replay_lsn() - '0/0'::pg_lsn) AS r\n"
                  "FULL JOIN (SELECT client, sequence, xmin::text::bigint AS xid FROM registry.commit_ledger) AS c USING (client, sequence, xid)\n"
                  "WHERE r.lsn IS NULL OR c.client IS NULL",
                  values)));
  configure();
  std::size_t inside = 0;
  for (int moment = 0; moment < moments; ++moment) {
    const Drilled done = drill({"--target-random", "--seed", std::to_string(1000 + moment)});
    ASSERT_EQ(done.exit_code, 0) << "seed " << 1000 + moment << "\n" << done.text();
    ASSERT_EQ(done.result("assertion:ledger.sql"), "passed") << done.text();
    EXPECT_EQ(done.report["seed"], 1000 + moment);
    // By PostgreSQL's rule the copy ends before the first commit in log order that is later than the moment.
    const std::string again = done.report["again"];
    auto time = parse_timestamp(again.substr(again.find(' ') + 1));
    ASSERT_OK(time);
    const auto stop = std::find_if(commits.begin(), commits.end(), [&](const Commit& c) { return c.time > *time; });
    const std::uint64_t reached = workload::position_number(done.check("recovery_end")["detail"].get<std::string>().substr(4, done.check("recovery_end")["detail"].get<std::string>().find(',') - 4)).value_or(0);
    for (auto it = commits.begin(); it != commits.end(); ++it) {
      EXPECT_EQ(it->lsn < reached, it < stop) << "seed " << 1000 + moment << ": transaction " << it->xid << " at " << to_iso8601(it->time) << ", moment " << to_iso8601(*time);
    }
    if (stop != commits.end() && stop != commits.begin()) ++inside;
  }
  EXPECT_GT(inside, 0u) << "no moment fell into the load";
  // The same query with one commit more must fail: it can.
  ASSERT_OK(test::write_file_text(assertions_ + "/ledger.sql",
                                  "SELECT 1 FROM (VALUES (77777)) AS v (client) WHERE NOT EXISTS (SELECT 1 FROM registry.commit_ledger AS c WHERE c.client = v.client)"));
  EXPECT_EQ(drill({"--target-random", "--seed", "1000"}).exit_code, 1);
}

}  // namespace
}  // namespace stele::scenario
