#include "receiver/catalog/rocks.h"

#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/iterator.h>
#include <rocksdb/merge_operator.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <filesystem>
#include <fstream>

namespace stele::receiver {

namespace {

/// Appends operands: a chunk name's value is the list of places where it lies.
class AppendOperator final : public rocksdb::AssociativeMergeOperator {
 public:
  bool Merge(const rocksdb::Slice&, const rocksdb::Slice* existing, const rocksdb::Slice& value, std::string* out, rocksdb::Logger*) const override {
    if (existing != nullptr) out->assign(existing->data(), existing->size());
    out->append(value.data(), value.size());
    return true;
  }
  const char* Name() const override { return "stele.append"; }
};

Error catalog_error(std::string_view tried, std::string_view cause) {
  return Error{ErrorCode::kIo, fmt::format("catalog: {}: {}", tried, cause), "the catalog is a copy: `stele-receiver reindex` makes it anew from the store"};
}

/// RocksDB may throw on allocation failures and from its C++ runtime; nothing leaves here.
template <typename F>
auto guarded(std::string_view tried, F f) -> decltype(f()) {
  try {
    return f();
  } catch (const std::exception& e) {
    return catalog_error(tried, e.what());
  }
}

class RocksKeyValues final : public KeyValues {
 public:
  explicit RocksKeyValues(rocksdb::DB* db) : db_(db) {}
  ~RocksKeyValues() override {
    try {
      db_->Close();
    } catch (...) {
      // The catalog is a copy: what it lost is found again at the next start.
    }
  }

  Status write(const std::vector<Change>& changes) override {
    return guarded("write", [&]() -> Status {
      rocksdb::WriteBatch batch;
      for (const Change& change : changes) {
        rocksdb::Status s;
        switch (change.kind) {
          case Change::Kind::kPut: s = batch.Put(change.key, change.value); break;
          case Change::Kind::kAppend: s = batch.Merge(change.key, change.value); break;
          case Change::Kind::kRemove: s = batch.Delete(change.key); break;
        }
        if (!s.ok()) return catalog_error("write", s.ToString());
      }
      const rocksdb::Status s = db_->Write(rocksdb::WriteOptions(), &batch);
      if (!s.ok()) return catalog_error("write", s.ToString());
      return {};
    });
  }

  Result<std::vector<std::optional<std::string>>> get(const std::vector<std::string>& keys) override {
    return guarded("look up", [&]() -> Result<std::vector<std::optional<std::string>>> {
      std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
      std::vector<std::string> values;
      const std::vector<rocksdb::Status> states = db_->MultiGet(rocksdb::ReadOptions(), slices, &values);
      std::vector<std::optional<std::string>> out(keys.size());
      for (std::size_t i = 0; i < keys.size(); ++i) {
        if (states[i].ok()) {
          out[i] = std::move(values[i]);
        } else if (!states[i].IsNotFound()) {
          return catalog_error("look up", states[i].ToString());
        }
      }
      return out;
    });
  }

  Status scan(std::string_view prefix, std::string_view after, const std::function<bool(std::string_view, std::string_view)>& visit) override {
    return guarded("list", [&]() -> Status {
      std::unique_ptr<rocksdb::Iterator> it(db_->NewIterator(rocksdb::ReadOptions()));
      it->Seek(after > prefix ? after : prefix);
      if (it->Valid() && it->key().ToStringView() == after) it->Next();
      for (; it->Valid() && it->key().starts_with(prefix); it->Next()) {
        if (!visit(it->key().ToStringView(), it->value().ToStringView())) return {};
      }
      if (!it->status().ok()) return catalog_error("list", it->status().ToString());
      return {};
    });
  }

 private:
  std::unique_ptr<rocksdb::DB> db_;
};

Result<std::unique_ptr<KeyValues>> open_once(const std::string& directory) {
  return guarded("open", [&]() -> Result<std::unique_ptr<KeyValues>> {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.merge_operator = std::make_shared<AppendOperator>();
    options.max_open_files = 256;
    options.keep_log_file_num = 2;
    options.max_log_file_size = 4 << 20;
    options.write_buffer_size = 32 << 20;
    options.max_write_buffer_number = 2;
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    table.block_cache = rocksdb::NewLRUCache(64 << 20);
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* db = nullptr;
    const rocksdb::Status s = rocksdb::DB::Open(options, directory, &db);
    if (!s.ok()) return catalog_error("open " + directory, s.ToString());
    return std::unique_ptr<KeyValues>(std::make_unique<RocksKeyValues>(db));
  });
}

}  // namespace

Result<std::string> set_rocks_aside(const std::string& directory) {
  std::error_code ec;
  if (!std::filesystem::exists(directory, ec)) return std::string();
  for (int n = 1; n < 1000; ++n) {
    const std::string to = fmt::format("{}.broken-{}", directory, n);
    if (std::filesystem::exists(to, ec)) continue;
    std::filesystem::rename(directory, to, ec);
    if (ec) return catalog_error("set aside " + directory, ec.message());
    return to;
  }
  return catalog_error("set aside " + directory, "999 old ones are there already");
}

Result<RocksOpened> open_rocks(const std::string& directory) {
  namespace fs = std::filesystem;
  std::error_code ec;
  if (const fs::path parent = fs::path(directory).parent_path(); !parent.empty()) fs::create_directories(parent, ec);
  RocksOpened out;
  out.fresh = !fs::exists(directory, ec);
  const std::string marker = directory + ".opening";
  const bool died_opening = fs::exists(marker, ec);
  if (died_opening && !out.fresh) {
    out.reason = "the program ended while it was being opened";
    STELE_TRY(out.set_aside, set_rocks_aside(directory));
  }
  std::ofstream(marker).put('\n');
  auto opened = open_once(directory);
  if (!opened.ok() && out.set_aside.empty() && !out.fresh) {
    out.reason = opened.error().what;
    STELE_TRY(out.set_aside, set_rocks_aside(directory));
    opened = open_once(directory);
  }
  fs::remove(marker, ec);
  STELE_TRY(out.values, std::move(opened));
  if (!out.set_aside.empty()) out.fresh = true;
  return out;
}

}  // namespace stele::receiver
