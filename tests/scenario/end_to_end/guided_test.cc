#include <fmt/format.h>

#include <filesystem>

#include "tests/scenario/end_to_end/world.h"
#include "tests/support/programs/terminal.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;

TEST(Guided, APersonOnATerminalIsLedToARestoredDatabase) {
  World::Options options;
  options.synchronous = false;
  auto started = World::start(std::move(options));
  ASSERT_OK(started);
  World& world = *started;
  ASSERT_OK(world.snapshot());
  ASSERT_OK(world.source->psql("CREATE TABLE word (word text)"));
  ASSERT_OK(world.source->psql("INSERT INTO word VALUES ('kept')"));
  ASSERT_OK(world.source->psql("SELECT pg_create_restore_point('good')"));
  ASSERT_OK(world.source->psql("INSERT INTO word VALUES ('mistake')"));
  ASSERT_OK(world.stele->wait_caught_up(*world.source));
  auto target = test::PostgresCluster::create_empty();
  ASSERT_OK(target);

  auto terminal = test::Terminal::start({fmt::format("{}/bin/stele-restore", STELE_BINARY_DIR), "--config", world.stele->root() + "/restore.toml", "run"});
  ASSERT_OK(terminal);
  test::Terminal& person = **terminal;
  ASSERT_OK(person.expect("window", 60));
  ASSERT_OK(person.expect("To which moment?", 60));
  ASSERT_OK(person.type("name there is none"));
  ASSERT_OK(person.expect("Into which new directory?", 60));
  ASSERT_OK(person.type((*target)->data_directory()));
  ASSERT_OK(person.expect("Start PostgreSQL", 60));
  ASSERT_OK(person.type("n"));
  ASSERT_OK(person.expect("passphrase of", 60));
  ASSERT_OK(person.type("a passphrase for tests only"));
  // There is no such restore point: the question comes again, the passphrase does not.
  ASSERT_OK(person.expect("To which moment?", 120));
  EXPECT_FALSE(fs::exists((*target)->data_directory()));
  ASSERT_OK(person.type("name good"));
  ASSERT_OK(person.expect("Into which new directory?", 60));
  ASSERT_OK(person.type((*target)->data_directory()));
  ASSERT_OK(person.expect("reaches", 120));
  ASSERT_OK(person.expect("Restore now (yes or no)?", 60));
  EXPECT_FALSE(fs::exists((*target)->data_directory()));
  ASSERT_OK(person.type("yes"));
  auto code = person.wait(180);
  ASSERT_OK(code);
  ASSERT_EQ(*code, 0) << person.shown();
  EXPECT_EQ(person.shown().find("a passphrase for tests"), std::string::npos) << "the passphrase was shown";
  ASSERT_OK((*target)->start(120));
  ASSERT_OK(test::wait_for("recovery ends", 120, [&] {
    const auto state = (*target)->psql("SELECT pg_is_in_recovery()");
    return state.ok() && *state == "f";
  }));
  auto rows = (*target)->psql("SELECT string_agg(word, ',') FROM word");
  ASSERT_OK(rows);
  EXPECT_EQ(*rows, "kept");

  // Who says no has changed nothing; without a terminal and a directory nothing is guessed.
  const std::string unwanted = world.stele->root() + "/unwanted";
  auto second = test::Terminal::start({fmt::format("{}/bin/stele-restore", STELE_BINARY_DIR), "--config", world.stele->root() + "/restore.toml", "run", "--into", unwanted, "--start"});
  ASSERT_OK(second);
  ASSERT_OK((*second)->expect("To which moment?", 60));
  ASSERT_OK((*second)->type(""));
  ASSERT_OK((*second)->expect("passphrase of", 60));
  ASSERT_OK((*second)->type("a passphrase for tests only"));
  ASSERT_OK((*second)->expect("Restore now (yes or no)?", 120));
  ASSERT_OK((*second)->type("no"));
  auto refused = (*second)->wait(60);
  ASSERT_OK(refused);
  EXPECT_NE(*refused, 0) << (*second)->shown();
  EXPECT_FALSE(fs::exists(unwanted));
  auto no_terminal = world.stele->restore({"run"});
  ASSERT_OK(no_terminal);
  EXPECT_EQ(no_terminal->exit_code, 2) << no_terminal->err;
}

}  // namespace
}  // namespace stele::scenario
