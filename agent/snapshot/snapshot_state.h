#pragma once

#include <optional>
#include <string>

#include "core/base/identity.h"
#include "core/base/time.h"
#include "core/io/file_system.h"

namespace stele::agent {

/// The last snapshot that was committed: DIRECTORY/snapshot.state. Losing it costs one snapshot too many, nothing else.
struct SnapshotState {
  StreamId stream;
  SnapshotId snapshot;
  Position stop;
  Timestamp finished;
  auto operator<=>(const SnapshotState&) const = default;

  /// Layout, little-endian: "STLs", u16 version 1, u16 0, stream, snapshot, u64 stop, i64 finished.
  Bytes encode() const;
  static Result<SnapshotState> decode(ByteView bytes);
};

/// Nothing where there is no file.
Result<std::optional<SnapshotState>> load_snapshot_state(io::FileSystem& fs, const std::string& directory);
Status save_snapshot_state(io::FileSystem& fs, const std::string& directory, const SnapshotState& state);

}  // namespace stele::agent
