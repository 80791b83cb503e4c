#include "agent/snapshot/snapshot_state.h"

#include "core/io/durable_file.h"

namespace stele::agent {
namespace {

constexpr std::string_view kMagic = "STLs";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kMaxBytes = 4096;

std::string path_in(const std::string& directory) {
  return directory + "/snapshot.state";
}

}  // namespace

Bytes SnapshotState::encode() const {
  Bytes out;
  ByteWriter w(out);
  w.raw(kMagic);
  w.u16(kVersion);
  w.u16(0);
  w.raw(stream.view());
  w.raw(snapshot.view());
  w.u64(stop.value);
  w.i64(finished.micros);
  return out;
}

Result<SnapshotState> SnapshotState::decode(ByteView bytes) {
  ByteReader r(bytes);
  if (as_text(r.raw(kMagic.size())) != kMagic) return Error{ErrorCode::kDamaged, "not a snapshot state", ""};
  if (const std::uint16_t version = r.u16(); version != kVersion) {
    return Error{ErrorCode::kUnsupported, "snapshot state of another version", "read this with a newer Stele"};
  }
  r.u16();
  SnapshotState out;
  r.fixed(out.stream);
  r.fixed(out.snapshot);
  out.stop = {r.u64()};
  out.finished = {r.i64()};
  STELE_CHECK(r.finish("snapshot state"));
  return out;
}

Result<std::optional<SnapshotState>> load_snapshot_state(io::FileSystem& fs, const std::string& directory) {
  STELE_TRY(const bool there, fs.exists(path_in(directory)));
  if (!there) return std::optional<SnapshotState>();
  STELE_TRY(const Bytes bytes, io::read_file(fs, path_in(directory), kMaxBytes));
  auto state = SnapshotState::decode(bytes);
  if (!state.ok()) return state.error().in(path_in(directory));
  return std::optional(*state);
}

Status save_snapshot_state(io::FileSystem& fs, const std::string& directory, const SnapshotState& state) {
  return io::write_file_durably(fs, path_in(directory), state.encode(), io::WriteMode::kReplace);
}

}  // namespace stele::agent
