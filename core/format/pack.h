#pragma once

#include <optional>
#include <vector>

#include "core/format/record.h"

namespace stele::format {

/// The clear header of one sealed chunk. It travels with the chunk into any pack: FORMATS.md section 7.
struct ChunkHeader {
  crypto::SuiteId suite = crypto::SuiteId::kAes256GcmSha256;
  bool compressed = false;
  ChunkName name;
  StreamId stream;
  EpochId epoch;
  ObjectId object;            ///< the pack it was first sealed for: names its key
  std::uint32_t counter = 0;  ///< the AEAD counter under that key
  std::uint32_t raw_size = 0;
  std::uint32_t payload_size = 0;
  Digest check;  ///< hash of the header before it and the payload: rot is seen without keys, wherever the chunk lies
};

inline constexpr std::uint32_t kMaxChunkRaw = 4 << 20;
inline constexpr std::size_t kChunkHeaderSize = 184;
inline constexpr std::size_t kMaxPackBytes = 20 << 20;
inline constexpr std::size_t kMaxPackChunks = 65536;

/// The header up to its hash, for sealing: the AEAD's associated data. A reader takes the stored bytes instead (ChunkView).
Bytes chunk_associated_data(const ChunkHeader& header);
/// Header and payload as stored, appended to `out`; fills in `header.check`.
void encode_chunk(ChunkHeader& header, ByteView payload, Bytes& out);

struct ChunkView {
  ChunkHeader header;
  ByteView payload;     ///< into the bytes that were parsed
  ByteView stored;      ///< header and payload
  ByteView associated_data() const { return stored.first(kChunkHeaderSize - Digest::kSize); }
};

/// One chunk at the front of `bytes`; checks its hash.
Result<ChunkView> parse_chunk(ByteView bytes);

/// Where a chunk lies in a pack.
struct PackEntry {
  ChunkName name;
  std::uint32_t offset = 0;  ///< of the chunk header, from the start of the pack
  std::uint32_t size = 0;    ///< header and payload
};

struct PackHead {
  crypto::SuiteId suite = crypto::SuiteId::kAes256GcmSha256;
  StreamId stream;
  Generation generation;
  EpochId epoch;
  ObjectId pack;
  Bytes epoch_record;
  std::vector<PackEntry> entries;
};

/// Puts sealed chunks together. `chunks` are header and payload each, in the order of `head.entries` (offsets are filled here).
Result<Bytes> encode_pack(PackHead head, const std::vector<Bytes>& chunks, const crypto::SigningKey& agent);

/// Only the head and its index, from the front of a pack of `total` bytes; nothing where `front` is too short to hold them. Checks that the
/// entries follow one another inside the pack; verifies nothing (restore authenticates each chunk by itself).
Result<std::optional<PackHead>> parse_pack_head(ByteView front, std::uint64_t total);

/// Checks layout, signature (where a key is given) and that the entries lie inside; the chunks' hashes only with check_chunks.
Result<PackHead> parse_pack(ByteView bytes, const crypto::VerifyKey* key, bool check_chunks);

}  // namespace stele::format
