#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>

#include "core/io/file_system.h"

namespace stele::test {

/// A file system in memory that fails, tears and forgets like a real one under load, for tests of everything that must
/// survive.
///
/// What is written is in the "page cache" and visible; only a successful sync makes it durable. A failed sync marks the
/// pages clean without storing them, as Linux does: a second sync then succeeds and proves nothing. Names are durable
/// after `sync_directory`. Thread-safe. Paths are absolute or relative to the root; parents must exist.
class FaultFileSystem final : public io::FileSystem {
 public:
  explicit FaultFileSystem(std::uint64_t seed = 1);
  ~FaultFileSystem() override;

  /// The n-th operation from now on (1 is the next) fails with `error_number`; with `forever` every one after it too. 0
  /// switches it off. A failing write leaves a part of its bytes, a failing sync stores some of the pages; both mark
  /// nothing for a later sync.
  void fail_operation(std::uint64_t n, int error_number, bool forever = false);
  /// True when the failure that was asked for has happened.
  bool failure_happened() const;
  /// Operations so far: every read, write, sync and change of names.
  std::uint64_t operations() const;
  /// Syncs so far that succeeded (files and directories).
  std::uint64_t syncs() const;
  /// Writes take a random part of what they are given.
  void set_short_writes(bool on);
  void set_free_bytes(std::uint64_t bytes);

  enum class Crash {
    kDropUnsynced,  ///< only what was synced is left
    kKeepSome,      ///< of what was not synced, random sectors, sizes and names are left
    kProcessOnly,  ///< the process dies, the machine goes on: everything visible stays visible, nothing becomes durable
  };
  /// Open files become useless (EIO), locks are gone, failures are switched off.
  void crash(Crash how);

  /// Flips bits of one byte, on disk and in the cache: rot. False when there is no such byte.
  bool flip(const std::string& path, std::uint64_t offset, std::uint8_t mask = 0x40);
  /// A bad sector: reading the byte fails (EIO), also after a crash, until `on` is false. False when there is no such file.
  bool set_unreadable(const std::string& path, std::uint64_t offset, bool on = true);

  Result<std::unique_ptr<io::File>> open(const std::string& path, io::OpenMode mode) override;
  Status make_directory(const std::string& path) override;
  Result<std::vector<io::DirectoryEntry>> list_directory(const std::string& path) override;
  Status rename(const std::string& from, const std::string& to) override;
  Status link(const std::string& from, const std::string& to) override;
  Status unlink(const std::string& path) override;
  Status remove_directory(const std::string& path) override;
  Status sync_directory(const std::string& path) override;
  Result<io::FileInfo> info(const std::string& path) override;
  Result<std::uint64_t> free_bytes(const std::string& path) override;
  Result<std::unique_ptr<io::FileLock>> try_lock(const std::string& path, std::string_view holder) override;

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  class MemoryFile;
  class MemoryLock;

  int step_locked();  // errno of the operation to fail, or 0
  NodePtr find_locked(const std::string& path) const;
  Result<std::pair<NodePtr, std::string>> parent_locked(std::string_view tried, const std::string& path) const;
  void crash_node_locked(Node& node, Crash how, std::set<const Node*>& seen);
  bool coin_locked() { return (random_() & 1) != 0; }

  mutable std::mutex mutex_;
  std::mt19937_64 random_;
  NodePtr root_;
  std::map<std::string, std::string> locks_;  // path and holder
  std::uint64_t life_ = 1;                    // grows with every crash
  std::uint64_t operations_ = 0, syncs_ = 0;
  std::uint64_t fail_at_ = 0;
  int fail_with_ = 0;
  bool fail_forever_ = false, failed_ = false;
  bool short_writes_ = false;
  std::uint64_t free_bytes_ = std::uint64_t{1} << 40;
};

}  // namespace stele::test
