#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "core/store/object_store.h"

namespace stele::restore {

/// A store with a few more objects that are only in memory: runs made of a journal's frames. `base` must outlive it. Filled before it
/// is shared between threads.
class OverlayReader final : public store::ObjectReader {
 public:
  explicit OverlayReader(store::ObjectReader& base) : base_(base) {}
  void add(std::string name, Bytes bytes) { added_.insert_or_assign(std::move(name), std::move(bytes)); }
  std::size_t added() const { return added_.size(); }

  Result<std::vector<store::ObjectInfo>> list(std::string_view prefix) override;
  Result<Bytes> read(std::string_view name, std::uint64_t offset, std::size_t length) override;
  Result<std::uint64_t> size(std::string_view name) override;

 private:
  store::ObjectReader& base_;
  std::map<std::string, Bytes, std::less<>> added_;
};

/// Several copies of one store: lists everything that any copy has, reads from the first that gives it. A copy that cannot be listed is
/// skipped while another answers, and remembered: what only it has is missing from the list. Thread-safe.
class UnionReader final : public store::ObjectReader {
 public:
  UnionReader() = default;
  explicit UnionReader(std::vector<store::ObjectReader*> copies) : copies_(std::move(copies)) {}
  /// One more, which must outlive this. Not while others use it.
  void add(store::ObjectReader& copy) { copies_.push_back(&copy); }
  Result<std::vector<store::ObjectInfo>> list(std::string_view prefix) override;
  Result<Bytes> read(std::string_view name, std::uint64_t offset, std::size_t length) override;
  Result<std::uint64_t> size(std::string_view name) override;
  /// The copies, by their number, that were skipped by a list since the last call.
  std::map<std::size_t, Error> take_skipped();

 private:
  /// `ask`(copy) until one answers; the copy that answered last is asked first, so that one that went away is waited for only once.
  template <typename T, typename Ask>
  Result<T> first_answer(std::string_view name, const Ask& ask);
  std::vector<store::ObjectReader*> copies_;
  std::atomic<std::size_t> first_{0};
  std::mutex mutex_;
  std::map<std::size_t, Error> skipped_;
};

}  // namespace stele::restore
