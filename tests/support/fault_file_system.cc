#include "tests/support/fault_file_system.h"

#include <cerrno>

namespace stele::test {

namespace {

constexpr std::uint64_t kPage = 4096;
constexpr std::uint64_t kSector = 512;

std::vector<std::string> split(const std::string& path) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at <= path.size()) {
    std::size_t slash = std::min(path.find('/', at), path.size());
    if (slash > at && path.substr(at, slash - at) != ".") out.push_back(path.substr(at, slash - at));
    at = slash + 1;
  }
  return out;
}

void copy_range(const Bytes& from, Bytes& to, std::uint64_t begin, std::uint64_t end) {
  end = std::min<std::uint64_t>({end, from.size(), to.size()});
  if (begin < end)
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(begin), end - begin,
                to.begin() + static_cast<std::ptrdiff_t>(begin));
}

}  // namespace

struct FaultFileSystem::Node {
  io::FileKind kind = io::FileKind::kFile;
  Bytes data, durable;                                      // of a file: what is visible, what survives
  std::set<std::uint64_t> dirty;                            // pages that a sync would store
  std::set<std::uint64_t> bad;                              // sectors that cannot be read
  std::map<std::string, NodePtr> entries, durable_entries;  // of a directory
};

class FaultFileSystem::MemoryFile final : public io::File {
 public:
  MemoryFile(FaultFileSystem& fs, NodePtr node, std::string path, bool writable)
      : fs_(fs), node_(std::move(node)), path_(std::move(path)), writable_(writable), life_(fs.life_) {}

  Status sync_data() override { return sync(); }

  Status sync() override {
    std::lock_guard lock(fs_.mutex_);
    int error = step();
    if (error == 0) node_->durable.resize(node_->data.size());
    for (std::uint64_t page : node_->dirty) {
      if (error == 0 || fs_.coin_locked()) copy_range(node_->data, node_->durable, page * kPage, (page + 1) * kPage);
    }
    node_->dirty.clear();
    if (error != 0) return system_error("fsync", path_, error);
    ++fs_.syncs_;
    return {};
  }

  Result<std::uint64_t> size() override {
    std::lock_guard lock(fs_.mutex_);
    if (int error = step()) return system_error("fstat", path_, error);
    return std::uint64_t{node_->data.size()};
  }

  const std::string& path() const override { return path_; }

 protected:
  Result<std::size_t> read_some(std::uint64_t offset, MutableByteView out) override {
    std::lock_guard lock(fs_.mutex_);
    if (int error = step()) return system_error("read", path_, error);
    if (offset >= node_->data.size()) return std::size_t{0};
    std::size_t n = std::min<std::size_t>(out.size(), node_->data.size() - offset);
    auto bad = node_->bad.lower_bound(offset / kSector);
    if (n != 0 && bad != node_->bad.end() && *bad <= (offset + n - 1) / kSector) return system_error("read", path_, EIO);
    std::copy_n(node_->data.begin() + static_cast<std::ptrdiff_t>(offset), n, out.begin());
    return n;
  }

  Result<std::size_t> write_some(std::uint64_t offset, std::span<const ByteView> pieces) override {
    std::lock_guard lock(fs_.mutex_);
    Bytes all;
    for (ByteView piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
    int error = step();
    if (error == 0 && !writable_) error = EBADF;
    std::size_t n = all.size();
    if ((fs_.short_writes_ || error != 0) && n > 1) n = 1 + fs_.random_() % (n - 1);
    if (error == EBADF) n = 0;
    if (n > 0) {
      if (node_->data.size() < offset + n) node_->data.resize(offset + n);
      std::copy_n(all.begin(), n, node_->data.begin() + static_cast<std::ptrdiff_t>(offset));
      for (std::uint64_t page = offset / kPage; page <= (offset + n - 1) / kPage; ++page) node_->dirty.insert(page);
    }
    if (error != 0) return system_error("write", path_, error);
    return n;
  }

 private:
  int step() { return life_ != fs_.life_ ? EIO : fs_.step_locked(); }

  FaultFileSystem& fs_;
  NodePtr node_;
  std::string path_;
  bool writable_;
  std::uint64_t life_;
};

class FaultFileSystem::MemoryLock final : public io::FileLock {
 public:
  MemoryLock(FaultFileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)), life_(fs.life_) {}
  ~MemoryLock() override {
    std::lock_guard lock(fs_.mutex_);
    if (life_ == fs_.life_) fs_.locks_.erase(path_);
  }

 private:
  FaultFileSystem& fs_;
  std::string path_;
  std::uint64_t life_;
};

