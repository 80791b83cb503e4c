#include "core/config/toml_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

using namespace stele;
using namespace stele::config;
using testing::HasSubstr;

namespace {

ConfigReader reader_of(std::string_view text) {
  auto reader = ConfigReader::parse(text, "/etc/stele/test.toml");
  EXPECT_TRUE(reader.ok()) << (reader.ok() ? "" : reader.error().what);
  return std::move(reader).value();
}

constexpr Duration kDay = std::chrono::hours(24);

}  // namespace

TEST(TomlReader, GivesValuesAndDefaults) {
  ConfigReader reader =
      reader_of("name = 'a'\n[spool]\nsize = '16MiB'\nraw = 4096\nfiles = ['x', '/y/']\n[[r]]\nn = 1\n[[r]]\nn = 2\n");
  TableReader root = reader.root();
  EXPECT_EQ(root.string("name", kRequired, ""), "a");
  EXPECT_EQ(root.string("other", "b", ""), "b");
  TableReader spool = root.table("spool", "");
  EXPECT_EQ(spool.bytes("size", kRequired, 0, 1u << 30, ""), 16u << 20);
  EXPECT_EQ(spool.bytes("raw", kRequired, 0, 1u << 30, ""), 4096u);
  EXPECT_EQ(spool.duration("wait", "10s", Duration(0), kDay, ""), std::chrono::seconds(10));
  EXPECT_THAT(spool.paths("files", true, ""), testing::ElementsAre("/etc/stele/x", "/y"));
  EXPECT_EQ(spool.choice<int>("mode", "two", {{"one", 1}, {"two", 2}}, ""), 2);
  std::vector<TableReader> list = root.tables("r", 1, "");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].integer("n", kRequired, 1, 5, ""), 1);
  EXPECT_EQ(list[1].integer("n", kRequired, 1, 5, ""), 2);
  Status done = reader.finish();
  EXPECT_TRUE(done.ok()) << done.error().what;
}

TEST(TomlReader, ReportsEveryErrorWithItsPlaceInTheOrderOfTheFile) {
  ConfigReader reader = reader_of("a = 1\nb = 99\n[t]\nc = '5 MB'\nd = 'fourty'\ne = 'yes'\n");
  TableReader root = reader.root();
  TableReader t = root.table("t", "");
  t.choice<int>("d", "four", {{"four", 4}, {"forty", 40}}, "");
  t.bytes("c", "1KiB", 0, 1u << 30, "");
  t.boolean("e", false, "");
  root.string("a", "x", "");
  root.integer("b", 1, 1, 9, "");
  root.string("missing", kRequired, "");
  Status done = reader.finish();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kConfig);
  EXPECT_EQ(
      done.error().what,
      "/etc/stele/test.toml:1:1: missing: is missing, expected a string\n"
      "/etc/stele/test.toml:1:5: a: expected a string, found an integer\n"
      "/etc/stele/test.toml:2:5: b: expected an integer, 1 to 9, found 99\n"
      "/etc/stele/test.toml:4:5: [t] c: expected a size such as \"512KiB\", \"16MiB\" or \"2GB\", found \"5 MB\"\n"
      "/etc/stele/test.toml:5:5: [t] d: expected \"four\" or \"forty\", found \"fourty\"\n"
      "/etc/stele/test.toml:6:5: [t] e: expected true or false, found a string");
}

TEST(TomlReader, RefusesUnknownKeysAndNamesTheNearest) {
  ConfigReader reader = reader_of("[spool]\ndirectroy = 'x'\n");
  TableReader spool = reader.root().table("spool", "");
  spool.path("directory", "", "");
  spool.bytes("max_bytes", "1KiB", 0, 4096, "");
  Status done = reader.finish();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().what, "/etc/stele/test.toml:2:1: [spool] directroy: unknown key");
  EXPECT_EQ(done.error().hint, "did you mean \"directory\"?");
}

TEST(TomlReader, RefusesUnknownTablesAndKeysInsideArrays) {
  ConfigReader reader = reader_of("[[r]]\nn = 1\n[[r]]\nn = 2\nzzzzzz = 3\n[unknown]\n");
  for (TableReader& r : reader.root().tables("r", 0, "")) r.integer("n", kRequired, 0, 9, "");
  Status done = reader.finish();
  ASSERT_FALSE(done.ok());
  EXPECT_THAT(done.error().what, HasSubstr("test.toml:5:1: [r 2] zzzzzz: unknown key"));
  EXPECT_THAT(done.error().what, HasSubstr("test.toml:6:2: unknown: unknown key"));
}

