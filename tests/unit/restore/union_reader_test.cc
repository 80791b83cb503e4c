#include <gtest/gtest.h>

#include "restore/catalog/overlay_reader.h"

namespace stele::restore {
namespace {

/// A copy of a store that holds one object, and counts how often it is asked.
class Copy final : public store::ObjectReader {
 public:
  Result<std::vector<store::ObjectInfo>> list(std::string_view) override { return std::vector<store::ObjectInfo>{}; }
  Result<Bytes> read(std::string_view name, std::uint64_t, std::size_t length) override {
    ++asked;
    if (away) return Error{ErrorCode::kTemporary, "away", ""};
    if (name != holds) return Error{ErrorCode::kNotFound, "no such object", ""};
    return Bytes(length, 1);
  }
  Result<std::uint64_t> size(std::string_view) override { return Error{ErrorCode::kNotFound, "no such object", ""}; }

  std::string holds = "common";
  bool away = false;
  int asked = 0;
};

TEST(UnionReader, ACopyThatWentAwayIsWaitedForOnlyOnce) {
  Copy first, second;
  UnionReader both({&first, &second});
  ASSERT_TRUE(both.read("common", 0, 1).ok());
  EXPECT_EQ(second.asked, 0);
  first.away = true;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(both.read("common", 0, 1).ok());
  EXPECT_EQ(first.asked, 2) << "once while it was there, once after";
  EXPECT_EQ(second.asked, 5);
  // The other one goes away, too.
  first.away = false;
  second.away = true;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(both.read("common", 0, 1).ok());
  EXPECT_EQ(second.asked, 6);
}

TEST(UnionReader, ReadsWhatOnlyOneCopyHasAndSaysWhyNoneGaveIt) {
  Copy first, second;
  second.holds = "only here";
  UnionReader both({&first, &second});
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(both.read("only here", 0, 1).ok());
    EXPECT_TRUE(both.read("common", 0, 1).ok());
  }
  EXPECT_EQ(second.asked, 2) << "a copy that lacks an object is not away";
  EXPECT_EQ(both.read("nowhere", 0, 1).error().code, ErrorCode::kNotFound);
  second.away = true;
  EXPECT_EQ(both.read("only here", 0, 1).error().code, ErrorCode::kTemporary);
}

}  // namespace
}  // namespace stele::restore
