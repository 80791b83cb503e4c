#pragma once

#include <string>
#include <vector>

#include "core/base/identity.h"
#include "core/io/file_system.h"
#include "core/protocol/messages.h"

namespace stele::receiver {

/// What a receiver must remember of a database besides its objects: who writes it, and which timeline numbers it gave away. It lies in
/// the store directory (STATE.md), so that a rebuilt catalog does not forget it.
struct Fence {
  Generation highest;                       ///< the highest generation that opened a stream
  protocol::InstanceId instance;            ///< of the agent that did
  std::vector<std::uint32_t> reserved_timelines;

  Bytes encode() const;
  static Result<Fence> decode(ByteView bytes);

  /// kSuperseded when another agent took over: a higher generation, or the same one of another instance.
  Status check(Generation generation, const protocol::InstanceId& instance) const;
  /// A number above `above`, `known` and everything given away before; added to the reserved ones. kLimit after 1,024 of them.
  Result<std::uint32_t> reserve(std::uint32_t above, std::uint32_t known);
};

/// ROOT/state/SITE/DATABASE.state
std::string fence_path(const std::string& store_root, const DatabaseName& database);
/// Nothing there: an empty one. kDamaged stops the program: the highest generation must not be forgotten.
Result<Fence> load_fence(io::FileSystem& fs, const std::string& store_root, const DatabaseName& database);
/// Durable when it returns.
Status save_fence(io::FileSystem& fs, const std::string& store_root, const DatabaseName& database, const Fence& fence);

}  // namespace stele::receiver