TEST(TomlReader, RefusesTheWrongShape) {
  ConfigReader reader = reader_of("t = 1\nr = [1]\ns = 'x'\nl = ['a', 2]\nz = ''\n");
  TableReader root = reader.root();
  root.table("t", "");
  root.tables("r", 0, "");
  root.tables("s", 0, "");
  root.strings("l", true, "");
  root.string("z", kRequired, "");
  root.tables("none", 2, "");
  Status done = reader.finish();
  ASSERT_FALSE(done.ok());
  EXPECT_THAT(done.error().what, HasSubstr("t: expected a table [t], found an integer"));
  EXPECT_THAT(done.error().what, HasSubstr("r: expected a table, found an integer"));
  EXPECT_THAT(done.error().what, HasSubstr("s: expected tables [[s]], found a string"));
  EXPECT_THAT(done.error().what, HasSubstr("l: expected a list of strings, found an integer"));
  EXPECT_THAT(done.error().what, HasSubstr("z: must not be empty"));
  EXPECT_THAT(done.error().what, HasSubstr("none: expected at least 2 table [[none]], found 0"));
}

TEST(TomlReader, SaysWhereATomlErrorIs) {
  auto reader = ConfigReader::parse("a = 1\nb = = 2\n", "x.toml");
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().code, ErrorCode::kConfig);
  EXPECT_THAT(reader.error().what, testing::StartsWith("x.toml:2:5: "));
}

TEST(TomlReader, SurvivesRubbish) {
  std::string deep = "a = " + std::string(100'000, '[');
  EXPECT_FALSE(ConfigReader::parse(deep, "x.toml").ok());
  EXPECT_FALSE(ConfigReader::parse(std::string("\x00\xff\xfe", 3), "x.toml").ok());
  EXPECT_FALSE(ConfigReader::parse(std::string((1u << 20) + 1, '#'), "x.toml").ok());
  EXPECT_FALSE(ConfigReader::parse("a = 1\na = 2\n", "x.toml").ok());
}

TEST(TomlReader, MissingFileAndDirectoryAreErrorsWithAHint) {
  auto missing = ConfigReader::open("/nonexistent/agent.toml");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kConfig);
  EXPECT_THAT(missing.error().what, testing::AllOf(HasSubstr("/nonexistent/agent.toml"), HasSubstr("No such file")));
  EXPECT_THAT(missing.error().hint, HasSubstr("--config"));
  auto directory = ConfigReader::open("/tmp");
  ASSERT_FALSE(directory.ok());
  EXPECT_EQ(directory.error().code, ErrorCode::kConfig);
}

TEST(TomlReader, DescribesKeysWithoutAFile) {
  ConfigReader reader = ConfigReader::describe();
  TableReader root = reader.root();
  EXPECT_TRUE(root.describing());
  root.string("site", kRequired, "Its name.");
  for (TableReader& r : root.tables("receiver", 1, "One."))
    r.table("limits", "Bounds.").integer("n", 3, 1, 5, "How many.");
  ASSERT_TRUE(reader.finish().ok());
  ASSERT_EQ(reader.descriptions().size(), 4u);
  EXPECT_EQ(reader.descriptions()[0].fallback, "required");
  EXPECT_EQ(reader.descriptions()[3].key, "receiver[].limits.n");
  EXPECT_EQ(reader.descriptions()[3].type, "an integer, 1 to 5");
  EXPECT_EQ(reader.descriptions()[3].fallback, "3");
  EXPECT_THAT(format_descriptions(reader.descriptions()),
              HasSubstr("receiver[].limits.n: an integer, 1 to 5, default 3\n      How many."));
}

TEST(SecretFile, OnlyTheOwnerMayRead) {
  const std::string path = testing::TempDir() + "stele-secret-" + std::to_string(::getpid());
  std::ofstream(path) << "x";
  for (auto [mode, good] :
       {std::pair{0600, true}, {0400, true}, {0640, false}, {0604, false}, {0620, false}, {0700, false}}) {
    ASSERT_EQ(::chmod(path.c_str(), static_cast<mode_t>(mode)), 0);
    Status status = check_secret_file_mode(path);
    EXPECT_EQ(status.ok(), good) << std::oct << mode;
    if (!good) {
      EXPECT_EQ(status.error().code, ErrorCode::kConfig);
    }
  }
  std::filesystem::remove(path);
  Status missing = check_secret_file_mode(path);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(check_secret_file_mode(testing::TempDir()).ok());
}
