#include "agent/log/log_encoder.h"

#include <fmt/format.h>

namespace stele::agent {

LogEncoder::LogEncoder(LogEncoderOptions options, crypto::SecretBytes data_key, const crypto::SecretBytes& join_key, Position overlap_begin,
                       Position resume, RandomSource& random)
    : options_(options), data_key_(std::move(data_key)), random_(random), resume_(resume), join_key_(join_key.clone()),
      tagger_(*options.suite, join_key, options.stream, options.segment_size, overlap_begin),
      decoder_(pg::WalDecoderOptions{options.segment_size, options.major, options.system_identifier}, overlap_begin, options.on_record), sealed_end_(resume) {}

Result<std::unique_ptr<LogEncoder>> LogEncoder::create(LogEncoderOptions options, const crypto::SecretBytes& data_key,
                                                       const crypto::SecretBytes& join_key, Position overlap_begin, Position resume,
                                                       RandomSource& random) {
  if (overlap_begin.value % options.segment_size != 0 || resume < overlap_begin) {
    return Error{ErrorCode::kInternal, fmt::format("log encoder: begins at {} to resume at {}", overlap_begin.to_string(), resume.to_string()), ""};
  }
  std::unique_ptr<LogEncoder> out(new LogEncoder(options, data_key.clone(), join_key, overlap_begin, resume, random));
  if (overlap_begin == resume) out->sealed_join_ = out->tagger_.tag();
  return out;
}

void LogEncoder::expect_join(const JoinTag& tag, const StreamId& stream) {
  if (resumed()) {
    sealed_join_ = tag;
    return;
  }
  expected_join_ = tag;
  if (stream != options_.stream) parent_tagger_.emplace(*options_.suite, join_key_, stream, options_.segment_size, position());
}

Status LogEncoder::feed_overlap(ByteView& bytes) {
  const std::size_t take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), resume_ - position()));
  STELE_CHECK(decoder_.feed(bytes.first(take)));
  tagger_.update(bytes.first(take));
  if (parent_tagger_) parent_tagger_->update(bytes.first(take));
  bytes = bytes.subspan(take);
  if (position() < resume_) return {};
  decoder_.take_facts();
  sealed_join_ = tagger_.tag();
  const JoinTag found = parent_tagger_ ? parent_tagger_->tag() : sealed_join_;
  parent_tagger_.reset();
  if (expected_join_ && found != *expected_join_) {
    return Error{ErrorCode::kFork, fmt::format("the server's log differs from the one streamed before {}", resume_.to_string()),
                 "the data directory was rolled back, or this is another copy of the cluster"};
  }
  return {};
}

Status LogEncoder::feed(ByteView bytes, Timestamp server_time, std::vector<format::Frame>& out) {
  server_time_ = std::max(server_time_, server_time);
  if (position() < resume_) STELE_CHECK(feed_overlap(bytes));
  while (!bytes.empty()) {
    const std::size_t take = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), options_.frame_bytes - pending_.size()));
    ByteView piece = bytes.first(take);
    // The decoder reads first: a log that is broken by its own rules is never sealed.
    STELE_CHECK(decoder_.feed(piece));
    tagger_.update(piece);
    pending_.insert(pending_.end(), piece.begin(), piece.end());
    bytes = bytes.subspan(take);
    if (pending_.size() >= options_.frame_bytes) STELE_CHECK(seal_pending(out));
  }
  return {};
}

Status LogEncoder::begin_object_if_needed() {
  if (object_) return {};
  format::LogObjectSealer::Options o{options_.suite, options_.stream, options_.generation, options_.epoch, sealed_end_, sealed_join_,
                                     options_.compression};
  STELE_TRY(format::LogObjectSealer sealer, format::LogObjectSealer::begin(o, data_key_, random_));
  object_ = std::make_unique<format::LogObjectSealer>(std::move(sealer));
  index_ = {};
  return {};
}

void LogEncoder::note_frame(const format::Frame& frame, pg::LogFacts facts) {
  format::FrameFacts f;
  f.frame = frame.header().number;
  f.range = {frame.header().start, frame.header().end};
  f.min_commit = facts.min_commit;
  f.max_commit = facts.max_commit;
  f.min_xid = facts.min_xid;
  f.max_xid = facts.max_xid;
  f.commits = static_cast<std::uint32_t>(facts.commits);
  f.aborts = static_cast<std::uint32_t>(facts.aborts);
  f.block_references = static_cast<std::uint32_t>(facts.block_refs);
  index_.frames.push_back(f);
  for (pg::RestorePoint& point : facts.restore_points) {
    index_.restore_points.push_back({point.end, point.time, std::move(point.name)});
  }
}

Status LogEncoder::seal_pending(std::vector<format::Frame>& out) {
  if (pending_.empty()) return {};
  STELE_CHECK(begin_object_if_needed());
  pg::LogFacts facts = decoder_.take_facts();
  const JoinTag join = tagger_.tag();
  STELE_TRY(format::Frame frame, object_->seal_log(pending_, join, {facts.min_commit, facts.max_commit, server_time_}));
  epoch_bytes_ += pending_.size();
  pending_.clear();
  sealed_end_ = frame.header().end;
  sealed_join_ = join;
  note_frame(frame, std::move(facts));
  out.push_back(std::move(frame));
  return end_full_object(out);
}

Status LogEncoder::flush(std::vector<format::Frame>& out) { return seal_pending(out); }

Status LogEncoder::as_of(Timestamp server_time, std::vector<format::Frame>& out) {
  if (!resumed()) return {};
  server_time_ = std::max(server_time_, server_time);
  STELE_CHECK(seal_pending(out));
  STELE_CHECK(begin_object_if_needed());
  STELE_TRY(format::Frame frame, object_->seal_as_of(sealed_join_, server_time_));
  out.push_back(std::move(frame));
  return end_full_object(out);
}

Status LogEncoder::end_full_object(std::vector<format::Frame>& out) {
  // The frames of a busy source with tiny commits, or of an idle one, are many before the bytes are: the index block has a limit too.
  const bool full = object_->full() || object_->raw_bytes() >= options_.object_bytes ||
                    index_.restore_points.size() >= format::kMaxObjectRestorePoints;
  return full ? end_object(out) : Status{};
}

Status LogEncoder::end_object(std::vector<format::Frame>& out) {
  STELE_CHECK(seal_pending(out));
  if (!object_) return {};
  STELE_TRY(format::Frame frame, object_->seal_index(index_, sealed_join_, server_time_));
  out.push_back(std::move(frame));
  object_.reset();
  return {};
}

Status LogEncoder::change_epoch(const EpochId& epoch, crypto::SecretBytes data_key) {
  if (object_) return Error{ErrorCode::kInternal, "an epoch changes between objects only", ""};
  options_.epoch = epoch;
  data_key_ = std::move(data_key);
  epoch_bytes_ = 0;
  return {};
}

}  // namespace stele::agent
