#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/format/object_names.h"
#include "restore/fetch/decoding_log_index.h"
#include "restore/fetch/snapshot_reader.h"
#include "restore/main/planning.h"
#include "restore/main/restore_job.h"
#include "restore/wal/wal_fetch.h"
#include "restore/wal/wal_stager.h"
#include "tests/support/store/store_builder.h"
#include "tests/support/wal_builder.h"

namespace stele::restore {

namespace fs = std::filesystem;
using test::StoreBuilder;

inline constexpr std::uint64_t kSegment = 1 << 20;
inline Timestamp second(std::int64_t n) { return {1'700'000'000'000'000 + n * 1'000'000}; }

/// A directory that is removed with the test.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "stele-restore-XXXXXX").string();
    path_ = mkdtemp(name.data());
  }
  ~Scratch() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline Bytes read_path(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}
inline void write_path(const std::string& path, ByteView bytes) { std::ofstream(path, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size())); }

/// A database with synthetic log: a commit every 100 KiB at second 1, 2, 3 ... , a snapshot near its beginning.
class SmallStore : public testing::Test {
 protected:
  static constexpr std::uint64_t kSystem = 7000000000000000001;
  void SetUp() override { builder_ = std::make_unique<StoreBuilder>(scratch_ / "store"); }

  void fill(std::size_t commits = 12, bool journal = true) {
    stream_ = builder_->branch(1, kSystem, kSegment);
    wal_.system_identifier = kSystem;
    std::vector<Position> ends;
    for (std::size_t i = 1; i <= commits; ++i) {
      wal_.filler(100'000);
      wal_.commit(static_cast<pg::TransactionId>(700 + i), second(static_cast<std::int64_t>(i)));
      ends.push_back(wal_.position());
    }
    spec_.stream = stream_;
    spec_.start = Position{0x1000000} + 40;
    spec_.stop = ends[1];
    spec_.finished = second(2);
    spec_.system_identifier = kSystem;
    spec_.files = {test::plain_file("PG_VERSION", to_bytes(as_bytes("15\n"))), test::directory_entry("global"), test::plain_file("global/pg_control", builder_->random.bytes(8192)),
                   test::directory_entry("base"), test::plain_file("base/1", builder_->random.bytes(700'000)), test::plain_file("base/empty", {}),
                   test::plain_file("base/zeros", Bytes(300'000))};
    if (change_spec_) change_spec_(spec_);
    std::size_t at = 0;
    for (std::size_t i = 0; i < ends.size(); i += 3) {
      const std::size_t last = std::min(i + 3, ends.size()) - 1;
      const std::size_t end = ends[last] - Position{0x1000000};
      const bool is_last = last + 1 == ends.size();
      builder_->log(stream_, Position{0x1000000} + at, ByteView(wal_.bytes()).subspan(at, end - at), second(static_cast<std::int64_t>(i + 1)), second(static_cast<std::int64_t>(last + 1)),
                    second(static_cast<std::int64_t>(last + 1)), 2, is_last && journal);
      at = end;
    }
    end_ = ends.back();
    snapshot_ = builder_->snapshot(spec_);
    config_ = builder_->write_config(scratch_ / "config");
    common_.config = config_;
  }

  Result<std::unique_ptr<StoreCatalog>> load() {
    reader_ = store::open_local_reader(fs_, builder_->root()).value();
    StoreCatalog::Options options;
    options.authorities = {builder_->authority_key()};
    options.fs = &fs_;
    options.journal_directory = store::journal_directory(builder_->root());
    return StoreCatalog::load(*reader_, builder_->database(), options);
  }

  /// What `verify` does, for the latest moment: the error's code, or nothing.
  Status verify() {
    STELE_TRY(auto catalog, load());
    KeyRing keys;
    keys.add(builder_->recovery_key());
    LogReader log(*catalog, keys);
    DecodingLogIndex index(*catalog, log);
    STELE_TRY(const recovery::Plan plan, plan_restore(*catalog, {}, {}, false, &index));
    STELE_TRY(auto snapshot, SnapshotReader::open(*catalog, keys, plan.snapshot.id, 2));
    STELE_CHECK(snapshot->read_files(2, [](std::size_t, std::uint64_t, ByteView) -> Status { return {}; }, {}));
    STELE_TRY([[maybe_unused]] const std::size_t objects, verify_log(*catalog, log, plan, 2, {}));
    for (const Problem& p : catalog->problems()) {
      if (exit_code(p.error.code) == 4) return p.error;
    }
    return {};
  }

  /// `run` into target(); in this process.
  Result<RunReport> run(const TargetOptions& target = {}) {
    RunOptions options;
    options.into = target_directory();
    options.target = target;
    common_.json = true;
    return run_restore(common_, options);
  }
  std::string target_directory() { return scratch_ / "restored"; }
  bool untouched() {
    for (const char* suffix : {"", ".stele-incomplete", ".stele-wal", ".stele-extra"}) {
      if (fs::exists(target_directory() + suffix)) return false;
    }
    return true;
  }

  void flip(const std::string& path, std::uint64_t offset) {
    Bytes bytes = read_path(path);
    ASSERT_LT(offset, bytes.size());
    bytes[offset] ^= 0x40;
    fs::permissions(path, fs::perms::owner_write, fs::perm_options::add);
    write_path(path, bytes);
  }

  Scratch scratch_;
  io::PosixFileSystem fs_;
  std::unique_ptr<StoreBuilder> builder_;
  std::unique_ptr<store::ObjectReader> reader_;
  pg::WalBuilder wal_;
  StreamId stream_;
  test::SnapshotSpec spec_;
  std::function<void(test::SnapshotSpec&)> change_spec_;
  SnapshotId snapshot_;
  Position end_;
  std::string config_;
  cli::Common common_;
};

}  // namespace stele::restore
