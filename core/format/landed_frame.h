#pragma once

#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::format {

/// One record of a receiver's journal: a frame that landed and was acknowledged, not yet part of a run (LANDED.md).
struct LandedFrame {
  Timestamp received;    ///< the receiver's clock when it came
  DatabaseName database;
  ByteView frame;        ///< encoded frame; a view into the record (when read) or the caller's bytes
};

/// What stands before the frame's bytes, so that a frame need not be copied to be written.
Bytes encode_landed_head(Timestamp received, const DatabaseName& database);
/// kDamaged, kUnsupported for a record of another type. The frame itself is not looked at.
Result<LandedFrame> parse_landed_frame(ByteView record);

}  // namespace stele::format
