#include <fmt/format.h>

#include <atomic>

#include "restore/fetch/parallel.h"
#include "restore/fetch/snapshot_reader.h"

namespace stele::restore {

std::optional<std::uint64_t> SnapshotReader::chunk_bytes() const {
  // A file of n bytes in c chunks of S bytes: n / c <= S < n / (c - 1). All files together leave few lengths; agents take whole pages.
  std::uint64_t least = 1, most = format::kMaxChunkRaw;
  for (const format::FileEntry& e : files_) {
    if (e.chunks == 0) continue;
    least = std::max(least, (e.size + e.chunks - 1) / e.chunks);
    if (e.chunks > 1) most = std::min(most, (e.size - 1) / (e.chunks - 1));
  }
  constexpr std::uint64_t kPage = 8192;
  const std::uint64_t first = (least + kPage - 1) / kPage * kPage;
  if (first > most) return std::nullopt;
  // The roundest of them; a wrong guess only means that no chunk is found.
  std::uint64_t best = first;
  for (std::uint64_t s = kPage; s <= most; s *= 2) {
    if (s >= least) {
      best = s;
      break;
    }
  }
  return best;
}

Result<std::vector<bool>> SnapshotReader::find_existing(std::size_t workers, const std::function<Result<std::size_t>(std::size_t, std::uint64_t, MutableByteView)>& read,
                                                        const std::function<void(std::uint64_t)>& progress) {
  std::vector<bool> have;
  const auto length = chunk_bytes();
  if (!length) return have;
  // Bits of one vector are not written by several threads: bytes first.
  std::vector<std::uint8_t> found(content_, 0);
  std::vector<std::size_t> first(files_.size());
  std::size_t next = 0;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    first[i] = next;
    next += files_[i].chunks;
  }
  std::atomic<std::uint64_t> compared{0};
  STELE_CHECK(parallel_for(files_.size(), workers, [&](std::size_t i) -> Status {
    const format::FileEntry& entry = files_[i];
    if (entry.chunks == 0) return {};
    format::ChunkNamer namer = fetcher_->make_namer();
    Bytes buffer(*length);
    for (std::size_t c = 0; c < entry.chunks; ++c) {
      const std::uint64_t offset = c * *length;
      if (offset >= entry.size) break;
      const std::size_t size = std::min<std::uint64_t>(*length, entry.size - offset);
      STELE_TRY(const std::size_t n, read(i, offset, MutableByteView(buffer).first(size)));
      if (n < size) break;
      found[first[i] + c] = namer.name(ByteView(buffer).first(size)) == chunks_[first[i] + c];
      compared += size;
      if (progress) progress(compared.load());
    }
    return {};
  }));
  have.assign(found.begin(), found.end());
  return have;
}

Status SnapshotReader::read_missing(const std::vector<bool>& have, std::size_t workers, const std::function<Status(std::size_t, std::uint64_t, ByteView)>& write,
                                    const std::function<void(std::uint64_t)>& progress) {
  const auto length = chunk_bytes();
  if (!length || have.size() != content_) return Error{ErrorCode::kInternal, "a snapshot read in parts without knowing where they lie", ""};
  struct Target {
    std::size_t file;
    std::uint64_t offset, size;
  };
  std::vector<ChunkName> names;
  std::vector<Target> targets;
  std::size_t chunk = 0;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    for (std::size_t c = 0; c < files_[i].chunks; ++c, ++chunk) {
      if (have[chunk]) continue;
      const std::uint64_t offset = c * *length;
      if (offset >= files_[i].size) return Error{ErrorCode::kDamaged, "a file with more chunks than its size allows", ""};
      names.push_back(chunks_[chunk]);
      targets.push_back({i, offset, std::min<std::uint64_t>(*length, files_[i].size - offset)});
    }
  }
  std::atomic<std::uint64_t> written{0};
  return fetcher_->fetch(
      names, workers,
      [&](std::vector<ChunkFetcher::Opened>& batch) -> Status {
        for (const auto& opened : batch) {
          if (opened.bytes.size() != targets[opened.number].size) return Error{ErrorCode::kDamaged, "a file whose chunks are not as long as the others say", "restore into an empty directory"};
        }
        return {};
      },
      [&](const std::vector<ChunkFetcher::Opened>& batch) -> Status {
        for (const auto& opened : batch) {
          STELE_CHECK(write(targets[opened.number].file, targets[opened.number].offset, opened.bytes));
          written += opened.bytes.size();
        }
        if (progress) progress(written.load());
        return {};
      });
}

}  // namespace stele::restore
