#include <fmt/format.h>

#include <filesystem>

#include "tests/scenario/end_to_end/world.h"
#include "tests/support/programs/relay.h"
#include "tests/tools/registry/generator.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;

/// What must be readable nowhere off-site.
std::vector<std::string> secrets(std::int64_t members) {
  std::vector<std::string> out = {"registry.member",
                                  "commit_ledger",
                                  "member_identity_number_key",
                                  "organisation_credit_code_key",
                                  "identity_number",
                                  "global/pg_control",
                                  "pg_control",
                                  "postgresql.auto.conf",
                                  "PG_VERSION",
                                  "pg_filenode.map",
                                  "base/",
                                  "pg_xact",
                                  "before-the-mistake"};
  const registry::Generator generator(1, members);
  for (std::int64_t id = 1; id <= members; id += 97) {
    out.push_back(generator.member(id).identity_number);
    out.push_back(generator.member(id).phone);
    out.push_back(generator.member(id).name);
  }
  // zstd's frame magic: data that was compressed and not encrypted.
  out.push_back("\x28\xB5\x2F\xFD");
  return out;
}

/// "FILE: SECRET" for each file of a tree that holds one; short words of two or three letters are not looked for.
std::vector<std::string> found_in(const std::string& directory, const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const std::string text = test::read_file_text(entry.path());
    for (const std::string& word : words) {
      if (text.find(word) != std::string::npos || entry.path().string().find(word) != std::string::npos) {
        out.push_back(fmt::format("{}: {}", entry.path().string(), word));
      }
    }
  }
  return out;
}

TEST(Plaintext, IsNeitherInTheReceiversDirectoryNorOnTheLine) {
  // The agent speaks to a relay that keeps every byte. Its target must be known first: the receiver's own port.
  World::Options options;
  options.through_relay = true;
  auto started = World::start(std::move(options));
  ASSERT_OK(started);
  World& world = *started;
  ASSERT_OK(world.start_clients());
  ASSERT_OK(world.wait_progress(50));
  ASSERT_OK(world.snapshot());
  ASSERT_OK(world.source->psql("SELECT pg_create_restore_point('before-the-mistake')"));
  ASSERT_OK(world.wait_progress(50));
  ASSERT_OK(world.stop_clients());
  ASSERT_OK(world.stele->wait_caught_up(*world.source));

  const std::vector<std::string> words = secrets(world.members);
  // The search can find: the source holds them as plain text.
  const auto in_source = found_in(world.source->data_directory(), words);
  ASSERT_GT(in_source.size(), words.size() / 2) << "the search finds nothing where everything is";

  ASSERT_GT(world.relay->bytes(), 500'000u) << "the agent did not use the relay";
  fs::create_directory(world.stele->root() + "/line");
  fs::rename(world.relay_file, world.stele->root() + "/line/record");
  for (const std::string& place : {world.stele->receiver_directory(), world.stele->root() + "/line"}) {
    const auto leaked = found_in(place, words);
    EXPECT_TRUE(leaked.empty()) << leaked.size() << " found, the first: " << leaked.front();
  }
  const std::string log = test::read_file_text(world.stele->root() + "/receiver.log");
  for (const std::string& word : words)
    EXPECT_EQ(log.find(word), std::string::npos) << "in the receiver's log: " << word;
}

}  // namespace
}  // namespace stele::scenario
