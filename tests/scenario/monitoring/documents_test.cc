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
    options.programs.agent_extra = "[targets]\nrpo = \"1m\"\nrto = \"4h\"\nsnapshot_interval = \"26h\"\nwindow = \"30d\"\n";
    auto world = World::start(std::move(options));
    ASSERT_OK(world);
    world_ = std::move(*world);
    ASSERT_OK(world_.snapshot());
  }
  World world_;
};

TEST_F(Documents, TheMetricsPagesPassPromtool) {
  for (const std::string& page : {world_.stele->agent_metrics(), world_.stele->receiver_metrics()}) {
    ASSERT_NE(page.find("stele_build_info"), std::string::npos);
    auto checked = test::run_process({"promtool", "check", "metrics"}, {.input = page});
    ASSERT_OK(checked);
    EXPECT_EQ(checked->exit_code, 0) << checked->out << checked->err;
    EXPECT_EQ(checked->out + checked->err, "");
  }
}

TEST_F(Documents, EveryQueryOfEveryDashboardHasData) {
  auto watch = Watch::start(*world_.stele);
  ASSERT_OK(watch);
  auto asked = test::run_process({"python3", kTests + "/queries.py", (*watch)->prometheus_url(), kMonitoring + "/grafana"});
  ASSERT_OK(asked);
  EXPECT_EQ(asked->exit_code, 0) << asked->out << asked->err << (*watch)->logs() << world_.stele->logs();
}

TEST_F(Documents, EveryCommandOfEveryRunbookWorks) {
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