FaultFileSystem::FaultFileSystem(std::uint64_t seed) : random_(seed), root_(std::make_shared<Node>()) {
  root_->kind = io::FileKind::kDirectory;
}
FaultFileSystem::~FaultFileSystem() = default;

void FaultFileSystem::fail_operation(std::uint64_t n, int error_number, bool forever) {
  std::lock_guard lock(mutex_);
  fail_at_ = n == 0 ? 0 : operations_ + n;
  fail_with_ = error_number;
  fail_forever_ = forever;
  failed_ = false;
}

bool FaultFileSystem::failure_happened() const {
  std::lock_guard lock(mutex_);
  return failed_;
}

std::uint64_t FaultFileSystem::operations() const {
  std::lock_guard lock(mutex_);
  return operations_;
}

std::uint64_t FaultFileSystem::syncs() const {
  std::lock_guard lock(mutex_);
  return syncs_;
}

void FaultFileSystem::set_short_writes(bool on) {
  std::lock_guard lock(mutex_);
  short_writes_ = on;
}

void FaultFileSystem::set_free_bytes(std::uint64_t bytes) {
  std::lock_guard lock(mutex_);
  free_bytes_ = bytes;
}

int FaultFileSystem::step_locked() {
  ++operations_;
  if (fail_at_ == 0 || operations_ < fail_at_ || (operations_ > fail_at_ && !fail_forever_)) return 0;
  failed_ = true;
  return fail_with_;
}

FaultFileSystem::NodePtr FaultFileSystem::find_locked(const std::string& path) const {
  NodePtr at = root_;
  for (const std::string& name : split(path)) {
    auto found = at->entries.find(name);
    if (at->kind != io::FileKind::kDirectory || found == at->entries.end()) return nullptr;
    at = found->second;
  }
  return at;
}

Result<std::pair<FaultFileSystem::NodePtr, std::string>> FaultFileSystem::parent_locked(std::string_view tried,
                                                                                        const std::string& path) const {
  auto names = split(path);
  if (names.empty()) return system_error(tried, path, EEXIST);
  std::string parent;
  for (std::size_t i = 0; i + 1 < names.size(); ++i) parent += "/" + names[i];
  NodePtr node = find_locked(parent);
  if (!node) return system_error(tried, path, ENOENT);
  if (node->kind != io::FileKind::kDirectory) return system_error(tried, path, ENOTDIR);
  return std::pair(node, names.back());
}

Result<std::unique_ptr<io::File>> FaultFileSystem::open(const std::string& path, io::OpenMode mode) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("open", path, error);
  NodePtr node = find_locked(path);
  if (mode == io::OpenMode::kCreateExclusive) {
    if (node) return system_error("create", path, EEXIST);
    STELE_TRY(auto parent, parent_locked("create", path));
    node = std::make_shared<Node>();
    parent.first->entries[parent.second] = node;
  }
  if (!node) return system_error("open", path, ENOENT);
  if (node->kind != io::FileKind::kFile) return system_error("open", path, EISDIR);
  return std::unique_ptr<io::File>(std::make_unique<MemoryFile>(*this, node, path, mode != io::OpenMode::kRead));
}

Status FaultFileSystem::make_directory(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("make directory", path, error);
  if (find_locked(path)) return system_error("make directory", path, EEXIST);
  STELE_TRY(auto parent, parent_locked("make directory", path));
  auto node = std::make_shared<Node>();
  node->kind = io::FileKind::kDirectory;
  parent.first->entries[parent.second] = node;
  return {};
}

Result<std::vector<io::DirectoryEntry>> FaultFileSystem::list_directory(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("list directory", path, error);
  NodePtr node = find_locked(path);
  if (!node) return system_error("list directory", path, ENOENT);
  if (node->kind != io::FileKind::kDirectory) return system_error("list directory", path, ENOTDIR);
  std::vector<io::DirectoryEntry> out;
  for (const auto& [name, entry] : node->entries) out.push_back({name, entry->kind});
  std::shuffle(out.begin(), out.end(), random_);  // nobody may rely on an order
  return out;
}

Status FaultFileSystem::rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("rename", from, error);
  NodePtr node = find_locked(from);
  if (!node) return system_error("rename", from, ENOENT);
  STELE_TRY(auto source, parent_locked("rename", from));
  STELE_TRY(auto target, parent_locked("rename", to));
  source.first->entries.erase(source.second);
  target.first->entries[target.second] = node;
  return {};
}

Status FaultFileSystem::link(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("link", to, error);
  NodePtr node = find_locked(from);
  if (!node) return system_error("link", from, ENOENT);
  if (find_locked(to)) return system_error("link", to, EEXIST);
  STELE_TRY(auto target, parent_locked("link", to));
  target.first->entries[target.second] = node;
  return {};
}

