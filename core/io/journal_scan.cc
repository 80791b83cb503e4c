#include "core/io/journal_scan.h"

#include <fmt/format.h>

#include <charconv>

namespace stele::io {

namespace {

constexpr std::string_view kSuffix = ".journal";
constexpr std::size_t kNumberDigits = 8;

std::optional<std::uint64_t> number_of(std::string_view name) {
  if (name.size() != kNumberDigits + kSuffix.size() || !name.ends_with(kSuffix)) return std::nullopt;
  std::uint64_t number = 0;
  auto [end, ec] = std::from_chars(name.data(), name.data() + kNumberDigits, number, 16);
  if (ec != std::errc() || end != name.data() + kNumberDigits) return std::nullopt;
  return number;
}

/// What the disk does not give now it may give when it is asked again; after some tries the bytes count as lost.
Result<std::size_t> read_patiently(File& file, std::uint64_t offset, MutableByteView out) {
  constexpr int kReads = 3;
  auto n = file.read_at(offset, out);
  for (int i = 1; i < kReads && !n.ok() && n.error().code == ErrorCode::kIo; ++i) n = file.read_at(offset, out);
  return n;
}

/// The same for bytes that may be missing: `lost` is set when the disk does not give them, and nothing was read.
Result<std::size_t> read_or_lose(File& file, std::uint64_t offset, MutableByteView out, bool& lost) {
  auto n = read_patiently(file, offset, out);
  if (n.ok() || n.error().code != ErrorCode::kIo) return n;
  lost = true;
  return std::size_t{0};
}

/// Takes the files out of `all` (in sequence order) that the newest one leads to.
void build_chain(std::vector<JournalFile> all, const std::string& directory, JournalDirectory& out) {
  std::map<std::uint64_t, JournalFile*> by_sequence;
  for (JournalFile& file : all) {
    if (file.header.sequence != 0) by_sequence[file.header.sequence] = &file;
  }
  std::vector<JournalFile*> chain;
  if (!by_sequence.empty()) {
    JournalFile* at = by_sequence.rbegin()->second;
    const std::uint64_t oldest = at->header.oldest_file;
    chain.push_back(at);
    while (at->header.previous_file != 0 && at->header.previous_file >= oldest) {
      const JournalFileHeader& newer = at->header;
      auto found = by_sequence.upper_bound(newer.previous_file);  // the first behind it; the one before is what we want
      JournalFile* previous = found == by_sequence.begin() ? nullptr : std::prev(found)->second;
      if (previous == nullptr || previous->header.sequence != newer.previous_file) {
        if (newer.previous_end > kJournalDataStart) {
          out.missing.push_back({directory, newer.previous_file, kJournalDataStart, newer.previous_end,
                                 "the file, and what lay between it and the one found before it, is missing or its "
                                 "header is unreadable"});
        }
        if (previous == nullptr || previous->header.sequence < oldest) break;
      } else {
        previous->synced_end = newer.previous_end;
        previous->abandoned = newer.previous_abandoned;
      }
      chain.push_back(previous);
      at = previous;
    }
  }
  std::reverse(chain.begin(), chain.end());
  std::reverse(out.missing.begin(), out.missing.end());
  std::set<const JournalFile*> chained(chain.begin(), chain.end());
  for (JournalFile* file : chain) out.chain.push_back(std::move(*file));
  for (JournalFile& file : all) {
    if (!chained.contains(&file)) out.others.push_back(std::move(file));
  }
}

/// Checks a batch's records; returns how many bytes of the batch are intact (all of them, or up to the first bad
/// record).
std::size_t check_records(ScannedBatch& batch, const BatchHeader& header, std::uint64_t incarnation) {
  std::size_t at = kBatchHeaderBytes;
  ByteView bytes = batch.bytes;
  for (std::uint32_t i = 0; i < header.record_count; ++i) {
    auto record = decode_record_header(bytes.subspan(at, std::min(kRecordHeaderBytes, bytes.size() - at)));
    if (!record || record->length > bytes.size() - at - kRecordHeaderBytes) return at;
    ByteView payload = bytes.subspan(at + kRecordHeaderBytes, record->length);
    if (!record_matches(*record, payload, incarnation, batch.offset + at)) return at;
    batch.records.push_back({batch.offset + at, payload});
    at += kRecordHeaderBytes + record->length;
  }
  return at;
}

/// The end of the last batch of this incarnation behind `from`. Only to tell damage from a torn tail: what it finds is
/// never recovered.
Result<std::optional<std::uint64_t>> find_later_batch(const JournalFile& file, std::uint64_t from) {
  std::optional<std::uint64_t> end;
  Bytes buffer(1u << 20);
  while (from + kBatchHeaderBytes <= file.size) {
    bool lost = false;
    STELE_TRY(std::size_t n, read_or_lose(*file.file, from, buffer, lost));
    // Whether a batch lies there nobody can tell.
    if (lost) return std::optional<std::uint64_t>(file.size);
    if (n < kBatchHeaderBytes) break;
    for (std::size_t at = 0; at + kBatchHeaderBytes <= n; at += kJournalBlock) {
      auto header =
          decode_batch_header(ByteView(buffer).subspan(at, kBatchHeaderBytes), file.header.incarnation, from + at);
      if (header) end = from + at + header->bytes;
    }
    from += buffer.size();
  }
  return end;
}

}  // namespace

std::string journal_file_name(std::uint64_t number) {
  return fmt::format("{:08x}{}", number, kSuffix);
}

Result<JournalFileHeader> read_journal_header(File& file) {
  std::optional<JournalFileHeader> best;
  Error failure{ErrorCode::kDamaged, "journal file header: both copies are unreadable", ""};
  for (std::uint64_t offset : {std::uint64_t{0}, kJournalBlock}) {
    Bytes bytes(kJournalHeaderBytes);
    auto n = read_patiently(file, offset, bytes);
    if (!n.ok()) {
      // One copy is enough. Without any, nobody knows what the file is: to go on without it could mean to write behind its end.
      if (n.error().code != ErrorCode::kIo || (offset != 0 && !best)) return n.error();
      continue;
    }
    auto header = decode_journal_header(ByteView(bytes).first(*n));
    if (!header.ok()) {
      if (header.error().code == ErrorCode::kUnsupported) return header.error().in(file.path());
      failure = header.error();
    } else if (!best || header->sequence > best->sequence) {
      best = *header;
    }
  }
  if (!best) return failure.in(file.path());
  return *best;
}

Result<JournalDirectory> scan_directory(FileSystem& fs, const std::string& directory, OpenMode mode) {
  STELE_TRY(std::vector<DirectoryEntry> entries, fs.list_directory(directory));
  JournalDirectory out;
  std::vector<JournalFile> files;
  for (const DirectoryEntry& entry : entries) {
    std::string path = directory + "/" + entry.name;
    if (entry.name.ends_with(kUnfinishedSuffix)) {
      out.unfinished.push_back(std::move(path));
      continue;
    }
    auto number = number_of(entry.name);
    if (!number) continue;
    out.highest_name = std::max(out.highest_name, *number);
    auto opened = fs.open(path, mode);
    if (!opened.ok() && opened.error().code == ErrorCode::kNotFound) continue;  // removed by the writer since
    if (!opened.ok()) return opened.error();
    JournalFile file;
    file.path = std::move(path);
    file.file = std::move(opened).value();
    STELE_TRY(file.size, file.file->size());
    auto header = read_journal_header(*file.file);
    if (header.ok()) {
      file.header = *header;
      files.push_back(std::move(file));
    } else if (header.error().code == ErrorCode::kDamaged) {
      out.unreadable.push_back({file.path, file.size, header.error().what});
    } else {
      return header.error();
    }
  }
  std::sort(out.unreadable.begin(), out.unreadable.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  build_chain(std::move(files), directory, out);
  return out;
}

Result<FileScan> scan_file(const JournalFile& file, const std::function<Status(ScannedBatch)>& on_batch) {
  FileScan out;
  const std::uint64_t incarnation = file.header.incarnation;
  bool second_look = false;
  while (!file.synced_end || out.end < *file.synced_end) {
    const std::uint64_t offset = align_to_block(out.end);
    Bytes head(kBatchHeaderBytes);
    STELE_TRY(std::size_t n, read_or_lose(*file.file, offset, head, out.unreadable));
    auto header = decode_batch_header(ByteView(head).first(n), incarnation, offset);
    ScannedBatch batch;
    batch.offset = offset;
    bool complete = false;
    if (header && header->previous_end == out.end && offset + header->bytes <= file.size) {
      batch.bytes.resize(header->bytes);
      STELE_TRY(std::size_t got, read_or_lose(*file.file, offset, batch.bytes, out.unreadable));
      batch.bytes.resize(got);
      complete = got == header->bytes && check_records(batch, *header, incarnation) == header->bytes;
    }
    if (complete) {
      out.end = offset + header->bytes;
      STELE_CHECK(on_batch(std::move(batch)));
      second_look = false;
      continue;
    }

    std::optional<std::uint64_t> lost_end = file.synced_end;
    if (!lost_end && out.unreadable) lost_end = file.size;
    if (!lost_end) {
      STELE_TRY(lost_end, find_later_batch(file, offset + kJournalBlock));
      // A running writer may have finished this batch and the next since we looked; then it is readable now.
      if (lost_end && !second_look) {
        second_look = true;
        continue;
      }
    }
    if (!lost_end) {
      out.torn = header.has_value();
      return out;
    }
    std::uint64_t from = offset;
    if (!batch.records.empty()) {
      const ScannedRecord& last = batch.records.back();
      from = last.offset + kRecordHeaderBytes + last.payload.size();
      STELE_CHECK(on_batch(std::move(batch)));
    }
    out.damage = JournalDamage{file.path, file.header.sequence, from, *lost_end,
                               out.unreadable ? "the disk does not give what lies there"
                                              : "a record that was acknowledged does not match its checksum"};
    out.end = *lost_end;
    return out;
  }
  return out;
}

}  // namespace stele::io
