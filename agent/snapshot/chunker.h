#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/snapshot/page_check.h"
#include "core/format/manifest.h"
#include "core/pg/tar.h"

namespace stele::agent {

/// A piece of a file, in the order of the lists.
struct RawChunk {
  Bytes bytes;
  std::optional<PageRun> pages;  ///< set when its pages are to be checked
};

/// Takes what the chunker makes: the chunks of a file, then the file. An error ends the reading.
class ChunkSink {
 public:
  virtual ~ChunkSink() = default;
  virtual Status on_chunk(RawChunk chunk) = 0;
  virtual Status on_file(const format::FileEntry& entry) = 0;
};

struct ChunkerOptions {
  std::size_t chunk_bytes = 256 << 10;  ///< a multiple of a page, at most format::kMaxChunkRaw
  bool check_pages = false;             ///< the cluster has data checksums and pages of 8 KiB
  std::uint32_t segment_blocks = pg::RelationFile::kRelationSegmentBlocks;  ///< pages in one file of a relation
};

/// Cuts files into chunks aligned to their own offsets: a file's chunk i holds its bytes [i * chunk_bytes, ...), the
/// last one is shorter. So a page lies in the same chunk of the next snapshot, whatever happened to other files. Fed by
/// the tar archives of a base backup and by single files. Pure; one thread.
class Chunker final : public pg::TarEvents {
 public:
  Chunker(ChunkerOptions options, ChunkSink& sink) : options_(options), sink_(sink) {}

  /// The archive whose entries follow: 0 is the data directory, else a tablespace's OID.
  void begin_archive(std::uint32_t tablespace) { tablespace_ = tablespace; }
  Status on_entry(const pg::TarEntry& entry) override;
  Status on_data(ByteView bytes) override;
  Status on_end_of_entry() override;

  /// A file that comes from elsewhere (PostgreSQL's backup_manifest, extra files); data and end as for entries. Its
  /// size is what comes.
  Status begin_file(format::FileEntry entry);
  Status data(ByteView bytes) { return on_data(bytes); }
  Status end_file() { return on_end_of_entry(); }

  /// The content of backup_label, once it went by.
  const std::string& backup_label() const { return backup_label_; }
  std::uint64_t raw_bytes() const { return raw_bytes_; }
  std::uint64_t files() const { return files_; }
  /// Entries that cannot be part of a snapshot and were left out, at most kMaxSkipped of them: names that no restore
  /// may create, and links that are not a tablespace's.
  const std::vector<std::string>& skipped() const { return skipped_; }
  static constexpr std::size_t kMaxSkipped = 100;

 private:
  Status cut();
  ChunkerOptions options_;
  ChunkSink& sink_;
  std::uint32_t tablespace_ = 0;
  format::FileEntry entry_;
  std::optional<pg::RelationFile> relation_;
  std::uint64_t expected_ = 0;  ///< size from the archive, to reserve memory
  bool ignoring_ = false, is_label_ = false, in_file_ = false;
  Bytes pending_;
  std::string backup_label_;
  std::uint64_t raw_bytes_ = 0, files_ = 0;
  std::vector<std::string> skipped_;
};

}  // namespace stele::agent
