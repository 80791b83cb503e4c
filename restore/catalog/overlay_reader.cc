#include "restore/catalog/overlay_reader.h"

#include <fmt/format.h>

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
  for (store::ObjectReader* copy : copies_) {
    auto listed = copy->list(prefix);
    if (!listed.ok()) {
      failed = listed.error();
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

Result<Bytes> UnionReader::read(std::string_view name, std::uint64_t offset, std::size_t length) {
  Error failed{ErrorCode::kNotFound, fmt::format("no object {}", name), ""};
  for (store::ObjectReader* copy : copies_) {
    auto bytes = copy->read(name, offset, length);
    if (bytes.ok()) return bytes;
    if (bytes.error().code != ErrorCode::kNotFound || failed.code == ErrorCode::kNotFound) failed = bytes.error();
  }
  return failed;
}

Result<std::uint64_t> UnionReader::size(std::string_view name) {
  Error failed{ErrorCode::kNotFound, fmt::format("no object {}", name), ""};
  for (store::ObjectReader* copy : copies_) {
    auto size = copy->size(name);
    if (size.ok()) return size;
    if (size.error().code != ErrorCode::kNotFound || failed.code == ErrorCode::kNotFound) failed = size.error();
  }
  return failed;
}

}  // namespace stele::restore
