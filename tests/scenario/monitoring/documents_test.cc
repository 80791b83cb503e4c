#include <fmt/format.h>

#include "tests/scenario/end_to_end/world.h"
#include "tests/scenario/monitoring/watch.h"

namespace stele::scenario {
namespace {

const std::string kTests = std::string(STELE_SOURCE_DIR) + "/tests/monitoring";
const std::string kMonitoring = std::string(STELE_SOURCE_DIR) + "/monitoring";

class Documents : public ::testing::Test {
 protected:
  void SetUp() override {
    World::Options options;
    options.members = 200;
    options.synchronous = false;
    options.programs.agent_extra = "[targets]\nrpo = \"1m\"\nrto = \"4h\"\nsnapshot_interval = \"26h\"\nwindow = \"30d\"\ndrill_interval = \"7d\"\n";
    auto world = World::start(std::move(options));
    ASSERT_OK(world);
    world_ = std::move(*world);
    ASSERT_OK(world_.snapshot());
  }
  /// A real drill: its numbers are in the textfile, and its record at the receiver.
  void drill() {
    ASSERT_OK(world_.stele->wait_caught_up(*world_.source));
    ASSERT_OK(world_.stele->restore_from_receiver());
    ASSERT_OK(world_.stele->prepare_drills(STELE_SOURCE_DIR "/config/assertions/registry"));
    ASSERT_OK(world_.stele->restore_ok({"drill"}));
    ASSERT_NE(world_.stele->drill_metrics(), "");
  }
  World world_;
};

TEST_F(Documents, TheMetricsPagesPassPromtool) {
  drill();
  ASSERT_OK(test::wait_for("the receiver tells of the drill", 60, [&] { return world_.stele->receiver_metrics().find("stele_receiver_drill_passed{") != std::string::npos; }));
  for (const std::string& page : {world_.stele->agent_metrics(), world_.stele->receiver_metrics(), world_.stele->drill_metrics()}) {
    ASSERT_NE(page.find("stele_"), std::string::npos);
    auto checked = test::run_process({"promtool", "check", "metrics"}, {.input = page});
    ASSERT_OK(checked);
    EXPECT_EQ(checked->exit_code, 0) << checked->out << checked->err;
    EXPECT_EQ(checked->out + checked->err, "");
  }
}

TEST_F(Documents, EveryQueryOfEveryDashboardHasData) {
  drill();
  auto watch = Watch::start(*world_.stele);
  ASSERT_OK(watch);
  auto asked = test::run_process({"python3", kTests + "/queries.py", (*watch)->prometheus_url(), kMonitoring + "/grafana"});
  ASSERT_OK(asked);
  EXPECT_EQ(asked->exit_code, 0) << asked->out << asked->err << (*watch)->logs() << world_.stele->logs();
}

TEST_F(Documents, EveryCommandOfEveryRunbookWorks) {
  drill();
  auto watch = Watch::start(*world_.stele);
  ASSERT_OK(watch);
  const std::string& root = world_.stele->root();
  auto run = test::run_process({"python3", kTests + "/runbooks.py", kMonitoring + "/runbooks", std::string(STELE_BINARY_DIR) + "/bin", root,
                                (*watch)->prometheus_url(), fmt::format("127.0.0.1:{}", world_.stele->agent_metrics_port()),
                                fmt::format("127.0.0.1:{}", world_.stele->receiver_metrics_port()), world_.source->conninfo()});
  ASSERT_OK(run);
  EXPECT_EQ(run->exit_code, 0) << run->out << run->err << world_.stele->logs();
}

}  // namespace
}  // namespace stele::scenario
