#include "core/format/extension.h"

#include <fmt/format.h>

#include <optional>

namespace stele::format {

void write_extensions(ByteWriter& out, std::span<const Extension> extensions) {
  std::size_t total = 0;
  for (const Extension& e : extensions) total += 4 + e.bytes.size();
  out.u16(static_cast<std::uint16_t>(total));
  for (const Extension& e : extensions) {
    out.u16(e.type);
    out.u16(static_cast<std::uint16_t>(e.bytes.size()));
    out.raw(e.bytes);
  }
}

Status read_extensions(ByteReader& in, const std::function<bool(const Extension&)>& known) {
  ByteReader area(in.raw(in.u16()));
  if (in.failed()) return Error{ErrorCode::kDamaged, "extensions: end early", ""};
  std::optional<std::uint16_t> before;
  while (area.remaining() > 0) {
    Extension e;
    e.type = area.u16();
    e.bytes = area.raw(area.u16());
    if (area.failed()) return Error{ErrorCode::kDamaged, "extension: ends early", ""};
    if (before && *before >= e.type) return Error{ErrorCode::kDamaged, "extensions: not in the order of their types", ""};
    before = e.type;
    if (!known(e) && (e.type & kCriticalExtension) != 0) {
      return Error{ErrorCode::kUnsupported, fmt::format("critical extension {} is not known to this version", e.type & 0x7fff),
                   "read this with a newer Stele"};
    }
  }
  return {};
}

}  // namespace stele::format
