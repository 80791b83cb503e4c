#pragma once

#include "core/base/error.h"
#include "core/base/time.h"

namespace stele::agent {

/// How long an uplink pauses before it connects again: 200 ms, doubling to 2 s, for commits may be waiting; a session that lasted 30 s starts anew. What a person
/// must mend (superseded, not authorised, forged) is asked every 30 s only. Pure.
class RetryPolicy {
 public:
  Duration after(const Error& error, Duration session_lasted);
  static bool needs_a_person(const Error& error);

 private:
  Duration next_ = kFirst;
  static constexpr Duration kFirst = std::chrono::milliseconds(200), kLongest = std::chrono::seconds(2), kPerson = std::chrono::seconds(30);
};

}  // namespace stele::agent
