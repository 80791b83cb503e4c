#include "receiver/ingest/fence.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/crypto/hash.h"
#include "core/io/durable_file.h"

namespace stele::receiver {

namespace {
constexpr std::string_view kMagic = "STLs";
constexpr std::uint16_t kVersion = 1;
constexpr std::size_t kMaxReserved = 1024, kMaxBytes = 16 << 10;
}  // namespace

Bytes Fence::encode() const {
  Bytes out;
  ByteWriter w(out);
  w.raw(kMagic);
  w.u16(kVersion);
  w.u64(highest.value);
  w.raw(instance.view());
  w.u16(static_cast<std::uint16_t>(reserved_timelines.size()));
  for (std::uint32_t timeline : reserved_timelines) w.u32(timeline);
  w.raw(crypto::hash(crypto::default_suite(), out).view());
  return out;
}

Result<Fence> Fence::decode(ByteView bytes) {
  ByteReader r(bytes);
  if (as_text(r.raw(kMagic.size())) != kMagic) return Error{ErrorCode::kDamaged, "not a receiver's state of a database", ""};
  if (const std::uint16_t version = r.u16(); version != kVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("state of version {}", version), "read this with a newer Stele"};
  }
  Fence out;
  out.highest = {r.u64()};
  r.fixed(out.instance);
  const std::size_t count = r.u16();
  for (std::size_t i = 0; i < count && !r.failed(); ++i) out.reserved_timelines.push_back(r.u32());
  const std::size_t hashed = r.position();
  Digest digest;
  r.fixed(digest);
  STELE_CHECK(r.finish("state of a database"));
  if (crypto::hash(crypto::default_suite(), bytes.first(hashed)) != digest) return Error{ErrorCode::kDamaged, "state of a database: differs from its hash", ""};
  return out;
}

Status Fence::check(Generation generation, const protocol::InstanceId& who) const {
  if (generation > highest || (generation == highest && who == instance)) return {};
  return Error{ErrorCode::kSuperseded, fmt::format("generation {}: another agent took over with {}", generation.value, highest.value),
               "only one agent may write a database; if this one is to go on, restart it"};
}

Result<std::uint32_t> Fence::reserve(std::uint32_t above, std::uint32_t known) {
  std::uint32_t highest_number = std::max(above, known);
  for (std::uint32_t timeline : reserved_timelines) highest_number = std::max(highest_number, timeline);
  if (reserved_timelines.size() >= kMaxReserved || highest_number == UINT32_MAX) {
    return Error{ErrorCode::kLimit, "reserve a timeline: too many are given away", ""};
  }
  reserved_timelines.push_back(highest_number + 1);
  return highest_number + 1;
}

std::string fence_path(const std::string& root, const DatabaseName& database) {
  return fmt::format("{}/state/{}/{}.state", root, database.site, database.database);
}

Result<Fence> load_fence(io::FileSystem& fs, const std::string& root, const DatabaseName& database) {
  auto bytes = io::read_file(fs, fence_path(root, database), kMaxBytes);
  if (!bytes.ok()) {
    if (bytes.error().code == ErrorCode::kNotFound) return Fence{};
    return bytes.error();
  }
  auto fence = Fence::decode(*bytes);
  if (!fence.ok()) {
    return fence.error().in(fence_path(root, database)).with_hint("it holds the highest generation: restore the file, or remove it when no other agent can be running");
  }
  return fence;
}

Status save_fence(io::FileSystem& fs, const std::string& root, const DatabaseName& database, const Fence& fence) {
  const std::string path = fence_path(root, database);
  STELE_CHECK(io::make_directories_durably(fs, io::parent_directory(path)));
  return io::write_file_durably(fs, path, fence.encode(), io::WriteMode::kReplace);
}

}  // namespace stele::receiver
