#include "tests/contract/restore/small_store.h"

namespace stele::restore {
namespace {

/// A copy of a store whose line may be down.
class Line final : public store::ObjectReader {
 public:
  explicit Line(store::ObjectReader& at) : at_(at) {}
  Result<std::vector<store::ObjectInfo>> list(std::string_view prefix) override {
    if (down) return Error{ErrorCode::kTemporary, "no route", ""};
    return at_.list(prefix);
  }
  Result<Bytes> read(std::string_view name, std::uint64_t offset, std::size_t length) override {
    if (down) return Error{ErrorCode::kTemporary, "no route", ""};
    return at_.read(name, offset, length);
  }
  Result<std::uint64_t> size(std::string_view name) override {
    if (down) return Error{ErrorCode::kTemporary, "no route", ""};
    return at_.size(name);
  }
  bool down = false;

 private:
  store::ObjectReader& at_;
};

class Copies : public SmallStore {
 protected:
  void SetUp() override {
    SmallStore::SetUp();
    fill(12, false);
    catalog_ = load().value();
  }
  Status plan(const recovery::Target& target, bool accept_older = false) {
    const auto planned = plan_restore(*catalog_, target, {}, accept_older, nullptr);
    return planned.ok() ? Status() : Status(planned.error());
  }
  std::unique_ptr<StoreCatalog> catalog_;
};

TEST_F(Copies, OneThatCouldNotBeListedIsRememberedOnce) {
  Line good(*reader_), bad(*reader_);
  UnionReader all({&good, &bad});
  ASSERT_TRUE(all.list("").ok());
  EXPECT_TRUE(all.take_skipped().empty());
  bad.down = true;
  ASSERT_TRUE(all.list("").ok());
  ASSERT_TRUE(all.list("").ok());
  const auto skipped = all.take_skipped();
  ASSERT_EQ(skipped.size(), 1u);
  EXPECT_EQ(skipped.begin()->first, 1u);
  EXPECT_EQ(skipped.begin()->second.code, ErrorCode::kTemporary);
  EXPECT_TRUE(all.take_skipped().empty());
}

TEST_F(Copies, WithoutOneOfThemTheLatestMomentIsRefusedUntilThatIsAccepted) {
  ASSERT_TRUE(plan({}).ok());
  catalog_->add_problems({{"receiver shaoguan", Error{ErrorCode::kTemporary, "does not answer", ""}, true}});
  const Status refused = plan({});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(exit_code(refused.error().code), 75) << refused.error().to_string();
  EXPECT_NE(refused.error().what.find("receiver shaoguan"), std::string::npos);
  EXPECT_TRUE(plan({}, true).ok());
}

TEST_F(Copies, OneThatCannotSealHidesItsNewestLog) {
  catalog_->add_problems({{"receiver shaoguan", Error{ErrorCode::kGap, "did not seal: No space left on device", ""}, true}});
  const Status refused = plan({});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(exit_code(refused.error().code), 4) << refused.error().to_string();
  EXPECT_TRUE(plan({}, true).ok());
}

TEST_F(Copies, AMomentThatTheOthersHoldNeedsNoneOfThem) {
  catalog_->add_problems({{"receiver shaoguan", Error{ErrorCode::kTemporary, "does not answer", ""}, true}});
  recovery::Target target;
  target.kind = recovery::TargetKind::kTime;
  target.time = second(7);
  EXPECT_TRUE(plan(target).ok());
  // What is behind all that is here may be there: no final "cannot be reached".
  target.time = second(1000);
  EXPECT_EQ(plan(target).error().code, ErrorCode::kTemporary);
  EXPECT_EQ(plan(target, true).error().code, ErrorCode::kUnreachable);
}

}  // namespace
}  // namespace stele::restore
