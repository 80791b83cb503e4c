#include "agent/uplink/retry_policy.h"

#include <algorithm>

namespace stele::agent {

bool RetryPolicy::needs_a_person(const Error& error) {
  switch (error.code) {
    case ErrorCode::kSuperseded:
    case ErrorCode::kUnauthorised:
    case ErrorCode::kForged:
    case ErrorCode::kUnsupported:
    case ErrorCode::kConfig:
      return true;
    default:
      return false;
  }
}

Duration RetryPolicy::after(const Error& error, Duration session_lasted) {
  if (needs_a_person(error)) return kPerson;
  if (session_lasted >= std::chrono::seconds(30)) next_ = kFirst;
  return std::exchange(next_, std::min(next_ * 2, kLongest));
}

}  // namespace stele::agent
