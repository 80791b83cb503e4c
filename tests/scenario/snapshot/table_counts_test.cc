// What a snapshot seals about the server's tables, asked of a real one.
#include "agent/snapshot/table_counts.h"

#include <gmock/gmock.h>

#include <fstream>

#include "tests/scenario/agent_postgres/support.h"

namespace stele::agent {
namespace {

using testing::HasSubstr;

class TableCounts : public testing::Test {
 protected:
  void SetUp() override {
    cluster_ = started({.config = "autovacuum = off\n"});
    ASSERT_NE(cluster_, nullptr);
    sql("CREATE ROLE agent LOGIN");
  }
  void sql(const std::string& text) { ASSERT_OK(cluster_->psql(text)); }

  /// As a role that may read no table.
  ServerCounts counts() {
    auto hosts = split_hosts(fmt::format("host={} port={} user=agent dbname=postgres", cluster_->socket_directory(), cluster_->port()));
    auto connection = PgConnection::connect(hosts->at(0), {}, deadline_in(seconds(30)), new_interrupt());
    EXPECT_TRUE(connection.ok()) << connection.error().to_string();
    return connection.ok() ? read_table_counts(*connection, seconds(60)) : ServerCounts{};
  }
  static std::optional<std::uint64_t> rows(const ServerCounts& counts, const std::string& name, const std::string& database = "postgres") {
    for (const auto& d : counts.databases) {
      for (const auto& t : d.largest) {
        if (d.database == database && t.schema + "." + t.name == name) return t.rows.value_or(987'654'321);
      }
    }
    return {};
  }
  static constexpr std::uint64_t kUnknown = 987'654'321;
  std::unique_ptr<PostgresCluster> cluster_;
};

TEST_F(TableCounts, AreEstimatesOfTheLargestTablesPartitionsIncluded) {
  sql(R"(CREATE SCHEMA s;
CREATE TABLE s.member AS SELECT i FROM generate_series(1, 3000) i;
CREATE TABLE s.unknown (i int);
CREATE TABLE s.parted (i int) PARTITION BY RANGE (i);
CREATE TABLE s.parted_1 PARTITION OF s.parted FOR VALUES FROM (0) TO (100);
CREATE TABLE s.parted_2 PARTITION OF s.parted FOR VALUES FROM (100) TO (1000) PARTITION BY RANGE (i);
CREATE TABLE s.parted_2a PARTITION OF s.parted_2 FOR VALUES FROM (100) TO (500);
INSERT INTO s.parted SELECT i FROM generate_series(0, 499) i;
CREATE UNLOGGED TABLE s.scratch AS SELECT 1;
CREATE VIEW s.v AS SELECT 1;
ANALYZE)");
  std::ofstream(cluster_->root_directory() + "/abroad.csv") << "2000\n";
  sql("CREATE EXTENSION file_fdw; CREATE SERVER f FOREIGN DATA WRAPPER file_fdw; CREATE TABLE s.mixed (i int) PARTITION BY RANGE (i);"
      "CREATE FOREIGN TABLE s.abroad PARTITION OF s.mixed FOR VALUES FROM (2000) TO (3000) SERVER f OPTIONS (filename '" +
      cluster_->root_directory() + "/abroad.csv')");
  const ServerCounts seen = counts();
  EXPECT_TRUE(seen.warnings.empty()) << seen.warnings.front();
  ASSERT_EQ(seen.databases.size(), 1u);
  const format::DatabaseCounts& d = seen.databases[0];
  EXPECT_EQ(d.relations, 10u) << "tables, partitions, the view, the unlogged table, what is foreign";
  EXPECT_EQ(d.tables, 3u);
  ASSERT_EQ(d.largest.size(), 3u);
  EXPECT_EQ(d.largest[0].name, "member") << "the largest first";
  EXPECT_EQ(rows(seen, "s.member"), 3000u);
  EXPECT_EQ(rows(seen, "s.parted"), 500u) << "all its partitions together";
  EXPECT_EQ(rows(seen, "s.unknown"), kUnknown);
}

TEST_F(TableCounts, ATableThatWasNeverAnalyzedHasTheLiveRowsOfTheStatistics) {
  sql("CREATE TABLE fresh AS SELECT i FROM generate_series(1, 700) i");
  // Backends report what they did when they end.
  for (int i = 0; i < 3000 && rows(counts(), "public.fresh") != 700u; ++i) std::this_thread::sleep_for(milliseconds(20));
  EXPECT_EQ(rows(counts(), "public.fresh"), 700u);
}

TEST_F(TableCounts, NeitherALockNorADatabaseThatRefusesUsHoldsThemUp) {
  sql("CREATE TABLE locked AS SELECT i FROM generate_series(1, 1000) i; ANALYZE");
  for (const char* name : {"other", "closed"}) sql(fmt::format("CREATE DATABASE {}", name));
  ASSERT_OK(cluster_->run({"psql", "-X", "-h", cluster_->socket_directory(), "-p", std::to_string(cluster_->port()), "-c",
                           "CREATE TABLE \"Odd name\" AS SELECT i FROM generate_series(1, 60) i; ANALYZE", "other"}));
  sql("REVOKE CONNECT ON DATABASE closed FROM PUBLIC");
  auto holder = connect(*cluster_, ConnectionMode::kSql);
  ASSERT_OK(holder);
  ASSERT_OK(holder->query("BEGIN; LOCK TABLE locked IN ACCESS EXCLUSIVE MODE", deadline_in(seconds(30))));
  const ServerCounts seen = counts();
  EXPECT_EQ(rows(seen, "public.locked"), 1000u);
  EXPECT_EQ(rows(seen, "public.Odd name", "other"), 60u);
  ASSERT_EQ(seen.warnings.size(), 1u);
  EXPECT_THAT(seen.warnings[0], HasSubstr("\"closed\" are not sealed"));
  EXPECT_EQ(seen.databases.size(), 2u);
}

}  // namespace
}  // namespace stele::agent
