#include "core/io/journal_format.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <memory>

namespace stele::io {

namespace {

constexpr std::string_view kFileMagic = "STELEJNL";
constexpr std::string_view kBatchMagic = "SJBATCH1";
constexpr std::uint16_t kFlagPreviousAbandoned = 1;

/// XXH3-64 over several parts as if they were one.
class Hash {
 public:
  Hash() : state_(XXH3_createState(), &XXH3_freeState) { XXH3_64bits_reset(state_.get()); }
  void add(ByteView bytes) { XXH3_64bits_update(state_.get(), bytes.data(), bytes.size()); }
  void add(std::uint64_t value) {
    std::uint8_t raw[8];
    for (int i = 0; i < 8; ++i) raw[i] = static_cast<std::uint8_t>(value >> (8 * i));
    add(ByteView(raw));
  }
  std::uint64_t value() const { return XXH3_64bits_digest(state_.get()); }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

std::uint64_t batch_checksum(ByteView fields, std::uint64_t incarnation, std::uint64_t offset) {
  Hash hash;
  hash.add(fields);
  hash.add(incarnation);
  hash.add(offset);
  return hash.value();
}

std::uint64_t record_checksum(std::uint32_t length, std::span<const ByteView> pieces, std::uint64_t incarnation,
                              std::uint64_t offset) {
  Hash hash;
  hash.add(static_cast<std::uint64_t>(length));
  for (ByteView piece : pieces) hash.add(piece);
  hash.add(incarnation);
  hash.add(offset);
  return hash.value();
}

}  // namespace

Bytes encode_journal_header(const JournalFileHeader& header) {
  Bytes out;
  ByteWriter writer(out);
  writer.raw(kFileMagic);
  writer.u16(kJournalVersion);
  writer.u16(header.previous_abandoned ? kFlagPreviousAbandoned : 0);
  writer.u32(static_cast<std::uint32_t>(kJournalBlock));
  writer.u64(header.sequence);
  writer.u64(header.incarnation);
  writer.u64(header.file_bytes);
  writer.u64(header.oldest_file);
  writer.u64(header.previous_file);
  writer.u64(header.previous_end);
  writer.u64(0);  // reserved
  writer.u64(XXH3_64bits(out.data(), out.size()));
  return out;
}

Result<JournalFileHeader> decode_journal_header(ByteView bytes) {
  const auto damaged = [](std::string_view why) {
    return Error{ErrorCode::kDamaged, fmt::format("journal file header: {}", why), ""};
  };
  if (bytes.size() < kJournalHeaderBytes) return damaged("ends early");
  bytes = bytes.first(kJournalHeaderBytes);
  ByteReader reader(bytes);
  if (as_text(reader.raw(kFileMagic.size())) != kFileMagic) return damaged("not a journal file");
  std::uint16_t version = reader.u16();
  std::uint16_t flags = reader.u16();
  std::uint32_t block = reader.u32();
  JournalFileHeader header;
  header.sequence = reader.u64();
  header.incarnation = reader.u64();
  header.file_bytes = reader.u64();
  header.oldest_file = reader.u64();
  header.previous_file = reader.u64();
  header.previous_end = reader.u64();
  std::uint64_t reserved = reader.u64();
  std::uint64_t checksum = reader.u64();
  STELE_CHECK(reader.finish("journal file header"));
  // The checksum first: only an intact header can say that it is of another version.
  if (checksum != XXH3_64bits(bytes.data(), kJournalHeaderBytes - 8)) return damaged("its checksum differs");
  if (version != kJournalVersion) {
    return Error{ErrorCode::kUnsupported, fmt::format("journal file header: version {}", version),
                 "use the program that wrote it, or a newer one"};
  }
  if (block != kJournalBlock || (flags & ~kFlagPreviousAbandoned) != 0 || reserved != 0)
    return damaged("a field has an impossible value");
  if (header.previous_file >= header.sequence && header.sequence != 0)
    return damaged("the file before it is not older");
  header.previous_abandoned = (flags & kFlagPreviousAbandoned) != 0;
  return header;
}

Bytes encode_batch_header(const BatchHeader& header, std::uint64_t incarnation, std::uint64_t offset) {
  Bytes out;
  ByteWriter writer(out);
  writer.raw(kBatchMagic);
  writer.u32(header.record_count);
  writer.u32(header.bytes);
  writer.u64(header.previous_end);
  writer.u64(batch_checksum(out, incarnation, offset));
  return out;
}

std::optional<BatchHeader> decode_batch_header(ByteView bytes, std::uint64_t incarnation, std::uint64_t offset) {
  if (bytes.size() < kBatchHeaderBytes || as_text(bytes.first(kBatchMagic.size())) != kBatchMagic) return std::nullopt;
  ByteReader reader(bytes.subspan(kBatchMagic.size()));
  BatchHeader header;
  header.record_count = reader.u32();
  header.bytes = reader.u32();
  header.previous_end = reader.u64();
  if (reader.u64() != batch_checksum(bytes.first(kBatchHeaderBytes - 8), incarnation, offset)) return std::nullopt;
  if (header.record_count == 0 || header.record_count > kMaxBatchRecords || header.bytes > kMaxBatchBytes ||
      header.bytes < kBatchHeaderBytes + header.record_count * kRecordHeaderBytes || header.previous_end > offset) {
    return std::nullopt;
  }
  return header;
}

Bytes encode_record_header(std::span<const ByteView> pieces, std::uint64_t incarnation, std::uint64_t offset) {
  std::size_t length = 0;
  for (ByteView piece : pieces) length += piece.size();
  Bytes out;
  ByteWriter writer(out);
  writer.u32(static_cast<std::uint32_t>(length));
  writer.u32(0);  // reserved
  writer.u64(record_checksum(static_cast<std::uint32_t>(length), pieces, incarnation, offset));
  return out;
}

std::optional<RecordHeader> decode_record_header(ByteView bytes) {
  ByteReader reader(bytes);
  RecordHeader header;
  header.length = reader.u32();
  std::uint32_t reserved = reader.u32();
  header.checksum = reader.u64();
  if (reader.failed() || reserved != 0 || header.length > kMaxRecordBytes) return std::nullopt;
  return header;
}

bool record_matches(const RecordHeader& header, ByteView payload, std::uint64_t incarnation, std::uint64_t offset) {
  return header.length == payload.size() &&
         header.checksum == record_checksum(header.length, std::span<const ByteView>(&payload, 1), incarnation, offset);
}

}  // namespace stele::io
