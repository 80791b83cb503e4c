#include <gtest/gtest.h>

#include <set>

#include "tests/tools/registry/check_digit.h"
#include "tests/tools/registry/generator.h"
#include "tests/tools/registry/load.h"

namespace stele::registry {
namespace {

// The examples of GB 11643-1999, annex A.
TEST(IdentityNumber, AcceptsTheExamplesOfTheStandard) {
  EXPECT_EQ(identity_check_character("11010519491231002"), 'X');
  EXPECT_EQ(identity_check_character("44052418800101001"), '4');
  EXPECT_TRUE(valid_identity_number("11010519491231002X"));
  EXPECT_TRUE(valid_identity_number("440524188001010014"));
}

TEST(IdentityNumber, RefusesEverySingleChangedDigit) {
  const std::string good = "11010519491231002X";
  for (std::size_t at = 0; at < 17; ++at) {
    for (char c = '0'; c <= '9'; ++c) {
      if (c == good[at]) continue;
      std::string bad = good;
      bad[at] = c;
      EXPECT_FALSE(valid_identity_number(bad)) << bad;
    }
  }
  EXPECT_FALSE(valid_identity_number("11010519491231002x"));
  EXPECT_FALSE(valid_identity_number("1101051949123100"));
  EXPECT_FALSE(valid_identity_number(""));
}

TEST(IdentityNumber, RefusesAnImpossibleDate) {
  std::string digits = "44010619990230123";
  digits += identity_check_character(digits);
  EXPECT_FALSE(valid_identity_number(digits));
}

// The example of GB 32100-2015 (a code of Fujian), and its organisation code after GB 11714.
TEST(CreditCode, AcceptsTheExampleOfTheStandard) {
  EXPECT_EQ(organisation_code_check_character("M000100Y"), '4');
  EXPECT_EQ(credit_code_check_character("91350100M000100Y4"), '3');
  EXPECT_TRUE(valid_credit_code("91350100M000100Y43"));
}

TEST(CreditCode, RefusesChangesAndForeignCharacters) {
  EXPECT_FALSE(valid_credit_code("91350100M000100Y44"));
  EXPECT_FALSE(valid_credit_code("91350100M000101Y43"));
  EXPECT_FALSE(valid_credit_code("91350100I000100Y43"));
  EXPECT_FALSE(valid_credit_code("91350100m000100y43"));
  EXPECT_FALSE(valid_credit_code(""));
}

TEST(Registry, GivesTheSameRowForTheSameSeed) {
  const Generator one(7, 10'000), two(7, 10'000), other(8, 10'000);
  for (std::int64_t id : {1, 2, 9'999, 10'000, 12'345}) {
    EXPECT_EQ(copy_line(one.member(id)), copy_line(two.member(id)));
    EXPECT_NE(copy_line(one.member(id)), copy_line(other.member(id)));
  }
  EXPECT_EQ(copy_line(one.organisation(3)), copy_line(two.organisation(3)));
}

TEST(Registry, MembersHaveValidNumbersThatFitTheirSexAndBirthAndNeverRepeat) {
  const Generator generator(1, 20'000);
  std::set<std::string> seen;
  for (std::int64_t id = 1; id <= 20'000; ++id) {
    const Member m = generator.member(id);
    ASSERT_TRUE(valid_identity_number(m.identity_number)) << m.identity_number;
    ASSERT_TRUE(seen.insert(m.identity_number).second) << m.identity_number;
    ASSERT_EQ((m.identity_number[16] - '0') % 2 == 1, m.sex == "男");
    const std::string& born = m.birth_date;
    ASSERT_EQ(m.identity_number.substr(6, 8), born.substr(0, 4) + born.substr(5, 2) + born.substr(8, 2));
    ASSERT_EQ(m.phone.size(), 11u);
    ASSERT_GE(m.organisation, 1);
    ASSERT_LE(m.organisation, generator.organisations());
  }
}

TEST(Registry, OrganisationsHaveValidCodesThatNeverRepeatAndParentsBeforeThem) {
  const Generator generator(1, 1'200'000);
  std::set<std::string> seen;
  for (std::int64_t id = 1; id <= generator.organisations(); ++id) {
    const Organisation o = generator.organisation(id);
    ASSERT_TRUE(valid_credit_code(o.credit_code)) << o.credit_code;
    ASSERT_TRUE(seen.insert(o.credit_code).second) << o.credit_code;
    ASSERT_LT(o.parent, id);
    ASSERT_GT(o.headcount, 0);
  }
}

}  // namespace
}  // namespace stele::registry
