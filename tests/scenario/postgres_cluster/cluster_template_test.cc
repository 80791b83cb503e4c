#include "tests/support/cluster_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "tests/support/postgres_cluster.h"

namespace stele::test {
namespace {

namespace fs = std::filesystem;

#define ASSERT_OK(expr) ASSERT_EQ("", problem_of(expr))
template <typename R>
std::string problem_of(const R& result) {
  return result.ok() ? std::string() : result.error().to_string();
}

std::string identifier_of(PostgresCluster& cluster) {
  auto printed = cluster.run({"pg_controldata", "-D", cluster.data_directory()});
  if (!printed.ok()) return printed.error().to_string();
  EXPECT_EQ(printed->find("WARNING"), std::string::npos) << *printed;
  const std::string label = "Database system identifier:";
  const auto begin = printed->find_first_of("0123456789", printed->find(label) + label.size());
  return printed->substr(begin, printed->find('\n', begin) - begin);
}

TEST(ClusterTemplate, EachCopyIsASoundClusterWithASystemIdentifierOfItsOwn) {
  // The small segments leave many files of log behind initdb.
  auto first = PostgresCluster::create({.wal_segment_mb = 1}), second = PostgresCluster::create({.wal_segment_mb = 1});
  ASSERT_OK(first);
  ASSERT_OK(second);
  EXPECT_NE(identifier_of(**first), identifier_of(**second));
  for (PostgresCluster* cluster : {first->get(), second->get()}) {
    const std::string identifier = identifier_of(*cluster);
    ASSERT_OK(cluster->start());
    auto shown = cluster->psql("SELECT system_identifier FROM pg_control_system()");
    ASSERT_OK(shown);
    EXPECT_EQ(*shown, identifier);
  }
  PostgresCluster& cluster = **first;
  ASSERT_OK(cluster.psql("CREATE TABLE t AS SELECT generate_series(1, 10000) AS i"));
  ASSERT_OK(cluster.kill_hard());
  ASSERT_OK(cluster.start()) << "recovery reads the log that was copied";
  ASSERT_OK(cluster.run({"pg_amcheck", "--all", "--install-missing"}));
  ASSERT_OK(cluster.stop());
  ASSERT_OK(cluster.run({"pg_checksums", "--check", "-D", cluster.data_directory()}));
}

TEST(ClusterTemplate, IsMadeOnceAndWholeAlsoByTwoAtATime) {
  auto place = PostgresCluster::create_empty();
  ASSERT_OK(place);
  const std::string templates = (*place)->root_directory() + "/templates";
  const std::vector<std::string> args = {"-U", "postgres", "-A", "trust"};
  const auto count = [&] { return std::distance(fs::directory_iterator(templates), {}); };

  EXPECT_FALSE(make_cluster({"--no-such-option"}, (*place)->root_directory() + "/none", templates).ok());
  EXPECT_EQ(count(), 0) << "a failure leaves nothing behind";
  std::vector<std::future<Status>> makers;
  for (const std::string name : {"/one", "/two"}) {
    makers.push_back(std::async(std::launch::async, [&, name] { return make_cluster(args, (*place)->root_directory() + name, templates); }));
  }
  for (auto& maker : makers) ASSERT_OK(maker.get());
  EXPECT_EQ(count(), 1);
  const auto made = fs::last_write_time(fs::directory_iterator(templates)->path() / "PG_VERSION");
  ASSERT_OK(make_cluster(args, (*place)->data_directory(), templates));
  EXPECT_EQ(fs::last_write_time((*place)->data_directory() + "/PG_VERSION"), made) << "copied, not made anew";
  ASSERT_OK((*place)->start());
}

}  // namespace
}  // namespace stele::test