Status FaultFileSystem::unlink(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("remove", path, error);
  NodePtr node = find_locked(path);
  if (!node) return system_error("remove", path, ENOENT);
  if (node->kind != io::FileKind::kFile) return system_error("remove", path, EISDIR);
  STELE_TRY(auto parent, parent_locked("remove", path));
  parent.first->entries.erase(parent.second);
  return {};
}

Status FaultFileSystem::remove_directory(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("remove directory", path, error);
  NodePtr node = find_locked(path);
  if (!node) return system_error("remove directory", path, ENOENT);
  if (node->kind != io::FileKind::kDirectory) return system_error("remove directory", path, ENOTDIR);
  if (!node->entries.empty()) return system_error("remove directory", path, ENOTEMPTY);
  STELE_TRY(auto parent, parent_locked("remove directory", path));
  parent.first->entries.erase(parent.second);
  return {};
}

Status FaultFileSystem::sync_directory(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("fsync directory", path, error);
  NodePtr node = find_locked(path);
  if (!node || node->kind != io::FileKind::kDirectory) return system_error("fsync directory", path, ENOENT);
  node->durable_entries = node->entries;
  ++syncs_;
  return {};
}

Result<io::FileInfo> FaultFileSystem::info(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("stat", path, error);
  NodePtr node = find_locked(path);
  if (!node) return system_error("stat", path, ENOENT);
  return io::FileInfo{node->kind, node->data.size()};
}

Result<std::uint64_t> FaultFileSystem::free_bytes(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("statvfs", path, error);
  return free_bytes_;
}

Result<std::unique_ptr<io::FileLock>> FaultFileSystem::try_lock(const std::string& path, std::string_view holder) {
  std::lock_guard lock(mutex_);
  if (int error = step_locked()) return system_error("lock", path, error);
  if (auto held = locks_.find(path); held != locks_.end()) {
    return Error{ErrorCode::kTemporary, "lock " + path + ": held by " + held->second, ""};
  }
  if (!find_locked(path)) {
    STELE_TRY(auto parent, parent_locked("lock", path));
    parent.first->entries[parent.second] = std::make_shared<Node>();
  }
  locks_[path] = std::string(holder);
  return std::unique_ptr<io::FileLock>(std::make_unique<MemoryLock>(*this, path));
}

void FaultFileSystem::crash(Crash how) {
  std::lock_guard lock(mutex_);
  ++life_;
  locks_.clear();
  fail_at_ = 0;
  if (how == Crash::kProcessOnly) return;
  std::set<const Node*> seen;
  crash_node_locked(*root_, how, seen);
}

void FaultFileSystem::crash_node_locked(Node& node, Crash how, std::set<const Node*>& seen) {
  if (!seen.insert(&node).second) return;
  const bool keep_some = how == Crash::kKeepSome;
  if (node.kind == io::FileKind::kFile) {
    if (keep_some) {
      if (node.data.size() > node.durable.size() && coin_locked()) node.durable.resize(node.data.size());
      for (std::uint64_t page : node.dirty) {
        for (std::uint64_t at = page * kPage; at < (page + 1) * kPage; at += kSector) {
          if (coin_locked()) copy_range(node.data, node.durable, at, at + kSector);
        }
      }
    }
    node.data = node.durable;
    node.dirty.clear();
    return;
  }
  if (keep_some) {
    for (const auto& [name, entry] : node.entries) {
      if (coin_locked()) node.durable_entries[name] = entry;
    }
    std::erase_if(node.durable_entries,
                  [&](const auto& item) { return !node.entries.contains(item.first) && coin_locked(); });
  }
  node.entries = node.durable_entries;
  for (const auto& [name, entry] : node.entries) crash_node_locked(*entry, how, seen);
}

bool FaultFileSystem::flip(const std::string& path, std::uint64_t offset, std::uint8_t mask) {
  std::lock_guard lock(mutex_);
  NodePtr node = find_locked(path);
  if (!node || offset >= node->data.size()) return false;
  node->data[offset] ^= mask;
  if (offset < node->durable.size()) node->durable[offset] ^= mask;
  return true;
}

bool FaultFileSystem::set_unreadable(const std::string& path, std::uint64_t offset, bool on) {
  std::lock_guard lock(mutex_);
  NodePtr node = find_locked(path);
  if (!node) return false;
  if (on) node->bad.insert(offset / kSector);
  else node->bad.erase(offset / kSector);
  return true;
}

}  // namespace stele::test
