#include "receiver/ingest/stream_ingest.h"

#include <fmt/format.h>

namespace stele::receiver {

namespace {

Error refused(ErrorCode code, const format::FrameHeader& h, std::string_view why, std::string_view hint = "") {
  return Error{code, fmt::format("frame {} of object {} at {}: {}", h.number, h.object.short_hex(), h.start.to_string(), why), std::string(hint)};
}

Error forked(const format::FrameHeader& h, Position at) {
  return refused(ErrorCode::kFork, h, fmt::format("the log before {} is not the one that is held", at.to_string()),
                 "the database went back in time or is a clone: the agent must begin a new branch");
}

}  // namespace

Status StreamIngest::begin_object(const format::Frame& frame, const StreamLedger& held, IngestVerdict& verdict) {
  const format::FrameHeader& h = frame.header();
  if (unsigned_bytes_ != 0) return refused(ErrorCode::kProtocol, h, "a new object while frames of the one before are unsigned");
  chain_.emplace();
  if (h.number != 0) {
    const ObjectProgress* progress = held.before(h.object, h.number);
    if (progress == nullptr || progress->last.number + 1 != h.number) {
      return refused(ErrorCode::kProtocol, h, "the object's frames before it are not held", "send the object from its frame 0");
    }
    chain_->resume(progress->last, progress->head);
    return {};
  }
  if (auto tag = held.tag_at(h.start); tag && h.join_start && *tag != *h.join_start) return forked(h, h.start);
  const Position known = std::max(held.durable_end(), reached_);
  if (known.value != 0 && h.start > known) verdict.gap = PositionRange{known, h.start};
  return {};
}

Status StreamIngest::check_held(const format::Frame& frame, const StreamLedger& held, bool& is_held) const {
  const format::FrameHeader& h = frame.header();
  is_held = false;
  if (auto tag = held.tag_at(h.end); tag && *tag != h.join) return forked(h, h.end);
  if (!held.holds(h.object, h.number)) return {};
  // Of a row of held frames the last one is remembered: its head stands for all of them.
  const ObjectProgress* known = held.before(h.object, std::uint64_t{h.number} + 1);
  if (known != nullptr && known->last.number == h.number && frame.head() != known->head) return refused(ErrorCode::kDamaged, h, "differs from the one that is held");
  is_held = true;
  return {};
}

Result<IngestVerdict> StreamIngest::accept(format::Frame frame, const StreamLedger& held) {
  const format::FrameHeader h = frame.header();
  if (h.stream != stream_) return refused(ErrorCode::kProtocol, h, "belongs to a stream that this session has not opened");
  if (h.generation > generation_) {
    return refused(ErrorCode::kSuperseded, h, fmt::format("generation {}, the session has {}", h.generation.value, generation_.value));
  }
  IngestVerdict verdict;
  const bool first = !chain_ || !chain_->started() || h.object != chain_->last().object;
  if (first) {
    STELE_CHECK(begin_object(frame, held, verdict));
    if (auto key = key_for_(h); !key.ok()) return key.error();
  }
  STELE_CHECK(chain_->accept(frame));
  bool is_held = false;
  STELE_CHECK(check_held(frame, held, is_held));
  unsigned_bytes_ += frame.encoded_size();
  const bool is_signed = !frame.signature().empty();
  if (!is_signed && h.last) return refused(ErrorCode::kProtocol, h, "the object's last frame is not signed");
  if (!is_signed && unsigned_bytes_ > max_unsigned_) return refused(ErrorCode::kProtocol, h, "too many frames without a signature");
  if (is_signed) {
    STELE_TRY(const crypto::VerifyKey* key, key_for_(h));
    STELE_CHECK(chain_->verify(frame, *key));
    verdict.ack = protocol::Ack{h.object, h.number, h.end, frame.head()};
  }
  // What follows a new frame is stored with it up to the signature, held or not: a run ends at a signed frame.
  if (!is_held || !pending_.empty()) pending_.push_back(std::move(frame));
  if (is_signed) {
    verdict.store = std::move(pending_);
    pending_.clear();
    unsigned_bytes_ = 0;
    reached_ = std::max(reached_, h.end);
  }
  return verdict;
}

}  // namespace stele::receiver
