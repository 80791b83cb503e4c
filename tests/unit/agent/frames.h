#pragma once

#include "core/crypto/sign.h"
#include "core/format/log_object.h"
#include "tests/support/seeded_random.h"

namespace stele::agent {

/// Seals frames of small objects for tests of what carries them: each frame is `kFrameBytes` of log.
class FrameMaker {
 public:
  static constexpr std::uint64_t kFrameBytes = 1000;
  explicit FrameMaker(std::uint64_t seed = 7, Position begin = {0x1000000}) : random_(seed), end_(begin) {
    stream_ = random_.draw<StreamId>();
    data_key_ = crypto::SecretBytes::random(32, random_);
  }

  const StreamId& stream() const { return stream_; }
  Position end() const { return end_; }
  /// Goes on elsewhere: another stream, or the same one again from an earlier position.
  void restart(Position begin, bool new_stream = false) {
    end_ = begin;
    object_.reset();
    if (new_stream) stream_ = random_.draw<StreamId>();
  }
  void new_object() { object_.reset(); }

  format::Frame log(bool is_signed = true, std::uint64_t bytes = kFrameBytes) {
    begin();
    format::Frame frame = object_->seal_log(random_.bytes(bytes), random_.draw<JoinTag>(), {}).value();
    end_ = frame.header().end;
    return finish(std::move(frame), is_signed);
  }
  format::Frame as_of() {
    begin();
    return finish(object_->seal_as_of(random_.draw<JoinTag>(), {}).value(), true);
  }
  format::Frame index(bool is_signed = true) {
    begin();
    format::Frame frame = object_->seal_index({}, random_.draw<JoinTag>(), {}).value();
    object_.reset();
    return finish(std::move(frame), is_signed);
  }
  format::SignedRecord fact() {
    return format::sign_record(format::RecordKind::kFact, random_.bytes(60), signer_).value();
  }

 private:
  void begin() {
    if (object_) return;
    format::LogObjectSealer::Options options;
    options.stream = stream_;
    options.start = end_;
    object_ = std::make_unique<format::LogObjectSealer>(format::LogObjectSealer::begin(options, data_key_, random_).value());
  }
  format::Frame finish(format::Frame frame, bool is_signed) {
    if (is_signed) format::sign_batch(frame, signer_);
    return frame;
  }

  test::SeededRandom random_;
  crypto::SigningKey signer_ = crypto::SigningKey::generate(crypto::default_suite(), random_);
  crypto::SecretBytes data_key_;
  StreamId stream_;
  Position end_;
  std::unique_ptr<format::LogObjectSealer> object_;
};

template <typename... Frames>
std::vector<format::Frame> batch(Frames... frames) {
  std::vector<format::Frame> out;
  (out.push_back(std::move(frames)), ...);
  return out;
}

}  // namespace stele::agent
