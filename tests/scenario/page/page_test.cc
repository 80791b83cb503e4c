#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/postgres_cluster.h"
#include "tests/support/free_port.h"
#include "tests/support/programs/stele_programs.h"

namespace stele::scenario {
namespace {

#define ASSERT_OK(expr)                                                           \
  do {                                                                            \
    const auto& result_ = (expr);                                                 \
    ASSERT_TRUE(result_.ok()) << (result_.ok() ? "" : result_.error().to_string()); \
  } while (false)

/// A real receiver, a real agent, a real PostgreSQL, and a real browser with the page open (page.mjs); a real drill has passed. The two sides meet through files:
/// the browser writes what it has seen, this side goes on and breaks the next thing.
struct PageScenario : testing::Test {
  std::unique_ptr<test::PostgresCluster> source;
  std::unique_ptr<test::StelePrograms> stele;
  test::Daemon browser{"node"};
  int page_port = 0, metrics_port = 0;
  std::string meeting;

  void SetUp() override {
    auto port = test::free_port();
    ASSERT_OK(port);
    page_port = *port;
    test::PostgresOptions postgres;
    postgres.config += "\nwal_level = replica\nmax_wal_senders = 10\nmax_slot_wal_keep_size = 2GB\n";
    auto made = test::PostgresCluster::create(postgres);
    ASSERT_OK(made);
    source = std::move(*made);
    ASSERT_OK(source->start());
    ASSERT_OK(source->psql("CREATE ROLE stele LOGIN REPLICATION; GRANT pg_monitor TO stele"));
    test::SteleOptions options;
    options.conninfo = fmt::format("host={} port={} user=stele dbname=postgres", source->socket_directory(), source->port());
    options.agent_extra = "[targets]\nrpo = \"2m\"\nsnapshot_interval = \"26h\"\n";
    // A second site whose title is an attack, and that nobody ever writes.
    options.receiver_extra = fmt::format(R"(
[page]
listen = "127.0.0.1:{}"
[[site]]
name = "666666"
title = '<img src=x onerror="document.title=1">"&\u202e'
databases = ["registry"]
authorities = ["test"]
)", page_port);
    auto programs = test::StelePrograms::create(options);
    ASSERT_OK(programs);
    stele = std::move(*programs);
    ASSERT_OK(stele->start_receiver());
    ASSERT_OK(stele->start_agent());
    ASSERT_OK(stele->wait_streaming(*source, false));
    ASSERT_OK(stele->agent_ok({"snapshot"}));
    ASSERT_OK(stele->wait_caught_up(*source));
    ASSERT_OK(stele->restore_from_receiver());
    ASSERT_OK(stele->prepare_drills(""));
    ASSERT_OK(stele->restore_ok({"drill"}));
    meeting = stele->root() + "/meeting";
    std::filesystem::create_directories(meeting);
  }
  void TearDown() override {
    if (HasFailure() && stele) std::fputs((stele->logs() + test::read_file_text(meeting + "/log")).c_str(), stderr);
  }

  void open_browser() {
    ASSERT_OK(browser.start({"node", STELE_SOURCE_DIR "/tests/scenario/page/page.mjs", STELE_BINARY_DIR "/npm", fmt::format("http://127.0.0.1:{}", page_port),
                             fmt::format("http://127.0.0.1:{}", stele->receiver_metrics_port()), meeting},
                            meeting + "/log"));
  }
  /// Until the browser has written FILE, or has ended.
  ::testing::AssertionResult saw(const std::string& what) {
    const Status met = test::wait_for("the browser: " + what, 180, [&] { return std::filesystem::exists(meeting + "/" + what) || !browser.running(); });
    if (met.ok() && std::filesystem::exists(meeting + "/" + what)) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << what << ": " << (met.ok() ? "the browser ended" : met.error().what);
  }
  void tell(const std::string& what) { ASSERT_OK(test::write_file_text(meeting + "/" + what, "")); }
};

TEST_F(PageScenario, ShowsAnOutageComeAndGoInARealBrowser) {
  open_browser();
  ASSERT_TRUE(saw("well"));
  ASSERT_OK(stele->agent_process().stop());
  ASSERT_TRUE(saw("outage"));
  ASSERT_OK(stele->start_agent());
  ASSERT_TRUE(saw("well-again"));
  ASSERT_TRUE(saw("looked-at-everything"));
  ASSERT_OK(stele->receiver_process().stop());
  tell("receiver-stopped");
  ASSERT_TRUE(saw("no-contact"));
  ASSERT_OK(test::wait_for("the browser ends", 60, [&] { return !browser.running(); }));
  EXPECT_EQ(browser.exit_code(), 0);
}

}  // namespace
}  // namespace stele::scenario
