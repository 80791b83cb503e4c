#include "core/store/object_store.h"

#include <fmt/format.h>

namespace stele::store {

namespace {

bool component_ok(std::string_view part) {
  if (part.empty() || part.size() > kMaxComponentBytes || part == "." || part == "..") return false;
  for (char c : part) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
          c == '-'))
      return false;
  }
  return true;
}

}  // namespace

Status check_object_name(std::string_view name) {
  bool ok = !name.empty() && name.size() <= kMaxNameBytes;
  for (std::size_t at = 0; ok && at <= name.size();) {
    std::size_t slash = std::min(name.find('/', at), name.size());
    ok = component_ok(name.substr(at, slash - at));
    at = slash + 1;
  }
  if (ok) return {};
  return Error{ErrorCode::kUsage, fmt::format("'{}' is not an object name", name.substr(0, 64)),
               "components of A-Z, a-z, 0-9, '.', '_', '-', joined by '/'"};
}

Result<Bytes> ObjectReader::read_all(std::string_view name, std::size_t limit) {
  STELE_TRY(std::uint64_t length, size(name));
  if (length > limit)
    return Error{ErrorCode::kLimit, fmt::format("read object {}: {} bytes, at most {} expected", name, length, limit),
                 ""};
  return read(name, 0, static_cast<std::size_t>(length));
}

Result<bool> ObjectReader::contains(std::string_view name) {
  auto found = size(name);
  if (found.ok()) return true;
  if (found.error().code == ErrorCode::kNotFound) return false;
  return found.error();
}

}  // namespace stele::store
