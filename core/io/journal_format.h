#pragma once

#include <optional>
#include <span>

#include "core/base/bytes.h"

/// The layouts of journal files, byte for byte as JOURNAL.md tells. Pure: bytes in, bytes out.
namespace stele::io {

inline constexpr std::uint16_t kJournalVersion = 1;
inline constexpr std::size_t kJournalHeaderBytes = 80;
/// The file header lies twice in the file: at 0 and at kJournalBlock. Batches start at multiples of kJournalBlock from
/// kJournalDataStart.
inline constexpr std::uint64_t kJournalBlock = 4096;
inline constexpr std::uint64_t kJournalDataStart = 2 * kJournalBlock;
inline constexpr std::size_t kBatchHeaderBytes = 32;
inline constexpr std::size_t kRecordHeaderBytes = 16;
inline constexpr std::size_t kMaxRecordBytes = 2u << 20;  ///< payload of one record
inline constexpr std::size_t kMaxBatchBytes = 16u << 20;  ///< a whole batch with its headers
inline constexpr std::size_t kMaxBatchRecords = 65536;

/// What a file says about itself and about the file that was written before it.
struct JournalFileHeader {
  std::uint64_t sequence = 0;     ///< 0: never used; grows with every use of any file of the journal
  std::uint64_t incarnation = 0;  ///< random, new with every use
  std::uint64_t file_bytes = 0;
  std::uint64_t oldest_file = 0;    ///< the smallest sequence that was not released when this one was taken into use
  std::uint64_t previous_file = 0;  ///< sequence of the file written before; 0: none
  std::uint64_t previous_end = 0;   ///< its synced end: what lies behind was never acknowledged
  bool previous_abandoned = false;  ///< a write or a sync of it failed: it is never used again
  bool operator==(const JournalFileHeader&) const = default;
};

struct BatchHeader {
  std::uint32_t record_count = 0;
  std::uint32_t bytes = 0;  ///< with this header, without padding
  std::uint64_t previous_end =
      0;  ///< the synced end in this file when the batch was written: its existence proves that sync
  bool operator==(const BatchHeader&) const = default;
};

Bytes encode_journal_header(const JournalFileHeader& header);
/// kDamaged when the checksum or a field is wrong, kUnsupported for a version this program does not know.
Result<JournalFileHeader> decode_journal_header(ByteView bytes);

Bytes encode_batch_header(const BatchHeader& header, std::uint64_t incarnation, std::uint64_t offset);
/// Nothing when the bytes are not the header of a batch of this incarnation at this offset.
std::optional<BatchHeader> decode_batch_header(ByteView bytes, std::uint64_t incarnation, std::uint64_t offset);

struct RecordHeader {
  std::uint32_t length = 0;
  std::uint64_t checksum = 0;
};
/// The checksum covers length, payload, incarnation and the record's offset in the file.
Bytes encode_record_header(std::span<const ByteView> pieces, std::uint64_t incarnation, std::uint64_t offset);
std::optional<RecordHeader> decode_record_header(ByteView bytes);
bool record_matches(const RecordHeader& header, ByteView payload, std::uint64_t incarnation, std::uint64_t offset);

inline std::uint64_t align_to_block(std::uint64_t n) {
  return (n + kJournalBlock - 1) / kJournalBlock * kJournalBlock;
}

}  // namespace stele::io
