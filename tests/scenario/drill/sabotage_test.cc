// Restores that must not pass: each is damaged in its own way, and the drill has to say so.
#include <gmock/gmock.h>

#include <fstream>
#include <set>

#include "tests/scenario/drill/drill_world.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Sabotage : public DrillTest {
 protected:
  /// Flips one bit of a file.
  static void flip(const std::string& path, std::uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    ASSERT_TRUE(file) << path;
    file.seekg(static_cast<std::streamoff>(offset));
    const int byte = file.get();
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(byte ^ 0x10));
    ASSERT_TRUE(file.good());
  }

  std::vector<std::string> objects(const std::string& folder) {
    std::vector<std::string> out;
    for (const auto& entry : fs::recursive_directory_iterator(world_->stele->store_directory() + "/objects/440000/registry/" + folder)) {
      if (entry.is_regular_file()) out.push_back(entry.path());
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  void stop_everything() {
    ASSERT_OK(world_->stele->agent_process().stop());
    ASSERT_OK(world_->stele->receiver_process().stop());
  }
};

TEST_F(Sabotage, AFlippedPageIsCaught) {
  begin();
  auto path = world_->source->psql("SELECT pg_relation_filepath('registry.member')");
  ASSERT_OK(path);
  sql("CHECKPOINT");
  // Off-site begins anew behind the flip: a good snapshot from before would rightly be taken instead.
  stop_everything();
  fs::remove_all(world_->stele->store_directory());
  fs::remove_all(world_->stele->receiver_directory() + "/catalog");
  ASSERT_OK(world_->stele->forget_agent());
  ASSERT_OK(world_->source->stop());
  flip(world_->source->data_directory() + "/" + *path, 8192 + 4000);
  ASSERT_OK(world_->source->start());
  ASSERT_OK(world_->stele->start_receiver());
  ASSERT_OK(world_->stele->start_agent());
  ASSERT_OK(world_->stele->wait_streaming(*world_->source, false));
  snapshot_and_catch_up();
  // The agent saw it: only a damaged snapshot is there.
  const Drilled refused = drill();
  EXPECT_EQ(refused.exit_code, 4) << refused.text();
  EXPECT_FALSE(refused.report["passed"].get<bool>());
  // And where an operator goes on with it, the checks find the page.
  const Drilled done = drill({"--accept-damaged"});
  EXPECT_EQ(done.exit_code, 1) << done.text();
  EXPECT_EQ(done.result("page_checksums"), "failed") << done.text();
  EXPECT_THAT(done.check("page_checksums")["detail"].get<std::string>(), HasSubstr("1 bad of"));
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
  expect_wiped();
}

TEST_F(Sabotage, ATableWhoseFileWasEmptiedIsCaught) {
  World::Options options = default_options();
  // VACUUM would find that nothing is left, and the next snapshot would seal that.
  options.postgres.config = "autovacuum = off\n";
  begin(std::move(options));
  sql("ANALYZE; CHECKPOINT");
  auto path = world_->source->psql("SELECT pg_relation_filepath('registry.member')");
  ASSERT_OK(path);
  ASSERT_OK(world_->source->stop());
  fs::resize_file(world_->source->data_directory() + "/" + *path, 0);
  ASSERT_OK(world_->source->start());
  ASSERT_OK(world_->stele->wait_streaming(*world_->source, false));
  snapshot_and_catch_up();
  // Nothing but the counts: every page that is left is good, and every index entry of a lost row is taken for a dead one's.
  assertions_.clear();
  configure();
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 1) << done.text();
  for (const char* name : {"amcheck", "page_checksums"}) EXPECT_EQ(done.result(name), "passed") << done.text();
  EXPECT_EQ(done.result("counts"), "failed") << done.text();
  const auto& deviations = done.report["counts"]["deviations"];
  ASSERT_EQ(deviations.size(), 1u) << done.text();
  EXPECT_EQ(deviations[0]["table"], "member");
  EXPECT_EQ(deviations[0]["problem"], "fewer_rows");
  EXPECT_EQ(deviations[0]["sealed"], 500);
  EXPECT_EQ(deviations[0]["found"], 0);
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
  // A table whose rows come and go can be left out by name.
  configure("count_ignore = [\"registry.member\"]");
  EXPECT_EQ(drill().result("counts"), "passed");
  expect_wiped();
}

