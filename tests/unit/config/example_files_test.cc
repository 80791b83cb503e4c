// The files in config/ are read by the programs' own loaders, show every key, and show the real defaults.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "core/config/agent_config.h"
#include "core/config/receiver_config.h"
#include "core/config/restore_config.h"

using namespace stele;
using namespace stele::config;

namespace {

struct Example {
  std::string text;                          ///< with every default written out
  std::map<std::string, std::string> shown;  ///< key (without []) → value, for "#key = value" lines
  std::set<std::string> keys;                ///< all keys and tables, without []
};

Example read_example(const std::string& name) {
  std::ifstream in(std::string(STELE_SOURCE_DIR) + "/config/" + name);
  EXPECT_TRUE(in) << name;
  Example out;
  std::string table;
  for (std::string line; std::getline(in, line);) {
    const std::size_t equals = line.find(" = ");
    const std::size_t begin = line.starts_with('#') ? 1 : 0;
    if (line.starts_with('[')) {
      const std::size_t from = line.find_first_not_of('[');
      table = line.substr(from, line.find(']') - from);
      out.keys.insert(table);
    } else if (equals != std::string::npos &&
               line.substr(begin, equals - begin).find_first_not_of("abcdefghijklmnopqrstuvwxyz_") ==
                   std::string::npos) {
      const std::string key = (table.empty() ? "" : table + ".") + line.substr(begin, equals - begin);
      out.keys.insert(key);
      if (begin == 1) {
        out.shown[key] = line.substr(equals + 3);
        line.erase(0, 1);
      }
    }
    out.text += line + "\n";
  }
  return out;
}

void check_keys(const Example& example, const std::vector<KeyDescription>& descriptions) {
  std::set<std::string> described;
  for (const KeyDescription& d : descriptions) {
    std::string key = d.key;
    for (std::size_t at; (at = key.find("[]")) != std::string::npos;) key.erase(at, 2);
    described.insert(key);
    EXPECT_FALSE(d.meaning.empty()) << d.key;
    EXPECT_TRUE(example.keys.contains(key) || key == "bandwidth") << "the example does not show " << d.key;
    if (auto shown = example.shown.find(key); shown != example.shown.end()) {
      EXPECT_EQ(shown->second, d.fallback) << "the default of " << d.key;
    }
  }
  for (const std::string& key : example.keys) EXPECT_TRUE(described.contains(key)) << "no program reads " << key;
}

}  // namespace

TEST(ExampleFiles, AgentLoads) {
  auto config = load_agent_config(std::string(STELE_SOURCE_DIR) + "/config/agent.toml");
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config->name.to_string(), "440000/registry");
  ASSERT_EQ(config->receivers.size(), 1u);
  EXPECT_EQ(config->receivers[0].address.to_string(), "receiver.example.org:9550");
  EXPECT_EQ(config->log_stream.object_bytes, 16u << 20);
  EXPECT_EQ(config->log_stream.frame_delay, std::chrono::milliseconds(5));
  EXPECT_EQ(config->postgres.wal_sender_timeout, std::chrono::seconds(4));
  ASSERT_TRUE(config->snapshot.schedule);
  EXPECT_EQ(config->snapshot.time_zone.name(), "Asia/Shanghai");
  EXPECT_EQ(config->targets.window, std::chrono::hours(720));
  EXPECT_EQ(config->metrics.listen.port, 9551);
  EXPECT_TRUE(config->policy.on_full_written);
}

TEST(ExampleFiles, ReceiverLoads) {
  auto config = load_receiver_config(std::string(STELE_SOURCE_DIR) + "/config/receiver.toml");
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_EQ(config->journal_directory(), "/var/lib/stele/store/journal");
  EXPECT_EQ(config->catalog_directory, "/var/lib/stele/catalog");
  EXPECT_TRUE(config->serves({"440000", "registry"}));
  EXPECT_FALSE(config->serves({"440000", "other"}));
  EXPECT_FALSE(config->serves({"110000", "registry"}));
  EXPECT_EQ(config->sites[0].limits.stored_bytes, 2ull << 40);
  EXPECT_EQ(config->authorities[0].path, std::string(STELE_SOURCE_DIR) + "/config/keys/authority.pub");
}

TEST(ExampleFiles, RestoreLoads) {
  auto config = load_restore_config(std::string(STELE_SOURCE_DIR) + "/config/restore.toml");
  ASSERT_TRUE(config.ok()) << config.error().what;
  EXPECT_TRUE(config->store_directory.empty());
  EXPECT_EQ(config->receivers[0].name, "guangzhou-1");
  EXPECT_EQ(config->postgres.bin_directory, "/usr/lib/postgresql/15/bin");
}

TEST(ExampleFiles, ShowEveryKeyAndItsDefault) {
  check_keys(read_example("agent.toml"), describe_agent_config());
  check_keys(read_example("receiver.toml"), describe_receiver_config());
  check_keys(read_example("restore.toml"), describe_restore_config());
}

TEST(ExampleFiles, LoadWithEveryDefaultWrittenOut) {
  auto agent = parse_agent_config(read_example("agent.toml").text, "agent.toml");
  EXPECT_TRUE(agent.ok()) << agent.error().what;
  auto receiver = parse_receiver_config(read_example("receiver.toml").text, "receiver.toml");
  EXPECT_TRUE(receiver.ok()) << receiver.error().what;
  auto restore = parse_restore_config(read_example("restore.toml").text, "restore.toml");
  EXPECT_TRUE(restore.ok()) << restore.error().what;
}
