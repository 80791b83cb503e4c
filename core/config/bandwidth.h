#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/time.h"
#include "core/config/cron.h"

namespace stele::config {

/// Hours of the local day with their own limit. `begin` > `end` goes over midnight.
struct BandwidthWindow {
  int begin_minute = 0;                ///< 0 to 1439
  int end_minute = 0;                  ///< exclusive, 1 to 1440
  std::uint64_t bytes_per_second = 0;  ///< 0: unlimited
  bool contains(int minute_of_day) const;
};

/// "08:00-20:00", "22:00-06:00", "00:00-24:00"; begin and end must differ. The limit is left 0. kConfig otherwise.
Result<BandwidthWindow> parse_hours(std::string_view text);

/// How fast the uplink may send at a moment. Pure.
class BandwidthPlan {
 public:
  BandwidthPlan() = default;
  BandwidthPlan(TimeZone zone, std::uint64_t limit, std::vector<BandwidthWindow> windows)
      : zone_(zone), limit_(limit), windows_(std::move(windows)) {}

  /// Bytes per second, 0 = unlimited: the first window that holds the local time, else the general limit.
  std::uint64_t limit_at(Timestamp now) const;

 private:
  TimeZone zone_;
  std::uint64_t limit_ = 0;
  std::vector<BandwidthWindow> windows_;
};

}  // namespace stele::config
