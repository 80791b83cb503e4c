#include "restore/postgres/table_dump.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace stele::restore {
namespace {

class Ended final : public ChildProcess {
 public:
  pid_t pid() const override { return 1; }
  Result<std::optional<ProcessEnd>> poll() override { return std::optional<ProcessEnd>(ProcessEnd{}); }
  Status send_signal(int) override { return {}; }
};

/// Runs nothing and remembers what it was told to.
class Remembering final : public ProcessRunner {
 public:
  Result<ProcessOutput> run(const ProcessSpec& spec, Duration) override {
    specs.push_back(spec);
    return ProcessOutput{};
  }
  Result<std::unique_ptr<ChildProcess>> start(const ProcessSpec& spec) override {
    specs.push_back(spec);
    return std::unique_ptr<ChildProcess>(std::make_unique<Ended>());
  }
  std::vector<ProcessSpec> specs;
};

TEST(DumpTools, TheOperatorsConnectionSettingsCountOnlyWhereTheirConnectionDoes) {
  ASSERT_EQ(setenv("PGSERVICE", "production", 1), 0);
  Remembering runner;
  const Installation installation{"/usr/lib/postgresql/15/bin", "", 15, 150020};
  DumpTools tools(runner, installation, "/nowhere/tools.log", nullptr);
  DumpTools::Dump dump;
  dump.from = {"/tmp/s", 5432, "postgres"};
  dump.database = "registry";
  dump.file = "/nowhere/dump";
  EXPECT_TRUE(tools.dump(dump).ok());
  EXPECT_TRUE(tools.load("/nowhere/dump", "dbname=rescue", false).ok());
  EXPECT_TRUE(tools.ask("dbname=rescue", "SELECT 1").ok());
  unsetenv("PGSERVICE");
  ASSERT_EQ(runner.specs.size(), 3u);
  const std::pair<std::string, std::string> service("PGSERVICE", "production");
  EXPECT_THAT(runner.specs[0].environment, testing::IsEmpty()) << "pg_dump asks the copy, and nobody else";
  EXPECT_THAT(runner.specs[1].environment, testing::Contains(service));
  EXPECT_THAT(runner.specs[2].environment, testing::Contains(service));
}

}  // namespace
}  // namespace stele::restore
