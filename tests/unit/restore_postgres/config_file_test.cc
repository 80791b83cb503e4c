#include "restore/postgres/config_file.h"

#include <gtest/gtest.h>

#include <random>

namespace stele::restore {
namespace {

ConfigLine only(std::string_view text) {
  auto lines = parse_config(text);
  EXPECT_EQ(lines.size(), 1u);
  return lines.empty() ? ConfigLine{} : lines[0];
}

void expect_setting(std::string_view text, std::string_view name, std::string_view value) {
  SCOPED_TRACE(text);
  ConfigLine line = only(text);
  EXPECT_EQ(line.kind, ConfigLineKind::kSetting);
  EXPECT_EQ(line.name, name);
  EXPECT_EQ(line.value, value);
}

TEST(ParseConfig, ReadsEveryFormOfValue) {
  expect_setting("port = 5433", "port", "5433");
  expect_setting("port 5433 # comment", "port", "5433");
  expect_setting("PORT=5433\r", "port", "5433");
  expect_setting("work_mem = 64MB", "work_mem", "64MB");
  expect_setting("random_page_cost = 1.1", "random_page_cost", "1.1");
  expect_setting("seq_page_cost = -1.5e3", "seq_page_cost", "-1.5e3");
  expect_setting("unix_socket_permissions = 0x1ff", "unix_socket_permissions", "0x1ff");
  expect_setting("archive_mode = on", "archive_mode", "on");
  expect_setting("timezone = Asia/Shanghai", "timezone", "Asia/Shanghai");
  expect_setting("pg_stat_statements.track = all", "pg_stat_statements.track", "all");
  expect_setting("name = ''", "name", "");
}

TEST(ParseConfig, UndoesQuotingAsPostgresDoes) {
  expect_setting(R"(a = 'it''s')", "a", "it's");
  expect_setting(R"(a = 'it\'s')", "a", "it's");
  expect_setting(R"(a = 'back\\slash')", "a", "back\\slash");
  expect_setting(R"(a = 'x\ny\tz\101\7')", "a", "x\ny\tzA\7");
  expect_setting(R"(a = 'unknown\q')", "a", "unknownq");
  expect_setting(R"(a = 'cut\000off')", "a", "cut");
  expect_setting("a = '# no comment' # comment 'x'", "a", "# no comment");
}

TEST(ParseConfig, FindsDirectivesInAnyCase) {
  EXPECT_EQ(only("include 'a.conf'").kind, ConfigLineKind::kInclude);
  EXPECT_EQ(only("INCLUDE_DIR = '/etc/x'").kind, ConfigLineKind::kIncludeDirectory);
  EXPECT_EQ(only("Include_If_Exists a").kind, ConfigLineKind::kIncludeIfExists);
}

TEST(ParseConfig, CallsLinesBadThatPostgresRefuses) {
  for (std::string_view bad : {"port", "port = ", "= 5", "port = 1 2", "'port' = 5", "port = 'open", "a = 10.0.0.1",
                               "a = b.c.d e", "my-name = 1", "a == b", "!x", "a = 'x\\"}) {
    SCOPED_TRACE(bad);
    EXPECT_EQ(only(bad).kind, ConfigLineKind::kBad);
  }
  // A qualified name is no value (guc-file.l), quoted it is.
  EXPECT_EQ(only("default_text_search_config = pg_catalog.english").kind, ConfigLineKind::kBad);
  EXPECT_EQ(only(std::string_view("a = 'x\0y'", 9)).kind, ConfigLineKind::kBad);
}

TEST(ParseConfig, NumbersLinesAndKeepsTheirText) {
  auto lines = parse_config("# one\n\na = 1\nb = 2");
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].kind, ConfigLineKind::kEmpty);
  EXPECT_EQ(lines[2].number, 3u);
  EXPECT_EQ(lines[3].text, "b = 2");
}

TEST(ConfigLineText, SurvivesParsingWhateverTheValueIs) {
  std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  const std::string pieces = "'\\\n\r\t#=%\"$`ab c\x01\xE7\x9C\x81;&|";
  for (int i = 0; i < 3000; ++i) {
    std::string value;
    for (auto n = random() % 20; n > 0; --n) value += pieces[random() % pieces.size()];
    auto text = config_line({"restore_command", value});
    ASSERT_TRUE(text.ok());
    EXPECT_EQ(text->find('\n'), std::string::npos);
    ConfigLine line = only(*text);
    ASSERT_EQ(line.kind, ConfigLineKind::kSetting) << *text;
    ASSERT_EQ(line.value, value) << *text;
  }
}

TEST(ConfigLineText, RefusesWhatCannotBeWritten) {
  EXPECT_FALSE(config_line({"a b", "x"}).ok());
  EXPECT_FALSE(config_line({"", "x"}).ok());
  EXPECT_FALSE(config_line({"a\nb", "x"}).ok());
  EXPECT_FALSE(config_line({"a", std::string("x\0y", 3)}).ok());
  EXPECT_TRUE(config_line({"pg_cron.database", "x"}).ok());
}

TEST(RestoreCommand, QuotesForTheShellAndDoublesPercent) {
  auto command = make_restore_command({"/opt/it's 100%/stele-restore", "wal-fetch", "--staging", "/a b/$(touch x)"});
  ASSERT_TRUE(command.ok());
  EXPECT_EQ(*command, R"('/opt/it'\''s 100%%/stele-restore' 'wal-fetch' '--staging' '/a b/$(touch x)' "%f" "%p")");
  EXPECT_FALSE(make_restore_command({"stele-restore"}).ok());
  EXPECT_FALSE(make_restore_command({}).ok());
}

TEST(ParseBool, TakesUniquePrefixes) {
  for (auto yes : {"on", "TRUE", "t", "y", "yes", "1"}) EXPECT_EQ(parse_bool(yes), true) << yes;
  for (auto no : {"off", "of", "f", "n", "NO", "0"}) EXPECT_EQ(parse_bool(no), false) << no;
  for (auto none : {"", "o", "2", "onn", "yess"}) EXPECT_EQ(parse_bool(none), std::nullopt) << none;
}

TEST(SplitList, ReadsWordsQuotedOrNot) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(split_list(""), Words());
  EXPECT_EQ(split_list(" a, \"b \"\"c\" ,d e "), (Words{"a", "b \"c", "d e"}));
  EXPECT_EQ(split_list("a,,b"), std::nullopt);
  EXPECT_EQ(split_list("\"a"), std::nullopt);
  EXPECT_EQ(split_list("a,"), std::nullopt);
  for (const Words& words : {Words{"a"}, Words{"a b", "c,d", "e\"f"}, Words{"$libdir/x", "/tmp/y-1.so"}})
    EXPECT_EQ(split_list(join_list(words)), words);
}

}  // namespace
}  // namespace stele::restore
