#include "restore/postgres/installation.h"

#include <gtest/gtest.h>

#include "restore/postgres/after_start.h"
#include "tests/support/fault_file_system.h"

namespace stele::restore {
namespace {

/// Answers for the programs of a made-up host.
class FakeRunner final : public ProcessRunner {
 public:
  std::map<std::string, std::string> answers;  ///< command line to standard output
  Result<ProcessOutput> run(const ProcessSpec& spec, Duration) override {
    std::string line;
    for (const auto& a : spec.argv) line += (line.empty() ? "" : " ") + a;
    auto found = answers.find(line);
    if (found == answers.end()) return Error{ErrorCode::kIo, "start " + line, ""};
    return ProcessOutput{{}, found->second, ""};
  }
  Result<std::unique_ptr<ChildProcess>> start(const ProcessSpec&) override {
    return Error{ErrorCode::kIo, "start", ""};
  }
};

void make_file(io::FileSystem& fs, const std::string& path) {
  for (std::size_t at = 1; (at = path.find('/', at)) != std::string::npos; ++at)
    (void)fs.make_directory(path.substr(0, at)).ok();
  ASSERT_TRUE(fs.open(path, io::OpenMode::kCreateExclusive).ok());
}

TEST(ParseVersionLine, ReadsEveryVendorsForm) {
  EXPECT_EQ(*parse_version_line("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)"), 150020);
  EXPECT_EQ(*parse_version_line("postgres (PostgreSQL) 17beta2"), 170000);
  for (auto bad : {"", "postgres 15", "postgres (PostgreSQL) x", "postgres (PostgreSQL) 9.6.1",
                   "postgres (PostgreSQL) 15.999999999999"})
    EXPECT_FALSE(parse_version_line(bad).ok()) << bad;
}

TEST(FindInstallation, TakesTheMajorVersionOfTheData) {
  test::FaultFileSystem fs;
  FakeRunner runner;
  make_file(fs, "/usr/lib/postgresql/15/bin/postgres");
  make_file(fs, "/usr/lib/postgresql/15/lib/pg_stat_statements.so");
  runner.answers["/usr/lib/postgresql/15/bin/postgres --version"] = "postgres (PostgreSQL) 15.20\n";
  auto found = find_installation(fs, runner, 150003, "");
  ASSERT_TRUE(found.ok()) << found.error().to_string();
  EXPECT_EQ(found->version, 150020);
  EXPECT_EQ(found->library_directory, "/usr/lib/postgresql/15/lib");
  EXPECT_EQ(*missing_libraries(fs, *found, "pg_stat_statements, $libdir/pg_stat_statements.so, timescaledb"),
            std::vector<std::string>{"timescaledb"});
  auto other = find_installation(fs, runner, 160001, "");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(other.error().hint.find("postgresql-16"), std::string::npos);
  auto wrong = find_installation(fs, runner, 160001, "/usr/lib/postgresql/15/bin");
  EXPECT_EQ(wrong.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(find_installation(fs, runner, 90600, "").error().code, ErrorCode::kUnsupported);
}

TEST(CheckEnd, NamesEveryDifference) {
  RecoveredState state;
  state.system_identifier = 7;
  state.replayed = {1000};
  state.recovered_timeline = 1;
  state.stopping = "recovery stopping after reaching consistency";
  ExpectedEnd expected;
  EXPECT_TRUE(check_end(state, expected).ok());
  expected.system_identifier = 7;
  expected.replayed_at_least = Position{1000};
  expected.replayed_at_most = Position{1000};
  expected.recovered_timeline = 1;
  expected.target = RecoveryTarget::immediate();
  EXPECT_TRUE(check_end(state, expected).ok());
  auto with = [&](auto change) {
    ExpectedEnd other = expected;
    change(other);
    auto status = check_end(state, other);
    return status.ok() ? ErrorCode::kInternal : status.error().code;
  };
  EXPECT_EQ(with([](ExpectedEnd& e) { e.replayed_at_least = Position{1001}; }), ErrorCode::kGap);
  EXPECT_EQ(with([](ExpectedEnd& e) { e.replayed_at_most = Position{999}; }), ErrorCode::kDatabase);
  EXPECT_EQ(with([](ExpectedEnd& e) { e.system_identifier = 8; }), ErrorCode::kDatabase);
  EXPECT_EQ(with([](ExpectedEnd& e) { e.recovered_timeline = 2; }), ErrorCode::kDatabase);
  EXPECT_EQ(with([](ExpectedEnd& e) { e.paused = true; }), ErrorCode::kDatabase);
  state.stopping.clear();
  EXPECT_EQ(with([](ExpectedEnd&) {}), ErrorCode::kGap);
}

}  // namespace
}  // namespace stele::restore
