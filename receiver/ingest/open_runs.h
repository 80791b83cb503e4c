#pragma once

#include <map>
#include <optional>
#include <vector>

#include "core/base/time.h"
#include "core/format/frame.h"
#include "core/io/journal_reader.h"

namespace stele::receiver {

/// A frame that lies in the journal and in no run.
struct LandedRef {
  io::RecordId record;
  std::uint32_t number = 0;
  std::uint32_t size = 0;   ///< bytes of the encoded frame
  bool is_signed = false;
};

/// Consecutive frames of one object that are to become a run.
struct OpenRun {
  StreamId stream;
  ObjectId object;
  EpochId epoch;
  PositionRange range;
  std::vector<LandedRef> frames;
  std::uint64_t bytes = 0;
  Timestamp first_received, last_received;
  bool finished = false;  ///< the object's last frame is here
  int attempts = 0;       ///< to seal it, which failed because of what it is made of
};

struct SealRules {
  Duration after{};
  std::uint64_t max_run_bytes = 0;
};

/// The frames of one database between journal and store. Pure; the owner guards it.
class OpenRuns {
 public:
  /// A durable frame. Frames of one object come in order; a hole in the numbers begins another run.
  void add(const format::FrameHeader& header, LandedRef ref, Timestamp received);

  /// Takes out the runs that are to be sealed now, each ending at a signed frame: finished ones, old ones, large ones; all of them with
  /// `everything`. They count as being sealed until done() or failed().
  std::vector<OpenRun> take(Timestamp now, const SealRules& rules, bool everything);
  /// The run is durable in the store.
  void done(const OpenRun& run);
  /// It is not: it will be taken again.
  void failed(OpenRun run);

  std::size_t open() const { return open_.size(); }
  std::uint64_t bytes() const { return bytes_; }  ///< in the journal and not in a run, those being sealed included
  bool sealing() const { return sealing_ != 0; }

 private:
  bool is_due(const OpenRun& run, Timestamp now, const SealRules& rules) const;
  std::map<std::pair<StreamId, ObjectId>, OpenRun> open_;
  std::vector<OpenRun> ready_;  ///< closed by a hole or given back
  std::size_t sealing_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace stele::receiver
