#pragma once

#include <atomic>
#include <mutex>
#include <set>

#include "core/io/file_system.h"
#include "core/store/object_store.h"

namespace stele::store {

/// Where things lie in a store directory: ROOT/objects/NAME are the objects, ROOT/tmp what is being written,
/// ROOT/journal the receiver's journal, ROOT/lock the owner's lock.
std::string journal_directory(const std::string& root);

/// Reads a store directory and touches nothing, also while a receiver owns it. kNotFound when ROOT/objects is not
/// there.
Result<std::unique_ptr<ObjectReader>> open_local_reader(io::FileSystem& fs, const std::string& root);

/// A store in a local directory. Objects appear by link(2) from ROOT/tmp after fsync, never over an existing name;
/// every new directory level is synced in its parent.
class LocalStore final : public ObjectStore {
 public:
  /// Creates what is missing, takes the owner's lock (kTemporary: another process has it; `holder` is what it wrote
  /// about itself) and removes what a dead owner left in ROOT/tmp.
  static Result<std::unique_ptr<LocalStore>> open(io::FileSystem& fs, std::string root, std::string_view holder);
  ~LocalStore() override;

  using ObjectStore::put;
  Result<std::vector<ObjectInfo>> list(std::string_view prefix) override;
  Result<Bytes> read(std::string_view name, std::uint64_t offset, std::size_t length) override;
  Result<std::uint64_t> size(std::string_view name) override;
  Status put(std::string_view name, std::span<const ByteView> pieces) override;
  Result<std::unique_ptr<StagedObject>> stage(std::string_view name) override;
  Status commit(std::vector<std::unique_ptr<StagedObject>> objects) override;
  Status remove(std::string_view name) override;
  Result<std::uint64_t> free_bytes() override;

 private:
  class Staged;
  LocalStore(io::FileSystem& fs, std::string root);
  Status prepare_directory(const std::string& directory);
  Status publish(Staged& staged, std::set<std::string>& directories);

  io::FileSystem& fs_;
  const std::string root_;
  std::unique_ptr<io::FileLock> lock_;
  std::unique_ptr<ObjectReader> reader_;
  std::atomic<std::uint64_t> next_temporary_{1};
  std::mutex directories_mutex_;
  std::set<std::string> durable_directories_;  // existed or made durable in this run
};

}  // namespace stele::store
