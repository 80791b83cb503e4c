#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/scenario/end_to_end/world.h"

namespace stele::scenario {

/// A world with a drill host: keys, configuration, and drills that give their report.
class DrillTest : public testing::Test {
 protected:
  struct Drilled {
    int exit_code = -1;
    nlohmann::json report;  ///< what --json printed
    std::string err;

    const nlohmann::json& check(const std::string& name) const {
      static const nlohmann::json none;
      if (!report.contains("checks")) return none;
      for (const auto& c : report["checks"]) {
        if (c["name"] == name) return c;
      }
      return none;
    }
    /// "passed", "failed", "skipped"; "" when there is no such check.
    std::string result(const std::string& name) const { return check(name).is_null() ? "" : check(name)["result"].get<std::string>(); }
    std::string text() const { return fmt::format("exit code {}\n{}\n{}", exit_code, report.dump(1), err); }
  };

  void begin(World::Options options = default_options()) {
    auto started = World::start(std::move(options));
    ASSERT_OK(started);
    world_ = std::make_unique<World>(std::move(*started));
    configure();
  }
  static World::Options default_options() {
    World::Options options;
    options.members = 500;
    options.synchronous = false;
    return options;
  }

  /// Writes restore.toml with these further lines in [drill].
  void configure(const std::string& lines = "", bool from_receiver = false) {
    ASSERT_OK(from_receiver ? world_->stele->restore_from_receiver() : world_->stele->restore_from_store());
    ASSERT_OK(world_->stele->prepare_drills(assertions_, lines));
  }

  Drilled drill(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {"drill", "--json"});
    auto done = world_->stele->restore(arguments);
    Drilled out;
    if (!done.ok()) {
      out.err = done.error().to_string();
      return out;
    }
    out.exit_code = done->exit_code;
    out.err = done->err;
    out.report = nlohmann::json::parse(done->out, nullptr, false);
    return out;
  }

  /// Nothing of a copy is left, whatever came of the drill.
  void expect_wiped() {
    if (!std::filesystem::exists(root() + "/drill")) return;
    for (const auto& entry : std::filesystem::directory_iterator(root() + "/drill")) EXPECT_EQ(entry.path().filename(), "drill.lock") << entry.path();
  }
  std::string metrics() { return world_->stele->drill_metrics(); }
  static std::string metric(const std::string& name, const std::string& value) { return fmt::format("{}{{site=\"440000\",database=\"registry\"}} {}\n", name, value); }

  void snapshot_and_catch_up() {
    ASSERT_OK(world_->snapshot());
    ASSERT_OK(world_->stele->wait_caught_up(*world_->source));
  }
  void sql(const std::string& text) { ASSERT_OK(world_->source->psql(text)); }
  const std::string& root() const { return world_->stele->root(); }

  std::unique_ptr<World> world_;
  std::string assertions_ = STELE_SOURCE_DIR "/config/assertions/registry";
};

}  // namespace stele::scenario
