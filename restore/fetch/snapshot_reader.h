#pragma once

#include "restore/fetch/chunk_fetcher.h"

namespace stele::restore {

/// Opens a snapshot: its manifest, its lists and its file table, all verified. `chunks` counts of the files and the sizes agree.
class SnapshotReader {
 public:
  /// All must outlive the reader. Errors: kDamaged, kForged, kKeyMissing, kKeyWrong, the store's.
  static Result<std::unique_ptr<SnapshotReader>> open(StoreCatalog& catalog, KeyRing& keys, const SnapshotId& id, std::size_t workers);

  const format::Manifest& manifest() const { return manifest_; }
  const format::ManifestSealed& sealed() const { return sealed_; }
  const std::vector<format::FileEntry>& files() const { return files_; }
  std::uint64_t raw_bytes() const { return raw_bytes_; }
  /// Names of the file contents, in order; the file table's own chunks are not among them.
  std::span<const ChunkName> content() const { return std::span(chunks_).first(content_); }
  ChunkFetcher& fetcher() { return *fetcher_; }
  /// The length that every chunk but a file's last has, as far as sizes and counts of the files tell; nothing when they fit no length.
  std::optional<std::uint64_t> chunk_bytes() const;
  std::vector<Problem>& problems() { return problems_; }

  /// Gives every byte of every file once: `write(file, offset, bytes)`, on many threads. kDamaged where a file's chunks are not as long as
  /// the file table says. `progress` gets the bytes written so far.
  Status read_files(std::size_t workers, const std::function<Status(std::size_t file, std::uint64_t offset, ByteView bytes)>& write,
                    const std::function<void(std::uint64_t)>& progress);
  /// The same without the chunks in `have` (by their index in content()): what `find_existing` found. Needs chunk_bytes(); kDamaged where
  /// a chunk is not as long as that says.
  Status read_missing(const std::vector<bool>& have, std::size_t workers,
                      const std::function<Status(std::size_t file, std::uint64_t offset, ByteView bytes)>& write, const std::function<void(std::uint64_t)>& progress);
  /// Which chunks lie already where they belong: every name is recomputed from what `read` gives of a file (fewer bytes at its end, none
  /// where there is no such file). `progress` gets the bytes compared. On many threads. Empty without chunk_bytes().
  Result<std::vector<bool>> find_existing(std::size_t workers, const std::function<Result<std::size_t>(std::size_t file, std::uint64_t offset, MutableByteView out)>& read,
                                          const std::function<void(std::uint64_t)>& progress);

 private:
  SnapshotReader() = default;
  Status read_lists(StoreCatalog& catalog);
  Status read_file_table(std::size_t workers);
  format::Manifest manifest_;
  format::ManifestSealed sealed_;
  std::vector<ChunkName> chunks_;
  std::size_t content_ = 0;
  std::vector<format::FileEntry> files_;
  std::uint64_t raw_bytes_ = 0;
  ChunkIndex index_;
  std::unique_ptr<ChunkFetcher> fetcher_;
  std::vector<Problem> problems_;
};

}  // namespace stele::restore
