#include "agent/postgres/reconnect.h"

#include "agent/postgres/pg_error.h"

namespace stele::agent {
namespace {

using std::chrono::milliseconds;

struct Schedule {
  milliseconds first, cap;  // doubled from `first` up to `cap`
};

Schedule schedule(ReconnectReason reason) {
  switch (reason) {
    case ReconnectReason::kTimelineEnd:
      return {milliseconds(0), milliseconds(0)};
    case ReconnectReason::kLost:
    case ReconnectReason::kRefused:
    case ReconnectReason::kStartingUp:
    case ReconnectReason::kSlotActive:
      return {milliseconds(100), milliseconds(500)};
    case ReconnectReason::kShuttingDown:
      return {milliseconds(2000), milliseconds(5000)};
    case ReconnectReason::kBusy:
      return {milliseconds(1000), milliseconds(10000)};
    case ReconnectReason::kUnauthorised:
    case ReconnectReason::kOther:
      break;
  }
  return {milliseconds(5000), milliseconds(60000)};
}

constexpr Duration kStable = std::chrono::seconds(10);
// Ordinary requests are half of wal_sender_timeout (4 s) apart.
constexpr Duration kQuickRequest = milliseconds(1500);

}  // namespace

std::string_view reconnect_reason_name(ReconnectReason reason) {
  switch (reason) {
    case ReconnectReason::kLost:
      return "lost";
    case ReconnectReason::kRefused:
      return "refused";
    case ReconnectReason::kStartingUp:
      return "starting_up";
    case ReconnectReason::kShuttingDown:
      return "shutting_down";
    case ReconnectReason::kSlotActive:
      return "slot_active";
    case ReconnectReason::kTimelineEnd:
      return "timeline_end";
    case ReconnectReason::kBusy:
      return "busy";
    case ReconnectReason::kUnauthorised:
      return "unauthorised";
    case ReconnectReason::kOther:
      break;
  }
  return "other";
}

ReconnectReason reconnect_reason(const Error& error) {
  const std::string state = sqlstate_of(error);
  if (state == "57P03") {
    // One SQLSTATE for both; the text is in the server's language, so an unknown one counts as starting up (asked more
    // often).
    for (std::string_view word : {"shutting down", "正在关闭", "正在關閉"}) {
      if (error.what.find(word) != std::string::npos) return ReconnectReason::kShuttingDown;
    }
    return ReconnectReason::kStartingUp;
  }
  if (state == "55006") return ReconnectReason::kSlotActive;
  if (state == "53300" || state == "53400") return ReconnectReason::kBusy;
  if (state == "57P01" || state == "57P02") return ReconnectReason::kLost;
  if (error.code == ErrorCode::kUnauthorised || state == "42501") return ReconnectReason::kUnauthorised;
  if (state.empty() && error.code == ErrorCode::kClosed) {
    return error.what.rfind("connect on ", 0) == 0 ? ReconnectReason::kRefused : ReconnectReason::kLost;
  }
  if (error.code == ErrorCode::kTimeout) return ReconnectReason::kRefused;
  return ReconnectReason::kOther;
}

Duration ReconnectPolicy::failed(ReconnectReason reason, Instant now) {
  // A stream that broke after it had worked is tried again at once; one that breaks at its start again and again is
  // not.
  bool at_once = false;
  if (streaming_since_) {
    if (now - *streaming_since_ >= kStable) attempts_ = 0;
    at_once = attempts_ == 0 && reason == ReconnectReason::kLost;
    streaming_since_.reset();
  }
  if (reason != last_) attempts_ = std::min(attempts_, 1);
  last_ = reason;
  const int doublings = std::clamp(attempts_, 0, 16);
  ++attempts_;
  if (at_once) return Duration(0);
  const Schedule s = schedule(reason);
  return std::min<Duration>(s.first * (std::int64_t{1} << doublings), s.cap);
}

void ReconnectPolicy::streaming(Instant now) {
  if (!streaming_since_) streaming_since_ = now;
}

void ShutdownDetector::data() {
  reset();
}

void ShutdownDetector::reset() {
  quick_requests_ = 0;
  last_request_ = {};
}

void ShutdownDetector::keepalive(bool reply_requested, Timestamp server_time) {
  if (!reply_requested) return;
  const bool quick = !last_request_.is_none() && server_time - last_request_ < kQuickRequest;
  quick_requests_ = quick ? quick_requests_ + 1 : 0;
  last_request_ = server_time;
}

}  // namespace stele::agent
