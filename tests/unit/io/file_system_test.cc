// The real and the memory file system keep one contract, so that what holds on one holds on the other.
#include "core/io/file_system.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "core/io/durable_file.h"
#include "core/io/journal.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/journal_records.h"

namespace stele::io {
namespace {

struct FileSystemContract : testing::TestWithParam<bool> {
  std::string root;
  std::unique_ptr<FileSystem> fs;

  void SetUp() override {
    if (GetParam()) {
      std::string pattern = (std::filesystem::temp_directory_path() / "stele-io-XXXXXX").string();
      root = ::mkdtemp(pattern.data());
      fs = std::make_unique<PosixFileSystem>();
    } else {
      root = "/root";
      fs = std::make_unique<test::FaultFileSystem>();
      ASSERT_TRUE(fs->make_directory(root).ok());
    }
  }
  void TearDown() override {
    if (GetParam()) std::filesystem::remove_all(root);
  }
  ErrorCode code(const Status& status) { return status.ok() ? ErrorCode{} : status.error().code; }
};

TEST_P(FileSystemContract, WritesAndReadsAtPlaces) {
  auto file = fs->open(root + "/a", OpenMode::kCreateExclusive);
  ASSERT_TRUE(file.ok());
  std::vector<ByteView> pieces(300, as_bytes("xy"));  // more than one system call takes
  pieces[1] = {};
  ASSERT_TRUE((*file)->write_at(10, pieces).ok());
  ASSERT_TRUE((*file)->write_at(0, as_bytes("0123456789")).ok());
  ASSERT_TRUE((*file)->sync_data().ok());
  EXPECT_EQ((*file)->size().value(), 608u);
  EXPECT_EQ(as_text((*file)->read_exactly(8, 6).value()), "89xyxy");
  EXPECT_EQ((*file)->read_exactly(600, 9).error().code, ErrorCode::kDamaged);
  Bytes buffer(20);
  EXPECT_EQ((*file)->read_at(600, buffer).value(), 8u);
  EXPECT_EQ((*file)->read_at(6000, buffer).value(), 0u);
  ASSERT_TRUE((*file)->fill_zero(600, 3u << 20).ok());
  EXPECT_EQ((*file)->size().value(), 600u + (3u << 20));
  auto reader = fs->open(root + "/a", OpenMode::kRead);
  ASSERT_TRUE(reader.ok());
  EXPECT_FALSE((*reader)->write_at(0, as_bytes("x")).ok());
}

TEST_P(FileSystemContract, NamesErrors) {
  EXPECT_EQ(fs->open(root + "/none", OpenMode::kRead).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(fs->open(root + "/none/x", OpenMode::kCreateExclusive).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(fs->open(root + "/a", OpenMode::kCreateExclusive).ok());
  EXPECT_EQ(fs->open(root + "/a", OpenMode::kCreateExclusive).error().code, ErrorCode::kExists);
  EXPECT_EQ(code(fs->make_directory(root + "/a")), ErrorCode::kExists);
  EXPECT_EQ(code(fs->link(root + "/none", root + "/b")), ErrorCode::kNotFound);
  ASSERT_TRUE(fs->link(root + "/a", root + "/b").ok());
  EXPECT_EQ(code(fs->link(root + "/a", root + "/b")), ErrorCode::kExists);
  ASSERT_TRUE(fs->rename(root + "/a", root + "/b2").ok());
  EXPECT_EQ(code(fs->unlink(root + "/a")), ErrorCode::kNotFound);
  EXPECT_EQ(fs->info(root + "/a").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(fs->list_directory(root + "/none").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(fs->info(root + "/b2/x").error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(fs->make_directory(root + "/d").ok());
  EXPECT_EQ(fs->info(root + "/d")->kind, FileKind::kDirectory);
  ASSERT_TRUE(fs->open(root + "/d/x", OpenMode::kCreateExclusive).ok());
  EXPECT_EQ(code(fs->remove_directory(root + "/d")), ErrorCode::kExists);
  ASSERT_TRUE(fs->unlink(root + "/d/x").ok());
  EXPECT_TRUE(fs->remove_directory(root + "/d").ok());
  EXPECT_EQ(fs->list_directory(root)->size(), 2u);
  EXPECT_GT(fs->free_bytes(root).value(), 0u);
}

TEST_P(FileSystemContract, LocksForOneHolder) {
  auto held = fs->try_lock(root + "/lock", "the agent");
  ASSERT_TRUE(held.ok());
  auto second = fs->try_lock(root + "/lock", "another");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kTemporary);
  EXPECT_NE(second.error().what.find("held by the agent"), std::string::npos) << second.error().what;
  held->reset();
  EXPECT_TRUE(fs->try_lock(root + "/lock", "another").ok());
}

TEST_P(FileSystemContract, WritesSmallFilesOnceOrAnew) {
  const std::string path = root + "/a/b/state";
  ASSERT_TRUE(make_directories_durably(*fs, root + "/a/b").ok());
  ASSERT_TRUE(make_directories_durably(*fs, root + "/a/b").ok());
  ASSERT_TRUE(write_file_durably(*fs, path, as_bytes("one"), WriteMode::kOnce).ok());
  EXPECT_EQ(code(write_file_durably(*fs, path, as_bytes("two"), WriteMode::kOnce)), ErrorCode::kExists);
  EXPECT_EQ(as_text(read_file(*fs, path, 100).value()), "one");
  ASSERT_TRUE(fs->open(path + ".tmp", OpenMode::kCreateExclusive).ok());  // as a crash leaves it
  ASSERT_TRUE(write_file_durably(*fs, path, as_bytes("three"), WriteMode::kReplace).ok());
  EXPECT_EQ(as_text(read_file(*fs, path, 100).value()), "three");
  EXPECT_EQ(read_file(*fs, path, 4).error().code, ErrorCode::kLimit);
  EXPECT_EQ(fs->list_directory(root + "/a/b")->size(), 1u);
  EXPECT_EQ(code(make_directories_durably(*fs, path)), ErrorCode::kExists);
}

TEST_P(FileSystemContract, CarriesAJournal) {
  test::SeededRandom random(1);
  for (int round = 0; round < 3; ++round) {
    test::Recovered got;
    auto journal = Journal::open(*fs, random, {root + "/journal", 1u << 20, 4u << 20, "test"}, got.visitor());
    ASSERT_TRUE(journal.ok()) << journal.error().to_string();
    EXPECT_EQ(got.records.size(), static_cast<std::size_t>(round) * 3);
    EXPECT_TRUE(got.damages.empty());
    ASSERT_TRUE(test::append_texts(**journal, {std::string(600000, 'a'), "b"}).ok());
    ASSERT_TRUE(test::append_texts(**journal, {"c"}).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(Both, FileSystemContract, testing::Bool(),
                         [](const auto& test) { return test.param ? "Posix" : "Memory"; });

TEST(DurableFile, ShowsOldOrNewContentWhateverFails) {
  for (auto crash : {test::FaultFileSystem::Crash::kDropUnsynced, test::FaultFileSystem::Crash::kKeepSome}) {
    for (std::uint64_t step = 1;; ++step) {
      test::FaultFileSystem fs(step);
      ASSERT_TRUE(write_file_durably(fs, "/state", as_bytes("old"), WriteMode::kReplace).ok());
      fs.fail_operation(step, EIO, true);
      const bool done = write_file_durably(fs, "/state", as_bytes("newer"), WriteMode::kReplace).ok();
      const bool failed = fs.failure_happened();
      fs.crash(crash);
      auto bytes = read_file(fs, "/state", 100);
      ASSERT_TRUE(bytes.ok()) << "step " << step;
      std::string text(as_text(*bytes));
      EXPECT_TRUE(done ? text == "newer" : (text == "old" || text == "newer")) << "step " << step << ": " << text;
      if (!failed) break;
    }
  }
}

}  // namespace
}  // namespace stele::io