TEST_F(Sabotage, EveryPlantedErrorOfTheRegistryIsCaught) {
  begin();
  snapshot_and_catch_up();
  const Drilled before = drill();
  ASSERT_EQ(before.exit_code, 0) << before.text();
  // Rows that the constraints would have refused, as a careless migration leaves them.
  sql(R"(
ALTER TABLE registry.member DROP CONSTRAINT member_organisation_fkey, DROP CONSTRAINT identity_number_check, DROP CONSTRAINT member_identity_number_key,
  DROP CONSTRAINT sex_check, DROP CONSTRAINT birth_date_check, DROP CONSTRAINT phone_check, DROP CONSTRAINT household_type_check, ALTER phone DROP NOT NULL;
ALTER TABLE registry.organisation DROP CONSTRAINT organisation_parent_fkey, DROP CONSTRAINT credit_code_check, DROP CONSTRAINT organisation_credit_code_key, ALTER union_leader DROP NOT NULL;
CREATE OR REPLACE FUNCTION registry.identity_number_is_valid(n text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT AS 'SELECT true';)");
  struct Planted {
    int drill;
    std::string file, make, unmake;
  };
  const std::string number = "substr(identity_number, 1, 17) || CASE substr(identity_number, 18) WHEN '1' THEN '2' ELSE '1' END";
  const std::string code = "substr(credit_code, 1, 17) || CASE substr(credit_code, 18) WHEN '1' THEN '2' ELSE '1' END";
  const std::vector<Planted> all = {
      {1, "02_member_has_organisation.sql", "UPDATE registry.member SET organisation = 999999 WHERE id = 7", "UPDATE registry.member SET organisation = 1 WHERE id = 7"},
      {2, "03_organisation_in_tree.sql", "UPDATE registry.organisation SET parent = id WHERE id = 5", "UPDATE registry.organisation SET parent = NULL WHERE id = 5"},
      {1, "04_identity_number_valid.sql", "UPDATE registry.member SET identity_number = " + number + " WHERE id = 8", "DELETE FROM registry.member WHERE id = 8"},
      {2, "05_identity_number_unique.sql", "INSERT INTO registry.member SELECT 900001, name, sex, identity_number, birth_date, phone, household_type, organisation, joined_on FROM registry.member WHERE id = 9",
       "DELETE FROM registry.member WHERE id = 900001"},
      {1, "06_credit_code_valid.sql", "UPDATE registry.organisation SET credit_code = " + code + " WHERE id = 2", "UPDATE registry.organisation SET credit_code = (SELECT code FROM kept) WHERE id = 2"},
      {2, "07_credit_code_unique.sql", "UPDATE registry.organisation SET credit_code = (SELECT code FROM kept) WHERE id = 3", ""},
      {1, "08_member_complete.sql", "UPDATE registry.member SET phone = NULL WHERE id = (SELECT min(id) FROM registry.member)", "DELETE FROM registry.member WHERE phone IS NULL"},
      {2, "09_organisation_complete.sql", "UPDATE registry.organisation SET union_leader = ' ' WHERE id = 4", "UPDATE registry.organisation SET union_leader = 'x' WHERE id = 4"},
      {1, "10_age_plausible.sql", "UPDATE registry.member SET joined_on = birth_date + 1000 WHERE id = (SELECT min(id) FROM registry.member)", "DELETE FROM registry.member WHERE joined_on = birth_date + 1000"},
      {3, "01_registry_has_members.sql", "DELETE FROM registry.member", ""}};
  sql("CREATE TABLE kept AS SELECT credit_code AS code FROM registry.organisation WHERE id = 2");
  // Each drill has some of them: what is planted is found, and nothing else is.
  for (int number_of_drill = 1; number_of_drill <= 3; ++number_of_drill) {
    std::set<std::string> planted, failed;
    for (const Planted& p : all) {
      if (p.drill != number_of_drill) continue;
      sql(p.make);
      planted.insert("assertion:" + p.file);
    }
    // An emptied table is missed by its counts, too.
    if (number_of_drill == 3) planted.insert("counts");
    ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
    const Drilled done = drill();
    EXPECT_EQ(done.exit_code, 1) << done.text();
    for (const auto& check : done.report["checks"]) {
      if (check["result"] == "failed") failed.insert(check["name"].get<std::string>());
    }
    EXPECT_EQ(failed, planted) << done.text();
    for (const Planted& p : all) {
      if (p.drill == number_of_drill && !p.unmake.empty()) sql(p.unmake);
    }
    if (number_of_drill == 2) sql("UPDATE registry.member SET organisation = 1 WHERE organisation = 3; DELETE FROM registry.organisation WHERE id = 3");
  }
  expect_wiped();
}

TEST_F(Sabotage, ATruncatedLogIsCaught) {
  begin();
  snapshot_and_catch_up();
  for (int i = 0; i < 3; ++i) {
    sql("CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 20000) g; DROP TABLE t");
    ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
  }
  stop_everything();
  const std::vector<std::string> runs = objects("log");
  ASSERT_FALSE(runs.empty());
  const std::string& last = runs.back();
  fs::resize_file(last, fs::file_size(last) / 2);
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 4) << done.text();
  EXPECT_FALSE(done.report["passed"].get<bool>());
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
  expect_wiped();
}

TEST_F(Sabotage, ADamagedObjectIsCaught) {
  begin();
  snapshot_and_catch_up();
  stop_everything();
  std::string largest;
  for (const std::string& pack : objects("pack")) {
    if (largest.empty() || fs::file_size(pack) > fs::file_size(largest)) largest = pack;
  }
  ASSERT_FALSE(largest.empty());
  flip(largest, fs::file_size(largest) / 2);
  const Drilled done = drill();
  EXPECT_EQ(done.exit_code, 4) << done.text();
  EXPECT_FALSE(done.report["passed"].get<bool>());
  EXPECT_THAT(metrics(), HasSubstr(metric("stele_drill_success", "0")));
  expect_wiped();
}

}  // namespace
}  // namespace stele::scenario
