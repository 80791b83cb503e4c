#include "core/format/index_block.h"

namespace stele::format {

namespace {
constexpr std::uint16_t kVersion = 1;
constexpr std::uint16_t kFrameFacts = 1, kRestorePoint = 2;
constexpr std::size_t kMaxEntries = 1 << 16, kMaxRestorePointName = 64;

Bytes entry_of(const FrameFacts& f) {
  Bytes out;
  ByteWriter w(out);
  w.u32(f.frame);
  w.u64(f.range.begin.value);
  w.u64(f.range.end.value);
  w.i64(f.min_commit.micros);
  w.i64(f.max_commit.micros);
  w.u32(f.min_xid);
  w.u32(f.max_xid);
  w.u32(f.commits);
  w.u32(f.aborts);
  w.u32(f.block_references);
  return out;
}

Bytes entry_of(const RestorePointFact& p) {
  Bytes out;
  ByteWriter w(out);
  w.u64(p.end.value);
  w.i64(p.time.micros);
  w.str16(p.name);
  return out;
}

void put(ByteWriter& w, std::uint16_t type, const Bytes& entry) {
  w.u16(type);
  w.blob32(entry);
}

}  // namespace

Bytes IndexBlock::encode() const {
  Bytes out;
  ByteWriter w(out);
  w.u16(kVersion);
  w.u32(static_cast<std::uint32_t>(frames.size() + restore_points.size()));
  for (const FrameFacts& f : frames) put(w, kFrameFacts, entry_of(f));
  for (const RestorePointFact& p : restore_points) put(w, kRestorePoint, entry_of(p));
  return out;
}

Result<IndexBlock> IndexBlock::decode(ByteView bytes) {
  ByteReader r(bytes);
  if (const std::uint16_t version = r.u16(); version != kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("index block of version {}", version), "read this with a newer Stele"};
  }
  const std::size_t count = r.u32();
  if (count > kMaxEntries) return Error{ErrorCode::kDamaged, "index block: too many entries", ""};
  IndexBlock out;
  for (std::size_t i = 0; i < count && !r.failed(); ++i) {
    const std::uint16_t type = r.u16();
    ByteReader e(r.blob32());
    if (type == kFrameFacts) {
      FrameFacts f;
      f.frame = e.u32();
      f.range = {{e.u64()}, {e.u64()}};
      f.min_commit = {e.i64()};
      f.max_commit = {e.i64()};
      f.min_xid = e.u32();
      f.max_xid = e.u32();
      f.commits = e.u32();
      f.aborts = e.u32();
      f.block_references = e.u32();
      STELE_CHECK(e.finish("index block entry"));
      out.frames.push_back(f);
    } else if (type == kRestorePoint) {
      RestorePointFact p;
      p.end = {e.u64()};
      p.time = {e.i64()};
      p.name = e.str16();
      if (p.name.size() > kMaxRestorePointName) return Error{ErrorCode::kDamaged, "index block: a restore point's name is too long", ""};
      STELE_CHECK(e.finish("index block entry"));
      out.restore_points.push_back(std::move(p));
    }
  }
  STELE_CHECK(r.finish("index block"));
  return out;
}

}  // namespace stele::format
