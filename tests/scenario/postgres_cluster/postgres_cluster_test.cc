#include "tests/support/postgres_cluster.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

namespace stele::test {
namespace {

TEST(PostgresCluster, AnswersSurvivesAKillAndLeavesNothingBehind) {
  std::string root;
  pid_t pid = 0;
  {
    auto made = PostgresCluster::create({.wal_segment_mb = 1, .config = "max_connections = 17"});
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    auto& cluster = **made;
    root = cluster.root_directory();
    Status started = cluster.start();
    ASSERT_TRUE(started.ok()) << started.error().to_string();
    auto shown = cluster.psql("SHOW max_connections; SHOW wal_segment_size; SHOW data_checksums; SHOW fsync;");
    ASSERT_TRUE(shown.ok()) << shown.error().to_string();
    EXPECT_EQ(*shown, "17\n1MB\non\non");
    ASSERT_TRUE(cluster.psql("CREATE TABLE t AS SELECT 1 AS x;").ok());
    EXPECT_FALSE(cluster.psql("SELECT nothing;").ok());

    ASSERT_TRUE(cluster.kill_hard().ok());
    EXPECT_FALSE(cluster.running());
    started = cluster.start();
    ASSERT_TRUE(started.ok()) << started.error().to_string();
    auto count = cluster.psql("SELECT count(*) FROM t");
    ASSERT_TRUE(count.ok());
    EXPECT_EQ(*count, "1");
    pid = cluster.postmaster_pid();
  }
  EXPECT_FALSE(std::filesystem::exists(root));
  EXPECT_NE(kill(pid, 0), 0);
}

}  // namespace
}  // namespace stele::test
