#include "restore/catalog/overlay_reader.h"

#include <fmt/format.h>

#include <utility>

namespace stele::restore {

Result<std::vector<store::ObjectInfo>> OverlayReader::list(std::string_view prefix) {
  STELE_TRY(auto out, base_.list(prefix));
  for (const auto& [name, bytes] : added_) {
    if (name.starts_with(prefix)) out.push_back({name, bytes.size()});
  }
  std::sort(out.begin(), out.end());
  return out;
}

Result<Bytes> OverlayReader::read(std::string_view name, std::uint64_t offset, std::size_t length) {
  auto found = added_.find(name);
  if (found == added_.end()) return base_.read(name, offset, length);
  const Bytes& bytes = found->second;
  if (length > store::kMaxReadBytes) return Error{ErrorCode::kLimit, fmt::format("read {} bytes of {}", length, name), ""};
  if (offset > bytes.size() || length > bytes.size() - offset) return Error{ErrorCode::kDamaged, fmt::format("{}: ends at {} bytes", name, bytes.size()), ""};
  return to_bytes(ByteView(bytes).subspan(offset, length));
}

Result<std::uint64_t> OverlayReader::size(std::string_view name) {
  auto found = added_.find(name);
  if (found == added_.end()) return base_.size(name);
  return std::uint64_t{found->second.size()};
}

Result<std::vector<store::ObjectInfo>> UnionReader::list(std::string_view prefix) {
  std::map<std::string, std::uint64_t> all;
  std::optional<Error> failed;
  bool answered = false;
  for (std::size_t i = 0; i < copies_.size(); ++i) {
    auto listed = copies_[i]->list(prefix);
    if (!listed.ok()) {
      failed = listed.error();
      std::lock_guard lock(mutex_);
      skipped_.emplace(i, listed.error());
      continue;
    }
    answered = true;
    for (const store::ObjectInfo& info : *listed) all.emplace(info.name, info.size);
  }
  if (!answered && failed) return *failed;
  std::vector<store::ObjectInfo> out;
  for (const auto& [name, size] : all) out.push_back({name, size});
  return out;
}

std::map<std::size_t, Error> UnionReader::take_skipped() {
  std::lock_guard lock(mutex_);
  return std::exchange(skipped_, {});
}

template <typename T, typename Ask>
Result<T> UnionReader::first_answer(std::string_view name, const Ask& ask) {
  Error failed{ErrorCode::kNotFound, fmt::format("no object {}", name), ""};
  const std::size_t first = first_.load(std::memory_order_relaxed);
  bool away = false;
  for (std::size_t i = 0; i < copies_.size(); ++i) {
    const std::size_t copy = (first + i) % copies_.size();
    Result<T> answer = ask(*copies_[copy]);
    if (answer.ok()) {
      if (away) first_.store(copy, std::memory_order_relaxed);
      return answer;
    }
    away = away || is_temporary(answer.error().code);
    if (answer.error().code != ErrorCode::kNotFound || failed.code == ErrorCode::kNotFound) failed = answer.error();
  }
  return failed;
}

Result<Bytes> UnionReader::read(std::string_view name, std::uint64_t offset, std::size_t length) {
  return first_answer<Bytes>(name, [&](store::ObjectReader& copy) { return copy.read(name, offset, length); });
}

Result<std::uint64_t> UnionReader::size(std::string_view name) {
  return first_answer<std::uint64_t>(name, [&](store::ObjectReader& copy) { return copy.size(name); });
}

}  // namespace stele::restore
