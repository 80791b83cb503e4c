#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "restore/apply/beneath.h"
#include "restore/apply/data_directory.h"
#include "restore/apply/tablespaces.h"
#include "restore/main/target_options.h"

namespace stele::restore {
namespace {

namespace fs = std::filesystem;

class Apply : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "stele-apply-XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  void TearDown() override { fs::remove_all(root_); }
  std::string root_;
};

TEST_F(Apply, NothingIsMadeOutsideTheDirectory) {
  fs::create_directory(root_ + "/in");
  fs::create_directory(root_ + "/out");
  fs::create_directory_symlink(root_ + "/out", root_ + "/in/link");
  auto in = BeneathDirectory::open(root_ + "/in");
  ASSERT_TRUE(in.ok()) << in.error().to_string();
  for (const std::string path : {"../x", "/x", "a/../../x", "", ".", "a//b", "link/x"}) {
    EXPECT_FALSE(in->create_file(path, 0600).ok()) << path;
    EXPECT_FALSE(in->make_directory(path, 0700).ok()) << path;
  }
  EXPECT_TRUE(fs::is_empty(root_ + "/out"));
  EXPECT_TRUE(in->create_file("fine", 0600).ok());
}

TEST_F(Apply, OnlyAnEmptyPlaceOutsideADataDirectoryIsATarget) {
  EXPECT_TRUE(check_target(root_ + "/new").ok());
  fs::create_directory(root_ + "/empty");
  EXPECT_TRUE(check_target(root_ + "/empty").ok());
  EXPECT_TRUE(check_target(root_ + "/empty/").ok());
  fs::create_directory(root_ + "/full");
  std::ofstream(root_ + "/full/x") << "x";
  EXPECT_EQ(check_target(root_ + "/full").error().code, ErrorCode::kExists);
  fs::create_directory_symlink(root_ + "/empty", root_ + "/link");
  EXPECT_FALSE(check_target(root_ + "/link").ok());
  fs::create_directory(root_ + "/cluster");
  std::ofstream(root_ + "/cluster/PG_VERSION") << "15\n";
  fs::create_directory(root_ + "/cluster/base");
  EXPECT_EQ(check_target(root_ + "/cluster/base/new").error().code, ErrorCode::kExists);
  EXPECT_FALSE(check_target("/").ok());
  EXPECT_FALSE(check_target(root_ + "/missing/new").ok());
}

TEST_F(Apply, TooLittleRoomIsSeenBefore) {
  EXPECT_TRUE(check_free_space({{root_ + "/not/there/yet", 1}}).ok());
  EXPECT_EQ(check_free_space({{root_, std::uint64_t{1} << 60}}).error().code, ErrorCode::kDiskFull);
  // Two places on one disk need the room of both.
  const std::uint64_t most = fs::space(root_).available / 5 * 4;
  ASSERT_TRUE(check_free_space({{root_ + "/a", most}}).ok());
  auto both = check_free_space({{root_ + "/a", most}, {root_ + "/b", most}});
  ASSERT_FALSE(both.ok());
  EXPECT_NE(both.error().what.find(std::to_string(2 * most + (64u << 20)) + " bytes"), std::string::npos) << both.error().what;
}

TEST(Tablespaces, EachNeedsAPlaceOfItsOwn) {
  const std::vector<format::TablespaceEntry> two = {{16400, "/srv/a"}, {16401, "/srv/b"}};
  TablespaceOptions options;
  auto none = map_tablespaces(two, options, "/pg");
  ASSERT_FALSE(none.ok());
  EXPECT_NE(none.error().what.find("16400 (was /srv/a), 16401"), std::string::npos) << none.error().what;
  options.mapped[16400] = "/new/a";
  EXPECT_FALSE(map_tablespaces(two, options, "/pg").ok());
  options.root = "/new/root/";
  auto both = map_tablespaces(two, options, "/pg");
  ASSERT_TRUE(both.ok());
  EXPECT_EQ((*both)[0].directory, "/new/a");
  EXPECT_EQ((*both)[1].directory, "/new/root/16401");
  options.mapped[16401] = "/new/a/inside";
  EXPECT_FALSE(map_tablespaces(two, options, "/pg").ok());
  options.mapped[16401] = "/pg/x";
  EXPECT_FALSE(map_tablespaces(two, options, "/pg").ok());
  options.mapped[16401] = "/new/b";
  options.mapped[9] = "/new/c";
  EXPECT_FALSE(map_tablespaces(two, options, "/pg").ok());
  TablespaceOptions original;
  original.original = true;
  EXPECT_EQ((*map_tablespaces(two, original, "/pg"))[1].directory, "/srv/b");
}

TEST(Tablespaces, OptionsAreReadStrictly) {
  EXPECT_EQ(parse_tablespace_option("16400=/srv/ts/")->second, "/srv/ts");
  for (const char* bad : {"", "=", "16400", "16400=", "16400=relative", "x=/a", "0=/a", "16400x=/a", "-1=/a"}) EXPECT_FALSE(parse_tablespace_option(bad).ok()) << bad;
}

TEST(Targets, AreReadStrictly) {
  auto read = [](auto change) {
    TargetOptions o;
    change(o);
    return to_target(o);
  };
  EXPECT_EQ(read([](auto&) {})->kind, recovery::TargetKind::kLatest);
  EXPECT_EQ(read([](auto& o) { o.lsn = "16/B374D848"; })->lsn, (Position{0x16B374D848}));
  EXPECT_EQ(read([](auto& o) { o.xid = "4294967999"; })->xid, 703u) << "the epoch in the upper half does not count";
  EXPECT_FALSE(read([](auto& o) { o.lsn = "x"; }).ok());
  EXPECT_FALSE(read([](auto& o) { o.xid = "2"; }).ok());
  EXPECT_FALSE(read([](auto& o) { o.time = "yesterday"; }).ok());
  EXPECT_FALSE(read([](auto& o) { o.lsn = "0/1"; o.xid = "700"; }).ok());
  EXPECT_FALSE(read([](auto& o) { o.exclusive = true; }).ok());
  EXPECT_FALSE(read([](auto& o) { o.name = std::string(64, 'x'); }).ok());
}

TEST_F(Apply, ATablespacesPlaceIsSeenBeforeAnythingIsWritten) {
  const std::string full = root_ + "/full", empty = root_ + "/empty";
  fs::create_directory(full);
  fs::create_directory(empty);
  std::ofstream(full + "/x") << "x";
  std::ofstream(root_ + "/file") << "x";
  auto target = [](std::uint32_t oid, const std::string& directory) { return TablespaceTarget{oid, "/source", directory, false}; };
  EXPECT_TRUE(check_tablespace_places({target(16400, empty), target(16401, root_ + "/new"), {16402, "pg_tblspc/16402", "", true}}, {}).ok());
  EXPECT_EQ(check_tablespace_places({target(16400, full)}, {}).error().code, ErrorCode::kExists);
  EXPECT_EQ(check_tablespace_places({target(16400, root_ + "/file")}, {}).error().code, ErrorCode::kExists);
  EXPECT_EQ(check_tablespace_places({target(16400, full)}, {{16401, full}}).error().code, ErrorCode::kExists) << "another tablespace's";
  EXPECT_TRUE(check_tablespace_places({target(16400, full)}, {{16400, full}}).ok());
}

TEST_F(Apply, AnExistingDirectorysLinksAreReadAsPathsAreGiven) {
  fs::create_directories(root_ + "/pg/pg_tblspc");
  fs::create_directory(root_ + "/ts");
  fs::create_directory_symlink(root_ + "//ts/", root_ + "/pg/pg_tblspc/16400");
  std::ofstream(marker_path(root_ + "/pg")) << marker_first_line(7) << "\n";
  const auto existing = inspect_existing(root_ + "/pg");
  ASSERT_TRUE(existing.ok()) << existing.error().to_string();
  EXPECT_TRUE(existing->holds(16400, root_ + "/ts"));
}

TEST_F(Apply, ADirectoryThatIsNotWhatWasAskedForIsStartedByNobody) {
  fs::create_directories(root_ + "/pg/global");
  std::ofstream(root_ + "/pg/global/pg_control") << "x";
  ASSERT_TRUE(mark_incomplete(root_ + "/pg", 7).ok());
  EXPECT_FALSE(fs::exists(root_ + "/pg/global/pg_control"));
  const auto existing = inspect_existing(root_ + "/pg");
  ASSERT_TRUE(existing.ok()) << existing.error().to_string();
  EXPECT_TRUE(existing->incomplete);
  EXPECT_EQ(existing->system_identifier, 7u);
}

}  // namespace
}  // namespace stele::restore
