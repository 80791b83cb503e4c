#include <fmt/format.h>

#include <algorithm>

#include "agent/snapshot/reading.h"
#include "core/config/log.h"

namespace stele::agent {
namespace {

constexpr std::size_t kMaxLoggedPages = 20, kMaxLacked = 100'000;
// The log is mostly a few milliseconds behind; asked again more and more slowly.
constexpr Duration kFirstGapPause = std::chrono::milliseconds(10), kLongestGapPause = std::chrono::seconds(1);
// For receivers beyond those that must commit.
constexpr auto kOtherPatience = std::chrono::seconds(30);

std::string describe(const SuspectPage& suspect) {
  const PageId& p = suspect.page;
  return fmt::format("{}/{}/{} fork {} block {} (page LSN {})", p.tablespace, p.database, p.relation, p.fork, p.block,
                     suspect.lsn.to_string());
}

}  // namespace

Status SnapshotTask::judge_suspects(Reading& reading, const SnapshotPipeline::Outcome& outcome,
                                    SnapshotReport& report) {
  report.stop = reading.stop;
  if (outcome.suspects.empty()) return {};
  PageImages* images = context_.page_images.get();
  // In slices, so that a cancellation is heard.
  const Instant deadline = deadline_in(options_.commit_patience);
  bool seen = false;
  while (images != nullptr && !seen && std::chrono::steady_clock::now() < deadline) {
    if (auto why = cancelled()) return *why;
    seen = images->wait_until(report.stop, std::min(deadline, deadline_in(std::chrono::seconds(1))));
    if (images->lost()) break;
  }
  std::uint64_t damaged = outcome.more_suspects, unknown = 0;
  for (const SuspectPage& suspect : outcome.suspects) {
    const auto answer = images == nullptr ? PageImages::Answer::kUnknown
                                          : images->has_full_page_image(suspect.page, report.start, report.stop);
    if (answer == PageImages::Answer::kImage) {
      ++report.cleared_pages;
      continue;
    }
    if (answer == PageImages::Answer::kUnknown) ++unknown;
    if (++damaged <= kMaxLoggedPages) {
      log::error("a page of the database is damaged", {{"page", describe(suspect)}});
      report.warn(fmt::format("damaged page {}", describe(suspect)));
    }
  }
  if (unknown > 0)
    report.warn(fmt::format("{} suspect pages count as damaged because not all of the log was seen", unknown));
  report.damaged_pages = static_cast<std::uint32_t>(std::min<std::uint64_t>(damaged, UINT32_MAX));
  return {};
}

Result<format::SignedRecord> SnapshotTask::make_record(const Reading& reading, const SnapshotPipeline::Outcome& outcome,
                                                       SnapshotReport& report) {
  report.finished = clock_.now();
  report.chunk_count = outcome.chunk_count;
  report.new_bytes = progress_.sealed_bytes;
  format::ManifestReference reference;
  reference.database = context_.database;
  reference.stream = context_.stream;
  reference.generation = context_.generation;
  reference.epoch = context_.epoch;
  reference.snapshot = report.snapshot;
  reference.previous = previous_;
  reference.start = report.start;
  reference.stop = report.stop;
  reference.started = report.started;
  reference.finished = report.finished;
  reference.raw_bytes = report.raw_bytes;
  reference.new_bytes = report.new_bytes;
  reference.chunk_count = outcome.chunk_count;
  reference.damaged_pages = report.damaged_pages;
  reference.full = report.full;
  reference.lists = outcome.lists;
  format::ManifestSealed sealed;
  sealed.system_identifier = reading.info.system_identifier;
  sealed.server_version = static_cast<std::uint32_t>(reading.info.version_num);
  sealed.timeline = context_.timeline;
  sealed.file_table_first = outcome.table_first;
  sealed.file_table_bytes = reading.table.bytes();
  sealed.file_count = reading.table.entries();
  sealed.backup_label = reading.chunker->backup_label();
  for (const BackupTablespace& space : reading.tablespaces) {
    if (space.oid) sealed.tablespaces.push_back({*space.oid, space.path});
  }
  sealed.texts = reading.server.texts;
  return format::make_manifest(std::move(reference), std::move(sealed), context_.secrets->data, *context_.signing,
                               random_);
}

Status SnapshotTask::commit(const format::SignedRecord& manifest, const std::vector<SnapshotTarget*>& complete,
                            SnapshotReport& report) {
  const std::size_t quorum = std::max<std::size_t>(context_.quorum, 1);
  const Instant deadline = deadline_in(options_.commit_patience);
  std::optional<Error> last;
  for (SnapshotTarget* target : complete) {
    const bool needed = report.receivers.size() < quorum;
    auto sender = std::find(connected_.begin(), connected_.end(), target);
    Status done = commit_at(**sender, manifest, needed ? deadline : deadline_in(kOtherPatience));
    if (done.ok()) {
      report.receivers.push_back(target->name());
      continue;
    }
    if (auto why = cancelled()) return *why;
    last = done.error();
    log::warning("a receiver did not take the snapshot", {{"receiver", target->name()}, {"why", last->what}});
    report.warn(fmt::format("receiver {}: {}", target->name(), last->what));
  }
  if (report.receivers.size() >= quorum) return {};
  return last->in(fmt::format("snapshot: committed at {} of {} receivers", report.receivers.size(), quorum));
}

Status SnapshotTask::commit_at(SnapshotSender& sender, const format::SignedRecord& manifest, Instant deadline) {
  for (Duration pause = kFirstGapPause;; pause = std::min(2 * pause, kLongestGapPause)) {
    auto answer = sender.commit(manifest.bytes);
    if (answer.ok() && !*answer) return {};
    if (answer.ok()) {
      // The receiver had said that it holds them. They are gone from memory: the next try reads the server again and
      // does not believe it.
      const protocol::MissingChunks& missing = **answer;
      lacked_too_many_ = lacked_too_many_ || missing.total > missing.names.size() || lacked_.size() > kMaxLacked;
      lacked_.insert(missing.names.begin(), missing.names.end());
      return Error{ErrorCode::kTemporary,
                   fmt::format("commit at receiver {}: it lacks {} chunks", sender.name(), missing.total), ""};
    }
    if (answer.error().code != ErrorCode::kGap) return answer.error();
    // The log up to the stop position is not there yet.
    std::unique_lock lock(mutex_);
    if (cancelled_) return *cancelled_;
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{ErrorCode::kTemporary, answer.error().what,
                   "the change log does not reach the receiver; see the state of its uplink"};
    }
    wake_.wait_for(lock, pause, [&] { return cancelled_.has_value(); });
  }
}

}  // namespace stele::agent
