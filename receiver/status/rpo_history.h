#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::receiver {

/// The recovery points of the last hours: one number each `kStep`, for each database at most `kSamples` of them. Pure; the owner guards it.
/// A moment at which nothing was looked at (the receiver did not run) is unknown, never zero.
class RpoHistory {
 public:
  static constexpr std::int64_t kStepSeconds = 30;
  static constexpr std::size_t kSamples = 24 * 3600 / kStepSeconds;

  /// The recovery point in seconds at `now`; several in one step: the largest counts.
  void add(const DatabaseName& database, Timestamp now, double seconds);

  struct Point {
    Timestamp time;
    float seconds = 0;  ///< negative: unknown
  };
  /// [from, now] in `points` equal parts, the largest value of each. Empty for an unknown database.
  std::vector<Point> series(const DatabaseName& database, Timestamp from, Timestamp now, std::size_t points) const;

  /// All of it as bytes, for a file, and back. kDamaged when they are not such bytes; samples older than kSamples steps before `now` are dropped.
  Bytes encode() const;
  static Result<RpoHistory> decode(ByteView bytes, Timestamp now);

 private:
  struct Ring {
    std::int64_t last = 0;  ///< number of the newest step, in kStepSeconds since 1970
    std::vector<float> values;  ///< by step modulo kSamples; negative: unknown
  };
  static float at(const Ring& ring, std::int64_t step);
  std::map<DatabaseName, Ring> rings_;
};

}  // namespace stele::receiver
