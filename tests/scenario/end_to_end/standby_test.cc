#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <filesystem>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::PostgresCluster;

/// A warm site: a standby that is fed by the store alone.
class Standby : public testing::Test {
 protected:
  void SetUp() override {
    World::Options options;
    options.members = 500;
    options.postgres.wal_segment_mb = 1;
    auto started = World::start(std::move(options));
    ASSERT_OK(started);
    world_ = std::make_unique<World>(std::move(*started));
    ASSERT_OK(world_->source->psql("CREATE TABLE word (word text)"));
    ASSERT_OK(world_->snapshot());
    insert("before");
    ASSERT_OK(world_->stele->restore_from_receiver());
    auto empty = PostgresCluster::create_empty();
    ASSERT_OK(empty);
    standby_ = std::move(*empty);
    ASSERT_OK(world_->stele->restore_ok({"run", "--standby", "--into", standby_->data_directory()}));
    ASSERT_OK(standby_->start(120));
    ASSERT_OK(test::write_file_text(words(), "a passphrase for tests only\n"));
  }

  std::string words() const { return world_->stele->root() + "/passphrase"; }
  std::string into() const { return standby_->data_directory(); }
  void insert(const std::string& word) { ASSERT_OK(world_->source->psql(fmt::format("INSERT INTO word VALUES ('{}')", word))); }

  Status follow() {
    return follower_.start({"/bin/sh", "-c", fmt::format("exec {}/bin/stele-restore --config {}/restore.toml follow --into {} --interval 500ms --passphrase-fd 3 3<{}", STELE_BINARY_DIR, world_->stele->root(), into(), words())},
                           world_->stele->root() + "/follow.log");
  }
  std::string follow_log() const { return test::read_file_text(world_->stele->root() + "/follow.log") + standby_->log_tail(); }

  Status shows(const std::string& rows) {
    std::string last;
    Status done = test::wait_for("the standby shows " + rows, 120, [&] {
      const auto answer = standby_->psql("SELECT string_agg(word, ',' ORDER BY word) FROM word");
      last = answer.ok() ? *answer : answer.error().to_string();
      return last == rows;
    });
    if (!done.ok()) return Error{done.error().code, done.error().what + "; it shows " + last + "\n" + follow_log(), ""};
    return {};
  }

  std::unique_ptr<World> world_;
  std::unique_ptr<PostgresCluster> standby_;
  test::Daemon follower_{"stele-restore follow"};
};

TEST_F(Standby, FollowsIsQueriedResumesAndIsPromotedWithEverythingAcknowledged) {
  ASSERT_OK(shows("before"));
  ASSERT_OK(follow());
  insert("first");
  ASSERT_OK(shows("before,first"));
  EXPECT_FALSE(standby_->psql("INSERT INTO word VALUES ('here')").ok()) << "a standby is read-only";

  // Killed, and started again: it goes on where it was. More than one segment comes meanwhile.
  follower_.kill_hard();
  insert("second");
  ASSERT_OK(world_->source->psql("SELECT pg_logical_emit_message(false, 'filler', repeat('x', 3000000))"));
  insert("third");
  ASSERT_OK(follow());
  ASSERT_OK(shows("before,first,second,third"));

  auto status = world_->stele->restore_plain({"--config", world_->stele->root() + "/restore.toml", "--json", "follow", "--into", into(), "--status"});
  ASSERT_OK(status);
  ASSERT_EQ(status->exit_code, 0) << status->out << status->err;
  const json told = json::parse(status->out);
  EXPECT_GE(told["lag_seconds"].get<double>(), 0.0) << told.dump(1);
  EXPECT_EQ(told["follow"]["timeline"], 1) << told.dump(1);

  // The receiver goes away and comes back: the follower waits, the standby stays what it is.
  ASSERT_OK(world_->stele->receiver_process().stop());
  ASSERT_OK(standby_->psql("SELECT count(*) FROM word"));
  ASSERT_OK(world_->stele->start_receiver());
  ASSERT_OK(world_->stele->wait_streaming(*world_->source, true, 60));
  insert("fourth");
  ASSERT_OK(shows("before,first,fourth,second,third"));
  EXPECT_TRUE(follower_.running()) << follow_log();

  // Disaster. What was acknowledged is at the warm site after the promotion, whether the follower had fetched it or not.
  ASSERT_OK(follower_.stop());
  insert("last");
  ASSERT_OK(world_->source->kill_hard());
  auto promoted = world_->stele->restore_ok({"--json", "follow", "--into", into(), "--promote"});
  ASSERT_OK(promoted);
  EXPECT_EQ(json::parse(*promoted)["timeline"], 2) << *promoted;
  ASSERT_OK(shows("before,first,fourth,last,second,third"));
  EXPECT_OK(standby_->psql("INSERT INTO word VALUES ('new life')"));
}

TEST_F(Standby, FollowsASourceThatWasPromotedToANewTimeline) {
  ASSERT_OK(follow());
  insert("first");
  ASSERT_OK(shows("before,first"));
  // The province fails over to its own standby, which has everything.
  auto other = PostgresCluster::create_empty();
  ASSERT_OK(other);
  ASSERT_OK(world_->source->run({"pg_basebackup", "-D", (*other)->data_directory(), "-c", "fast", "-R", "-X", "stream"}));
  ASSERT_OK((*other)->append_config("synchronous_standby_names = ''"));
  ASSERT_OK((*other)->start());
  auto end = world_->source->psql("SELECT pg_current_wal_flush_lsn()");
  ASSERT_OK(end);
  ASSERT_OK(test::wait_for("the province's standby catches up", 60, [&] {
    const auto at = (*other)->psql(fmt::format("SELECT pg_last_wal_replay_lsn() >= '{}'::pg_lsn", *end));
    return at.ok() && *at == "t";
  }));
  ASSERT_OK(world_->stele->agent_process().stop());
  ASSERT_OK(world_->source->stop());
  ASSERT_OK((*other)->psql("SELECT pg_promote()"));
  ASSERT_OK(world_->stele->protect(fmt::format("host={} port=5432 user=stele dbname=postgres", (*other)->socket_directory())));
  ASSERT_OK(world_->stele->start_agent());
  ASSERT_OK(world_->stele->wait_streaming(**other, false, 60));
  ASSERT_OK((*other)->psql("INSERT INTO word VALUES ('second')"));
  ASSERT_OK(world_->stele->wait_caught_up(**other));
  ASSERT_OK(shows("before,first,second"));
  EXPECT_TRUE(follower_.running()) << follow_log();
}

TEST_F(Standby, ItNeverEndsItsRecoveryBecauseLogIsNotThereYet) {
  ASSERT_OK(shows("before"));
  // Nobody follows. The server asks in vain, and stays a standby; as an ordinary recovery it refuses to end.
  ASSERT_OK(standby_->restart());
  ASSERT_OK(shows("before"));
  auto state = standby_->psql("SELECT pg_is_in_recovery()");
  ASSERT_OK(state);
  EXPECT_EQ(*state, "t");
  ASSERT_OK(standby_->stop());
  fs::rename(into() + "/standby.signal", into() + "/recovery.signal");
  EXPECT_FALSE(standby_->start(60).ok()) << "it was promoted short";
  EXPECT_NE(standby_->log_tail().find("has not come yet"), std::string::npos) << standby_->log_tail();
}

}  // namespace
}  // namespace stele::scenario
