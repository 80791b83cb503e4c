#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/identity.h"
#include "core/protocol/messages.h"

namespace stele::agent {

/// A pack or a chunk list on its way.
struct OutgoingObject {
  protocol::MessageType type = protocol::MessageType::kPutPack;  ///< kPutPack or kPutList
  Bytes bytes;
  std::vector<ChunkName> names;  ///< of a pack: after a broken line they tell whether it arrived
};

/// A receiver as the pipeline sees it. The calls block and come from several threads at once; each one deals with
/// broken lines itself and gives an error only when this receiver is of no more use to this snapshot.
class SnapshotTarget {
 public:
  virtual ~SnapshotTarget() = default;
  virtual const std::string& name() const = 0;
  /// One element for each name (at most protocol::kMaxQueryNames): whether the receiver holds that chunk.
  virtual Result<std::vector<bool>> known(const std::vector<ChunkName>& names) = 0;
  /// Returns when the object is durable there.
  virtual Status put(const OutgoingObject& object) = 0;
  /// Makes calls under way and later ones end soon with kCancelled. Any thread.
  virtual void stop() = 0;
};

}  // namespace stele::agent
