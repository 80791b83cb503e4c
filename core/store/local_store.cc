#include "core/store/local_store.h"

#include <fmt/format.h>

#include "core/io/durable_file.h"
#include "core/store/local_reader.h"

namespace stele::store {

namespace {

std::string temporary_directory(const std::string& root) {
  return root + "/tmp";
}

constexpr std::size_t kCompareBytes = 1u << 20;

Result<bool> same_content(io::File& a, io::File& b) {
  STELE_TRY(std::uint64_t size, a.size());
  STELE_TRY(std::uint64_t other, b.size());
  if (size != other) return false;
  for (std::uint64_t at = 0; at < size; at += kCompareBytes) {
    std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(kCompareBytes, size - at));
    STELE_TRY(Bytes left, a.read_exactly(at, n));
    STELE_TRY(Bytes right, b.read_exactly(at, n));
    if (left != right) return false;
  }
  return true;
}

}  // namespace

/// Collects small appends, so that many chunks do not become many system calls.
class LocalStore::Staged final : public StagedObject {
 public:
  Staged(io::FileSystem& fs, std::unique_ptr<io::File> file, std::string name)
      : fs_(fs), file_(std::move(file)), name_(std::move(name)) {}
  ~Staged() override {
    // Best effort: what stays is removed when the store is opened next.
    (void)fs_.unlink(file_->path());
  }

  Status append(ByteView bytes) override {
    if (failed_) return Error{ErrorCode::kIo, fmt::format("write object {}: an earlier write failed", name_), ""};
    size_ += bytes.size();
    if (buffer_.size() + bytes.size() < kBuffer) {
      buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
      return {};
    }
    std::array<ByteView, 2> pieces{buffer_, bytes};
    Status written = file_->write_at(written_, pieces);
    written_ = size_;
    buffer_.clear();
    failed_ = !written.ok();
    return written;
  }

  /// Everything on disk; after it nothing is appended.
  Status finish() {
    if (failed_) return Error{ErrorCode::kIo, fmt::format("write object {}: an earlier write failed", name_), ""};
    failed_ = true;  // until this is through
    if (!buffer_.empty()) STELE_CHECK(file_->write_at(written_, buffer_));
    written_ = size_;
    buffer_.clear();
    STELE_CHECK(file_->sync());
    failed_ = false;
    return {};
  }

  std::uint64_t size() const override { return size_; }
  const std::string& name() const override { return name_; }
  io::File& file() { return *file_; }

 private:
  static constexpr std::size_t kBuffer = 256u << 10;
  io::FileSystem& fs_;
  std::unique_ptr<io::File> file_;
  std::string name_;
  Bytes buffer_;
  std::uint64_t written_ = 0, size_ = 0;
  bool failed_ = false;
};

LocalStore::LocalStore(io::FileSystem& fs, std::string root) : fs_(fs), root_(std::move(root)) {}
LocalStore::~LocalStore() = default;

Result<std::unique_ptr<LocalStore>> LocalStore::open(io::FileSystem& fs, std::string root, std::string_view holder) {
  std::unique_ptr<LocalStore> store(new LocalStore(fs, std::move(root)));
  const std::string temporary = temporary_directory(store->root_);
  STELE_CHECK(io::make_directories_durably(fs, store->root_));
  STELE_TRY(store->lock_, fs.try_lock(store->root_ + "/lock", holder));
  STELE_CHECK(io::make_directories_durably(fs, objects_directory(store->root_)));
  STELE_CHECK(io::make_directories_durably(fs, temporary));
  // Also when they existed: a dead process may have made them without reaching its sync.
  STELE_CHECK(fs.sync_directory(store->root_));
  STELE_TRY(auto leftovers, fs.list_directory(temporary));
  for (const io::DirectoryEntry& entry : leftovers) {
    if (entry.kind == io::FileKind::kFile) STELE_CHECK(fs.unlink(temporary + "/" + entry.name));
  }
  store->reader_ = std::make_unique<LocalReader>(fs, store->root_);
  return store;
}

