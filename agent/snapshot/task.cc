#include "agent/snapshot/task.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "agent/snapshot/extra_files.h"
#include "agent/snapshot/reading.h"
#include "core/pg/page.h"

namespace stele::agent {
namespace {

constexpr auto kQuestionDeadline = std::chrono::seconds(60);

/// Images are recorded for as long as this lives.
class Recording {
 public:
  explicit Recording(PageImages* images) : images_(images) {
    if (images_ != nullptr) images_->begin();
  }
  ~Recording() {
    if (images_ != nullptr) images_->end();
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

 private:
  PageImages* images_;
};

}  // namespace

SnapshotTask::SnapshotTask(Options options, SnapshotContext context, io::FileSystem& fs, Clock& clock,
                           RandomSource& random, SnapshotProgress& progress, std::shared_ptr<Interrupt> interrupt)
    : options_(std::move(options)),
      context_(std::move(context)),
      fs_(fs),
      clock_(clock),
      random_(random),
      progress_(progress),
      interrupt_(std::move(interrupt)) {}

SnapshotTask::~SnapshotTask() = default;

void SnapshotTask::cancel(const Error& why) {
  {
    std::lock_guard lock(mutex_);
    if (!cancelled_) cancelled_ = why;
    if (pipeline_) pipeline_->abort(why);
    for (auto& sender : senders_) sender->stop();
  }
  interrupt_->stop();
  wake_.notify_all();
}

std::optional<Error> SnapshotTask::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_;
}

Result<SnapshotReport> SnapshotTask::run() {
  Result<SnapshotReport> result = run_uncancelled();
  progress_.phase = SnapshotPhase::kIdle;
  // Whatever broke because of it: the reason is the cancellation.
  if (auto why = cancelled(); why && !result.ok()) return *why;
  return result;
}

Result<SnapshotReport> SnapshotTask::run_uncancelled() {
  SnapshotReport report;
  report.stream = context_.stream;
  report.full = options_.full;
  report.started = clock_.now();
  report.snapshot = random_.draw<SnapshotId>();
  progress_.reset();
  progress_.phase = SnapshotPhase::kConnecting;
  STELE_CHECK(connect_receivers(report));
  Recording recording(context_.page_images.get());
  Reading reading(options_.config.chunk_bytes);
  STELE_CHECK(read_server(reading, report));
  progress_.phase = SnapshotPhase::kFinishing;
  auto finished = pipeline_->finish();
  STELE_TRY(const SnapshotPipeline::Outcome outcome, std::move(finished));
  for (const auto& [receiver, why] : outcome.left_out)
    report.warn(fmt::format("receiver {} was left out: {}", receiver, why.what));
  progress_.phase = SnapshotPhase::kCommitting;
  STELE_CHECK(judge_suspects(reading, outcome, report));
  STELE_TRY(const format::SignedRecord manifest, make_record(reading, outcome, report));
  STELE_CHECK(commit(manifest, outcome.complete, report));
  report.manifest = manifest.id();
  report.sent_bytes = progress_.sent_bytes;
  report.new_raw_bytes = progress_.new_raw_bytes;
  report.peak_buffered_bytes = progress_.peak_buffered_bytes;
  return report;
}

Status SnapshotTask::connect_receivers(SnapshotReport& report) {
  if (context_.receivers.empty())
    return Error{ErrorCode::kConfig, "snapshot: no receiver is configured", "add a [[receiver]]"};
  SnapshotSender::Timing timing = options_.timing;
  timing.connect_patience = options_.connect_patience;
  std::optional<Error> last;
  for (const SnapshotReceiver& receiver : context_.receivers) {
    SnapshotSender* sender = nullptr;
    {
      std::lock_guard lock(mutex_);
      if (cancelled_) return *cancelled_;
      senders_.push_back(std::make_unique<SnapshotSender>(context_, receiver, timing, progress_));
      sender = senders_.back().get();
      if (options_.full || !options_.distrusted.empty()) sender->distrust();
    }
    auto state = sender->database_state();
    if (!state.ok()) {
      last = state.error();
      report.warn(fmt::format("receiver {} was left out: {}", receiver.name, state.error().what));
      continue;
    }
    if (previous_.is_zero()) previous_ = state->latest_manifest;
    connected_.push_back(sender);
  }
  if (connected_.size() >= std::max<std::size_t>(context_.quorum, 1)) return {};
  return last->in(fmt::format("snapshot: {} of {} receivers can be reached, {} are needed", connected_.size(),
                              context_.receivers.size(), std::max<std::size_t>(context_.quorum, 1)));
}

Status SnapshotTask::read_server(Reading& reading, SnapshotReport& report) {
  const auto question = [] { return deadline_in(kQuestionDeadline); };
  {
    ConnectOptions options;
    STELE_TRY(PgConnection sql, PgConnection::connect(context_.server, options, question(), interrupt_));
    STELE_TRY(reading.server, read_server_texts(sql, clock_, question()));
  }
  ConnectOptions options;
  options.mode = ConnectionMode::kReplication;
  options.application_name = "stele snapshot";
  STELE_TRY(PgConnection replication, PgConnection::connect(context_.server, options, question(), interrupt_));
  STELE_TRY(reading.info, read_server_info(replication, question()));
  if (reading.info.system_identifier != context_.system_identifier) {
    return Error{ErrorCode::kFork,
                 fmt::format("snapshot: {} has system identifier {}, the stream has {}", replication.host(),
                             reading.info.system_identifier, context_.system_identifier),
                 "is this connection string another cluster's?"};
  }
  if (reading.info.timeline != context_.timeline) {
    return Error{ErrorCode::kTemporary,
                 fmt::format("snapshot: {} is on timeline {}, the stream on {}", replication.host(),
                             reading.info.timeline, context_.timeline),
                 ""};
  }

  progress_.phase = SnapshotPhase::kCheckpoint;
  BaseBackupOptions backup_options;
  backup_options.label = fmt::format("stele {}", report.snapshot.hex());
  backup_options.fast_checkpoint = options_.config.fast_checkpoint;
  if (options_.config.max_rate != 0)
    backup_options.max_rate_kib = static_cast<std::uint32_t>(options_.config.max_rate / 1024);
  // A spread checkpoint takes its time: checkpoint_completion_target of checkpoint_timeout, behind one that may be
  // under way.
  const Duration checkpoint = options_.read_patience + 2 * reading.server.checkpoint_timeout;
  STELE_TRY(reading.backup, BaseBackup::start(std::move(replication), backup_options, deadline_in(checkpoint)));
  const BackupStart& begin = reading.backup->begin();
  report.start = begin.start;
  reading.tablespaces = begin.tablespaces;
  if (begin.timeline != context_.timeline) {
    return Error{
        ErrorCode::kTemporary,
        fmt::format("snapshot: the backup is on timeline {}, the stream on {}", begin.timeline, context_.timeline), ""};
  }
  if (begin.start < context_.log_begin) {
    return Error{ErrorCode::kTemporary,
                 fmt::format("snapshot: the backup starts at {}, the change log only at {}", begin.start.to_string(),
                             context_.log_begin.to_string()),
                 context_.is_standby
                     ? "the standby's last restartpoint is older than the log; it passes with the next checkpoint"
                     : ""};
  }
  if (context_.page_images) context_.page_images->set_start(begin.start);
  progress_.estimated_bytes = reading.backup->estimated_size();
  start_pipeline(reading);
  progress_.phase = SnapshotPhase::kReading;
  STELE_CHECK(read_archives(reading));
  for (const std::string& path : reading.chunker->skipped())
    report.warn(fmt::format("{}: not a name or link that a restore may create; left out", path));
  reading.backup.reset();  // the server is not needed any more
  STELE_CHECK(add_extra_files(reading, report));
  report.raw_bytes = reading.chunker->raw_bytes();
  if (auto piece = reading.table.finish()) STELE_CHECK(pipeline_->add_table(std::move(*piece)));
  return {};
}

void SnapshotTask::start_pipeline(Reading& reading) {
  SnapshotPipeline::Options options;
  options.seal = {&context_.signing->suite(), context_.stream,
                  context_.generation,        context_.epoch,
                  context_.epoch_record,      options_.config.compression_level};
  options.workers = options_.config.workers > 0 ? static_cast<std::size_t>(options_.config.workers)
                                                : std::max(1u, std::thread::hardware_concurrency());
  options.memory_bytes = options_.config.memory_bytes;
  // A pack is one message, and nothing else is heard while it is on its way: three seconds of the allowed bandwidth.
  if (const std::uint64_t limit = context_.bandwidth ? context_.bandwidth->limit() : 0; limit != 0) {
    options.pack_bytes = static_cast<std::size_t>(std::min<std::uint64_t>(options.pack_bytes, limit * 3));
  }
  options.full = options_.full;
  options.distrusted = options_.distrusted;
  options.quorum = std::max<std::size_t>(context_.quorum, 1);
  std::vector<SnapshotTarget*> targets(connected_.begin(), connected_.end());
  {
    std::lock_guard lock(mutex_);
    pipeline_ = std::make_unique<SnapshotPipeline>(std::move(options), *context_.secrets, *context_.signing,
                                                   std::move(targets), random_, progress_);
    if (cancelled_) pipeline_->abort(*cancelled_);
  }
  reading.sink.emplace(*pipeline_, reading.table, progress_);
  ChunkerOptions cutting;
  cutting.chunk_bytes = options_.config.chunk_bytes;
  cutting.check_pages =
      reading.info.data_checksums && reading.server.block_size == pg::kPageSize && reading.server.segment_blocks != 0;
  cutting.segment_blocks = reading.server.segment_blocks;
  reading.chunker.emplace(cutting, *reading.sink);
}

Status SnapshotTask::read_archives(Reading& reading) {
  std::optional<pg::TarReader> tar;
  bool in_manifest = false;
  while (true) {
    STELE_TRY(const BackupEvent event, reading.backup->next(deadline_in(options_.read_patience)));
    if (const auto* archive = std::get_if<ArchiveBegin>(&event)) {
      reading.chunker->begin_archive(archive->oid.value_or(0));
      tar.emplace(*reading.chunker);
    } else if (const auto* data = std::get_if<ArchiveData>(&event)) {
      STELE_CHECK(tar->feed(data->bytes));
    } else if (std::holds_alternative<ArchiveEnd>(event)) {
      STELE_CHECK(tar->finish());
    } else if (const auto* manifest = std::get_if<ManifestData>(&event)) {
      if (!std::exchange(in_manifest, true)) {
        format::FileEntry entry;
        entry.path = "backup_manifest";
        entry.mode = 0600;
        entry.modified = clock_.now();
        STELE_CHECK(reading.chunker->begin_file(std::move(entry)));
      }
      STELE_CHECK(reading.chunker->data(manifest->bytes));
    } else if (const auto* end = std::get_if<BackupEnd>(&event)) {
      if (in_manifest) STELE_CHECK(reading.chunker->end_file());
      if (end->timeline != context_.timeline) {
        return Error{ErrorCode::kTemporary,
                     fmt::format("snapshot: the server went over to timeline {} while it was read on {}", end->timeline,
                                 context_.timeline),
                     ""};
      }
      reading.stop = end->stop;
      break;
    }
  }
  if (reading.chunker->backup_label().empty())
    return Error{ErrorCode::kDamaged, "snapshot: the base backup has no backup_label", ""};
  return {};
}

Status SnapshotTask::add_extra_files(Reading& reading, SnapshotReport& report) {
  ExtraFiles extra = find_extra_files(options_.config.extra_files);
  for (std::string& warning : extra.warnings) report.warn(std::move(warning));
  for (const std::string& file :
       not_covered(reading.server.files_outside_data_directory, options_.config.extra_files)) {
    report.warn(fmt::format("{} lies outside the data directory and is not in [snapshot] extra_files", file));
  }
  for (ExtraFile& file : extra.files) {
    const std::string path = file.source.string();
    auto opened = fs_.open(path, io::OpenMode::kRead);
    auto size = opened.ok() ? (*opened)->size() : Result<std::uint64_t>(opened.error());
    if (!size.ok()) {
      report.warn(fmt::format("extra file {}: {}", path, size.error().what));
      continue;
    }
    STELE_CHECK(reading.chunker->begin_file(std::move(file.entry)));
    const std::uint64_t end = std::min(*size, kMaxExtraFileBytes);
    for (std::uint64_t at = 0; at < end;) {
      const std::size_t piece =
          static_cast<std::size_t>(std::min<std::uint64_t>(end - at, options_.config.chunk_bytes));
      STELE_TRY(const Bytes bytes, (*opened)->read_exactly(at, piece));
      STELE_CHECK(reading.chunker->data(bytes));
      at += piece;
    }
    STELE_CHECK(reading.chunker->end_file());
  }
  for (std::string& warning : reading.server.warnings) report.warn(std::move(warning));
  return {};
}

}  // namespace stele::agent
