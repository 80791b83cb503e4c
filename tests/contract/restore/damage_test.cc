#include "core/crypto/hash.h"
#include "tests/contract/restore/small_store.h"

namespace stele::restore {
namespace {

class Damage : public SmallStore {};

TEST_F(Damage, AnHonestStoreVerifies) {
  fill();
  const Status verified = verify();
  EXPECT_TRUE(verified.ok()) << verified.error().to_string();
}

TEST_F(Damage, TheJournalCountsBehindTheLastRun) {
  fill();
  auto catalog = load();
  ASSERT_TRUE(catalog.ok()) << catalog.error().to_string();
  EXPECT_EQ(recovery::survey((*catalog)->facts()).windows.at(0).to.position, end_);
}

/// A flipped byte anywhere in any object: exit code 4, and a refusal or an incomplete directory, never a restored one.
class FlippedByte : public SmallStore, public testing::WithParamInterface<const char*> {};

TEST_P(FlippedByte, IsFound) {
  fill();
  for (const std::string& name : builder_->names(std::string(GetParam()) + "/")) {
    const std::string path = builder_->file_of(name);
    const Bytes before = read_path(path);
    for (const std::size_t offset : {std::size_t{0}, before.size() / 3, before.size() / 2, before.size() - 1}) {
      SCOPED_TRACE(name + " at " + std::to_string(offset));
      flip(path, offset);
      const Status verified = verify();
      // A pack's own signature is not what chunks are authenticated by: its last bytes may rot without a chunk being touched.
      if (std::string(GetParam()) == "pack" && offset == before.size() - 1) {
        EXPECT_TRUE(verified.ok());
      } else {
        ASSERT_FALSE(verified.ok());
        const bool expected = exit_code(verified.error().code) == 4 || verified.error().code == ErrorCode::kUnsupported;
        EXPECT_TRUE(expected) << verified.error().to_string();
      }
      write_path(path, before);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Kinds, FlippedByte, testing::Values("enrolment", "branch", "log", "pack", "list", "snapshot"));

// Runs are not here: a log that ends earlier is found by the heads that this host has seen (--accept-older) and by gaps.
TEST_F(Damage, EveryMissingObjectIsMissed) {
  fill();
  for (const char* folder : {"enrolment/", "branch/", "pack/", "list/"}) {
    for (const std::string& name : builder_->names(folder)) {
      SCOPED_TRACE(name);
      const std::string path = builder_->file_of(name);
      fs::rename(path, scratch_ / "away");
      EXPECT_FALSE(verify().ok());
      fs::rename(scratch_ / "away", path);
    }
  }
}

TEST_F(Damage, ATruncatedRunIsRefusedAndNothingIsWritten) {
  fill(12, false);
  const std::string path = builder_->file_of(builder_->names("log/").back());
  fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
  fs::resize_file(path, fs::file_size(path) / 2);
  const auto done = run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(exit_code(done.error().code), 4) << done.error().to_string();
  EXPECT_TRUE(untouched());
}

TEST_F(Damage, ADamagedLogBeforeTheEndIsRefusedBeforeAnythingIsWritten) {
  fill();
  flip(builder_->file_of(builder_->names("log/").front()), 30);
  const auto done = run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(exit_code(done.error().code), 4) << done.error().to_string();
  EXPECT_TRUE(untouched());
}

TEST_F(Damage, ABadChunkLeavesAMarkedDirectoryWithoutAControlFile) {
  fill();
  const std::string path = builder_->file_of(builder_->names("pack/").front());
  // The middle of the big file's chunks, not the file table, which is last.
  flip(path, fs::file_size(path) / 2);
  const auto done = run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(exit_code(done.error().code), 4) << done.error().to_string();
  EXPECT_TRUE(fs::exists(target_directory() + ".stele-incomplete"));
  EXPECT_FALSE(fs::exists(target_directory() + "/global/pg_control"));
  const auto again = run();
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code, ErrorCode::kExists);
}

TEST_F(Damage, ASecondCopyOfAChunkIsUsed) {
  fill();
  const std::string path = builder_->file_of(builder_->names("pack/").front());
  // The same chunks once more, in a pack under another name: as a repair from another receiver leaves it.
  const Bytes good = read_path(path);
  builder_->snapshot(spec_);
  flip(path, good.size() / 2);
  const Status verified = verify();
  EXPECT_TRUE(verified.ok()) << verified.error().to_string();
}

TEST_F(Damage, AnotherTimeInARunsHeadIsForgery) {
  fill(12, false);
  // A receiver that wants a restore to stop early claims later commits in a head, which nobody signs.
  const std::string path = builder_->file_of(builder_->names("log/").at(1));
  const Bytes bytes = read_path(path);
  const auto head = format::parse_run_head(bytes);
  ASSERT_TRUE(head.ok());
  Bytes changed = bytes;
  Bytes needle;
  ByteWriter(needle).i64(head->max_commit.micros);
  auto at = std::search(changed.begin(), changed.begin() + static_cast<std::ptrdiff_t>(head->head_size), needle.begin(), needle.end());
  ASSERT_NE(at, changed.begin() + static_cast<std::ptrdiff_t>(head->head_size));
  *(at + 2) ^= 1;
  fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
  write_path(path, changed);
  const Status verified = verify();
  ASSERT_FALSE(verified.ok());
  EXPECT_EQ(exit_code(verified.error().code), 4) << verified.error().to_string();
}

TEST_F(Damage, AnAsOfThatNobodySignedIsForgery) {
  fill(12, false);
  builder_->log(stream_, end_, {}, {}, {}, second(50));
  recovery::Target target;
  target.kind = recovery::TargetKind::kTime;
  auto plan = [&](std::int64_t at) {
    target.time = second(at);
    const auto catalog = load().value();
    KeyRing keys;
    keys.add(builder_->recovery_key());
    LogReader log(*catalog, keys);
    DecodingLogIndex index(*catalog, log);
    auto planned = plan_restore(*catalog, target, {}, false, &index);
    return planned.ok() ? Status() : Status(planned.error());
  };
  ASSERT_TRUE(plan(40).ok()) << "no commit follows, and the source was seen later";
  EXPECT_EQ(plan(60).error().code, ErrorCode::kUnreachable);
  // Whoever holds the store writes a later time into the head, whose hash anybody can make.
  const auto catalog = load().value();
  const auto& runs = catalog->facts().runs;
  const auto run = std::find_if(runs.begin(), runs.end(), [](const recovery::RunFact& r) { return r.range.empty(); });
  ASSERT_NE(run, runs.end());
  const std::string path = builder_->file_of(run->name);
  Bytes bytes = read_path(path);
  const auto head = format::parse_run_head(bytes);
  ASSERT_TRUE(head.ok());
  Bytes honest, forged;
  ByteWriter(honest).i64(second(50).micros);
  ByteWriter(forged).i64(second(90).micros);
  const auto end = bytes.begin() + static_cast<std::ptrdiff_t>(head->head_size - Digest::kSize);
  for (auto at = bytes.begin(); (at = std::search(at, end, honest.begin(), honest.end())) != end;) at = std::copy(forged.begin(), forged.end(), at);
  const Digest hash = crypto::hash(crypto::default_suite(), ByteView(bytes).first(head->head_size - Digest::kSize));
  std::copy(hash.view().begin(), hash.view().end(), end);
  ASSERT_TRUE(format::parse_run_head(bytes).ok());
  fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
  write_path(path, bytes);
  EXPECT_EQ(plan(60).error().code, ErrorCode::kForged);
}

}  // namespace
}  // namespace stele::restore
