#include <fmt/format.h>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {
namespace {

TEST(Configuration, AFileThatCannotBeReadIsAWrongCallOfEveryProgram) {
  const std::vector<std::vector<std::string>> commands = {
      {"stele-agent", "run"},       {"stele-agent", "status"},   {"stele-receiver", "run"},   {"stele-receiver", "check"},
      {"stele-restore", "list"},    {"stele-restore", "plan"},   {"stele-restore", "verify"}, {"stele-restore", "drill"},
      {"stele-restore", "keys", "check"},                        {"stele-restore", "run", "--into", "/tmp/stele-nothing"},
      {"stele-restore", "extract", "--table", "a.b", "--output", "/tmp/stele-nothing.dump"}};
  for (const std::string file : {"/nonexistent/stele.toml", "/tmp"}) {
    for (std::vector<std::string> argv : commands) {
      argv[0] = fmt::format("{}/bin/{}", STELE_BINARY_DIR, argv[0]);
      argv.insert(argv.begin() + 1, {"--config", file});
      auto done = test::run_process(argv);
      ASSERT_OK(done);
      EXPECT_EQ(done->exit_code, 2) << fmt::format("{}: {}", fmt::join(argv, " "), done->err);
      EXPECT_NE(done->err.find(file), std::string::npos) << done->err;
    }
  }
}

}  // namespace
}  // namespace stele::scenario
