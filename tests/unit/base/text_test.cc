#include "core/base/text.h"

#include <gtest/gtest.h>

namespace stele {
namespace {

TEST(Text, TellsWhatATerminalMayShow) {
  for (const char* good : {"", "gap at 0/3000000", "广东省 440000", "\xF0\x9F\x97\xBF", "\xC2\xA0"}) EXPECT_TRUE(is_one_line(good)) << good;
  for (std::string_view bad : {"a\nb", "\x1B[2J", "\x7F", "\xC2\x9B" "2J", "\xC0\x80", "\xE5\xB9", "\xED\xA0\x80", "\xF8\x88\x80\x80\x80", "\xFF"}) {
    EXPECT_FALSE(is_one_line(bad)) << bad;
  }
  EXPECT_FALSE(is_one_line(std::string_view("\0", 1)));
}

TEST(Text, MakesAnythingOneLine) {
  EXPECT_EQ(one_line("a\nb\x1B[2J", 64), "a b [2J");
  EXPECT_EQ(one_line("\xFF广\xE5\xB9", 64), "?广??");
  EXPECT_EQ(one_line("\xC2\x9B", 64), " ");
}

TEST(Text, CutsBetweenCharacters) {
  EXPECT_EQ(one_line("广东", 5), "广");
  EXPECT_EQ(one_line("广东", 6), "广东");
  EXPECT_EQ(one_line("广东", 0), "");
}

}  // namespace
}  // namespace stele
