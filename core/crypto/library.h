#pragma once

#include <string_view>

namespace stele::crypto {

/// Ends the program: a library call that cannot fail with checked arguments did fail. There is nothing safe to go on
/// with.
[[noreturn]] void library_failure(std::string_view call);

/// init(), where no Status can be returned.
void require_library();

inline void require(bool done, std::string_view call) {
  if (!done) library_failure(call);
}

}  // namespace stele::crypto