Result<std::vector<ObjectInfo>> LocalStore::list(std::string_view prefix) {
  return reader_->list(prefix);
}
Result<Bytes> LocalStore::read(std::string_view name, std::uint64_t offset, std::size_t length) {
  return reader_->read(name, offset, length);
}
Result<std::uint64_t> LocalStore::size(std::string_view name) {
  return reader_->size(name);
}
Result<std::uint64_t> LocalStore::free_bytes() {
  return fs_.free_bytes(root_);
}

Result<std::unique_ptr<StagedObject>> LocalStore::stage(std::string_view name) {
  STELE_CHECK(check_object_name(name));
  const std::string path = fmt::format("{}/{:08x}", temporary_directory(root_), next_temporary_++);
  STELE_TRY(std::unique_ptr<io::File> file, fs_.open(path, io::OpenMode::kCreateExclusive));
  return std::unique_ptr<StagedObject>(std::make_unique<Staged>(fs_, std::move(file), std::string(name)));
}

Status LocalStore::put(std::string_view name, std::span<const ByteView> pieces) {
  std::vector<std::unique_ptr<StagedObject>> objects;
  STELE_TRY(objects.emplace_back(), stage(name));
  for (ByteView piece : pieces) STELE_CHECK(objects[0]->append(piece));
  return commit(std::move(objects));
}

Status LocalStore::commit(std::vector<std::unique_ptr<StagedObject>> objects) {
  for (const auto& object : objects) STELE_CHECK(static_cast<Staged&>(*object).finish());
  std::set<std::string> directories;
  Status published;
  for (const auto& object : objects) {
    published = publish(static_cast<Staged&>(*object), directories);
    if (!published.ok()) break;
  }
  // Also after a failure: what is visible already is to be durable.
  for (const std::string& directory : directories) {
    Status synced = fs_.sync_directory(directory);
    if (published.ok() && !synced.ok()) published = synced;
  }
  return published;
}

/// Gives a synced file its final name. The directory still has to be synced.
Status LocalStore::publish(Staged& staged, std::set<std::string>& directories) {
  const std::string path = objects_directory(root_) + "/" + staged.name();
  const std::string directory = io::parent_directory(path);
  STELE_CHECK(prepare_directory(directory));
  Status linked = fs_.link(staged.file().path(), path);
  if (!linked.ok() && linked.error().code == ErrorCode::kExists) {
    auto existing = fs_.open(path, io::OpenMode::kRead);
    if (!existing.ok()) return existing.error().in(fmt::format("put object {}: the name is taken", staged.name()));
    STELE_TRY(bool same, same_content(staged.file(), **existing));
    if (!same) {
      return Error{ErrorCode::kExists, fmt::format("put object {}: the name is taken by other content", staged.name()),
                   "objects are never overwritten"};
    }
    linked = {};
  }
  if (linked.ok()) directories.insert(directory);
  return linked;
}

/// Makes every level below ROOT/objects and its name durable, once in a run.
Status LocalStore::prepare_directory(const std::string& directory) {
  std::lock_guard lock(directories_mutex_);
  const std::string top = objects_directory(root_);
  for (std::size_t at = top.size(); at < directory.size();) {
    std::size_t slash = std::min(directory.find('/', at + 1), directory.size());
    const std::string level = directory.substr(0, slash);
    at = slash;
    if (durable_directories_.contains(level)) continue;
    Status made = fs_.make_directory(level);
    if (!made.ok() && made.error().code != ErrorCode::kExists) return made;
    STELE_CHECK(fs_.sync_directory(io::parent_directory(level)));
    durable_directories_.insert(level);
  }
  return {};
}

Status LocalStore::remove(std::string_view name) {
  STELE_CHECK(check_object_name(name));
  const std::string path = fmt::format("{}/{}", objects_directory(root_), name);
  STELE_CHECK(fs_.unlink(path));
  return fs_.sync_directory(io::parent_directory(path));
}

}  // namespace stele::store
