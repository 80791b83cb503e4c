#pragma once

#include "core/base/result.h"

namespace stele::test {

/// A TCP port of 127.0.0.1 on which nothing listens now. Taken at random from below the kernel's own range for outgoing connections, so
/// that neither those nor another test's choice is likely to take it before the server under test does. kIo when none is found.
Result<int> free_port();

}  // namespace stele::test
