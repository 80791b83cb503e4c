#pragma once

#include <functional>

#include "core/base/bytes.h"

namespace stele::format {

/// Typed extensions: u16 total size, then { u16 type, u16 size, bytes } in ascending order of their types, each type once. The highest bit of the type marks an extension that a
/// reader must understand; a reader skips unknown ones without it and refuses unknown ones with it (kUnsupported).
inline constexpr std::uint16_t kCriticalExtension = 0x8000;

struct Extension {
  std::uint16_t type;
  ByteView bytes;
};

/// The caller gives them in ascending order.
void write_extensions(ByteWriter& out, std::span<const Extension> extensions);

/// Calls `known` for each; it returns false for a type that it does not know. kDamaged, kUnsupported.
Status read_extensions(ByteReader& in, const std::function<bool(const Extension&)>& known);

}  // namespace stele::format
