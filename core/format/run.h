#pragma once

#include <vector>

#include "core/format/frame.h"

namespace stele::format {

/// The head of a run: consecutive frames [first, last] of one object, sealed by a receiver without keys. FORMATS.md section 5.
/// The receiver's word: hashes show rot in it, but nobody signs it. read_run compares it with the signed frames; only `received` has no
/// other witness, and `epoch_record` is believed only after its own signature and id were checked.
struct RunHead {
  crypto::SuiteId suite = crypto::SuiteId::kAes256GcmSha256;
  StreamId stream;
  Generation generation;
  EpochId epoch;
  ObjectId object;
  std::uint32_t first = 0, last = 0;
  PositionRange range;
  JoinTag join_start;  ///< join tag at range.begin (zero where a run does not begin an object: the run before has it)
  JoinTag join_end;
  Timestamp min_commit, max_commit;
  Timestamp first_server_time, last_server_time;  ///< source's clock at the first and last frame: the last is the run's as-of
  Timestamp received;                             ///< the receiver's clock when the last frame was durable
  Bytes epoch_record;                             ///< copied here so that a run can be opened alone
  Digest signatures;                              ///< hash of all frames' signatures: the inner ones are under no other

  std::size_t head_size = 0;     ///< set by parse: where the first frame starts
  std::uint64_t frames_size = 0; ///< bytes of all frames
};

/// A whole run as an object for the store. The frames are one object's, consecutive, and the last one is signed; kInternal otherwise.
/// Every signature is kept: where the end of a run is lost, what lies before an inner one can still be believed.
Result<Bytes> encode_run(const std::vector<Frame>& frames, ByteView epoch_record, Timestamp received);

/// `bytes` may be only the front of the file, at least kRunHeadProbe of it or the whole. kDamaged, kUnsupported.
Result<RunHead> parse_run_head(ByteView bytes);
inline constexpr std::size_t kRunHeadProbe = 16 << 10;
/// The largest epoch record that a run's head can carry.
inline constexpr std::size_t kMaxRunEpochRecord = kRunHeadProbe - 1024;

/// Calls `on_frame` for each frame of a whole run, having checked that they are the ones the head names. The chain is checked from
/// the run's first frame on; for frame 0 from the start. The signature of the last frame is checked where `key` is given. Frames are given as
/// they are read: none counts before the result is good. kDamaged; kForged for the signature or a head that contradicts the frames.
Status read_run(ByteView bytes, const crypto::VerifyKey* key, const std::function<Status(Frame)>& on_frame);

}  // namespace stele::format
