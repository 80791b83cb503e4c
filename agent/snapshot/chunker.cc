#include "agent/snapshot/chunker.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/pg/backup_label.h"
#include "core/pg/page.h"

namespace stele::agent {
namespace {

constexpr std::string_view kTablespaces = "pg_tblspc/";

bool is_tablespace_link(std::string_view path) {
  if (!path.starts_with(kTablespaces)) return false;
  path.remove_prefix(kTablespaces.size());
  return !path.empty() && path.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Status Chunker::on_entry(const pg::TarEntry& tar) {
  format::FileEntry entry;
  entry.tablespace = tablespace_;
  entry.path = tar.path;
  entry.mode = tar.mode;
  entry.modified = tar.mtime;
  switch (tar.type) {
    case pg::TarType::kFile:
      entry.type = format::FileType::kFile;
      break;
    case pg::TarType::kDirectory:
      entry.type = format::FileType::kDirectory;
      break;
    case pg::TarType::kSymlink:
      entry.type = format::FileType::kSymlink;
      break;
  }
  const bool strange_link = tar.type == pg::TarType::kSymlink && (tablespace_ != 0 || !is_tablespace_link(tar.path));
  if (strange_link || !format::is_safe_relative_path(tar.path)) {
    if (skipped_.size() < kMaxSkipped) skipped_.push_back(tar.path);
    ignoring_ = true;
    return {};
  }
  STELE_CHECK(begin_file(std::move(entry)));
  expected_ = tar.size;
  if (tar.type != pg::TarType::kFile) return {};
  is_label_ = tablespace_ == 0 && tar.path == "backup_label";
  if (!options_.check_pages) return {};
  relation_ = pg::parse_relation_path(tablespace_ == 0 ? tar.path
                                                       : fmt::format("{}{}/{}", kTablespaces, tablespace_, tar.path));
  if (relation_ && !pages_matter(*relation_)) relation_.reset();
  return {};
}

Status Chunker::begin_file(format::FileEntry entry) {
  if (in_file_) return Error{ErrorCode::kInternal, "snapshot: a file begins inside another", ""};
  entry_ = std::move(entry);
  entry_.size = 0;
  entry_.chunks = 0;
  relation_.reset();
  expected_ = 0;
  in_file_ = true;
  ignoring_ = is_label_ = false;
  return {};
}

Status Chunker::on_data(ByteView bytes) {
  if (ignoring_) return {};
  if (is_label_) {
    if (backup_label_.size() + bytes.size() > pg::kMaxBackupLabelSize) {
      return Error{ErrorCode::kDamaged, "read base backup: backup_label is too long", ""};
    }
    backup_label_ += as_text(bytes);
  }
  while (!bytes.empty()) {
    if (pending_.empty()) {
      const std::uint64_t left = expected_ > entry_.size ? expected_ - entry_.size : bytes.size();
      pending_.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(left, options_.chunk_bytes)));
    }
    const std::size_t n = std::min(bytes.size(), options_.chunk_bytes - pending_.size());
    pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    entry_.size += n;
    bytes = bytes.subspan(n);
    if (pending_.size() == options_.chunk_bytes) STELE_CHECK(cut());
  }
  return {};
}

Status Chunker::cut() {
  if (entry_.chunks == UINT32_MAX)
    return Error{ErrorCode::kLimit, fmt::format("snapshot: {} has too many chunks", entry_.path), "raise chunk_bytes"};
  RawChunk chunk;
  if (relation_) {
    const std::uint64_t blocks_before = (entry_.size - pending_.size()) / pg::kPageSize;
    const std::uint64_t first = relation_->first_block(options_.segment_blocks) + blocks_before;
    // Block numbers end at 2^32; a file that goes on behind is none of PostgreSQL's.
    if (first + pending_.size() / pg::kPageSize <= UINT32_MAX)
      chunk.pages = PageRun{*relation_, static_cast<std::uint32_t>(first)};
  }
  chunk.bytes = std::exchange(pending_, {});
  raw_bytes_ += chunk.bytes.size();
  ++entry_.chunks;
  return sink_.on_chunk(std::move(chunk));
}

Status Chunker::on_end_of_entry() {
  if (ignoring_) {
    ignoring_ = false;
    return {};
  }
  if (!pending_.empty()) STELE_CHECK(cut());
  in_file_ = is_label_ = false;
  ++files_;
  return sink_.on_file(entry_);
}

}  // namespace stele::agent
