#pragma once

#include <optional>

#include "agent/postgres/base_backup.h"
#include "agent/postgres/server_info.h"
#include "agent/snapshot/file_table.h"
#include "agent/snapshot/server_texts.h"
#include "agent/snapshot/task.h"

namespace stele::agent {

/// Hands chunks to the pipeline, and files to the file table, whose full pieces go the same way.
class PipelineSink final : public ChunkSink {
 public:
  PipelineSink(SnapshotPipeline& pipeline, FileTable& table, SnapshotProgress& progress)
      : pipeline_(pipeline), table_(table), progress_(progress) {}
  Status on_chunk(RawChunk chunk) override {
    progress_.raw_bytes += chunk.bytes.size();
    return pipeline_.add(std::move(chunk));
  }
  Status on_file(const format::FileEntry& entry) override {
    ++progress_.files;
    if (auto piece = table_.add(entry)) return pipeline_.add_table(std::move(*piece));
    return {};
  }

 private:
  SnapshotPipeline& pipeline_;
  FileTable& table_;
  SnapshotProgress& progress_;
};

/// What is known of the server and its files, growing while they are read.
struct SnapshotTask::Reading {
  explicit Reading(std::size_t chunk_bytes) : table(chunk_bytes) {}
  ServerTexts server;
  ServerInfo info;
  std::vector<BackupTablespace> tablespaces;
  std::optional<BaseBackup> backup;
  Position stop;
  FileTable table;
  std::optional<PipelineSink> sink;
  std::optional<Chunker> chunker;
};

}  // namespace stele::agent
