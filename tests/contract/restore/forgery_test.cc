#include "tests/contract/restore/small_store.h"

namespace stele::restore {
namespace {

class Forgery : public SmallStore {
 protected:
  /// Runs with the configuration of the store, but believing another authority.
  void believe(const crypto::VerifyKey& authority) {
    std::ofstream(config_, std::ios::trunc) << "work_directory = \"" << (scratch_ / "work") << "\"\n[store]\ndirectory = \"" << builder_->root() << "\"\n[[authority]]\nlabel = \"a\"\npublic_key = \""
                                            << to_hex(authority.bytes()) << "\"\n";
  }
};

TEST_F(Forgery, AStoreMadeWithOnlyPublicKeysIsRefused) {
  fill();
  test::SeededRandom random(99);
  believe(crypto::SigningKey::generate(crypto::default_suite(), random).verify_key());
  RunOptions options;
  options.into = target_directory();
  auto context = Context::open(common_, {});
  ASSERT_TRUE(context.ok()) << context.error().to_string();
  auto catalog = (*context)->load(builder_->database());
  ASSERT_FALSE(catalog.ok());
  EXPECT_EQ(catalog.error().code, ErrorCode::kForged);
  EXPECT_TRUE(untouched());
}

TEST_F(Forgery, ABranchOfAnotherAgentKeyDoesNotCount) {
  test::SeededRandom random(99);
  builder_->agent_ = crypto::SigningKey::generate(crypto::default_suite(), random);
  fill();
  const auto done = run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code, ErrorCode::kForged) << done.error().to_string();
  EXPECT_TRUE(untouched());
}

TEST_F(Forgery, LogSignedByAnotherKeyDoesNotCount) {
  fill(12, false);
  test::SeededRandom random(99);
  builder_->agent_ = crypto::SigningKey::generate(crypto::default_suite(), random);
  builder_->log(stream_, end_, Bytes(5000), {}, second(100), second(100));
  const Status verified = verify();
  ASSERT_FALSE(verified.ok());
  EXPECT_EQ(verified.error().code, ErrorCode::kForged) << verified.error().to_string();
}

TEST_F(Forgery, ASnapshotSignedByAnotherKeyDoesNotCount) {
  fill();
  test::SeededRandom random(99);
  builder_->agent_ = crypto::SigningKey::generate(crypto::default_suite(), random);
  spec_.finished = second(3);
  builder_->snapshot(spec_);
  auto catalog = load();
  ASSERT_TRUE(catalog.ok());
  EXPECT_EQ((*catalog)->facts().snapshots.size(), 1u);
  ASSERT_EQ((*catalog)->problems().size(), 1u);
  EXPECT_EQ((*catalog)->problems()[0].error.code, ErrorCode::kForged);
}

TEST_F(Forgery, SignaturesBehindAWithdrawalDoNotCount) {
  fill(12, false);
  auto before = load();
  ASSERT_TRUE(before.ok());
  const Position middle = (*before)->facts().runs.at(2).range.end;
  builder_->withdraw(stream_, middle);
  auto after = load();
  ASSERT_TRUE(after.ok());
  EXPECT_LT((*after)->facts().runs.size(), (*before)->facts().runs.size());
  for (const recovery::RunFact& run : (*after)->facts().runs) EXPECT_LE(run.range.end, middle);
}

TEST_F(Forgery, OverlappingObjectsMustAgree) {
  fill(12, false);
  Bytes other(wal_.bytes().begin(), wal_.bytes().begin() + 150'000);
  other[100'000] ^= 1;
  builder_->log(stream_, Position{0x1000000}, other, second(1), second(1), second(1));
  const Status verified = verify();
  ASSERT_FALSE(verified.ok());
  EXPECT_EQ(verified.error().code, ErrorCode::kDamaged) << verified.error().to_string();
  EXPECT_NE(verified.error().what.find("different bytes"), std::string::npos) << verified.error().what;
}

TEST_F(Forgery, AWrongKeyIsExitCodeFive) {
  fill();
  auto catalog = load();
  ASSERT_TRUE(catalog.ok());
  test::SeededRandom random(5);
  KeyRing keys;
  keys.add({crypto::KeyKind::kRecovery, "other", crypto::RecipientKeyPair::generate(crypto::default_suite(), random), builder_->authority_key()});
  auto opened = SnapshotReader::open(**catalog, keys, snapshot_, 1);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(exit_code(opened.error().code), 5) << opened.error().to_string();
}

/// Manifests of a hostile agent: signed properly, meant to write elsewhere.
class HostileManifest : public SmallStore {
 protected:
  void expect_refused(std::function<void(test::SnapshotSpec&)> change) {
    change_spec_ = std::move(change);
    fill();
    const auto done = run();
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(exit_code(done.error().code), 4) << done.error().to_string();
    EXPECT_FALSE(fs::exists(scratch_ / "outside"));
  }
};

TEST_F(HostileManifest, ParentDirectoriesInPathsAreRefused) {
  expect_refused([](test::SnapshotSpec& s) { s.files.push_back(test::plain_file("../outside", to_bytes(as_bytes("x")))); });
  EXPECT_TRUE(untouched());
}
TEST_F(HostileManifest, AbsolutePathsAreRefused) {
  expect_refused([](test::SnapshotSpec& s) { s.files.push_back(test::plain_file("/tmp/outside", to_bytes(as_bytes("x")))); });
  EXPECT_TRUE(untouched());
}
TEST_F(HostileManifest, OnePathTwiceIsRefused) {
  expect_refused([](test::SnapshotSpec& s) { s.files.push_back(test::plain_file("PG_VERSION", to_bytes(as_bytes("x")))); });
  EXPECT_TRUE(untouched());
}
TEST_F(HostileManifest, AnUnknownTablespaceIsRefused) {
  expect_refused([](test::SnapshotSpec& s) { s.files.push_back(test::plain_file("PG_15/1", to_bytes(as_bytes("x")), 4711)); });
  EXPECT_TRUE(untouched());
}
TEST_F(HostileManifest, AFileBelowATablespacesLinkIsRefused) {
  change_spec_ = [&](test::SnapshotSpec& s) {
    s.tablespaces = {{4711, "/srv/ts"}};
    s.files.push_back(test::plain_file("pg_tblspc/4711/outside", to_bytes(as_bytes("x"))));
  };
  fill();
  RunOptions options;
  options.into = target_directory();
  options.places.root = scratch_ / "spaces";
  const auto done = run_restore(common_, options);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(exit_code(done.error().code), 4) << done.error().to_string();
  EXPECT_FALSE(fs::exists(scratch_ / "spaces/4711/outside"));
}
TEST_F(HostileManifest, ASnapshotWithoutAControlFileIsRefused) {
  expect_refused([](test::SnapshotSpec& s) { s.files.erase(s.files.begin() + 2); });
}

}  // namespace
}  // namespace stele::restore
