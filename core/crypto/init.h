#pragma once

#include <cstddef>

#include "core/base/result.h"

namespace stele::crypto {

/// Prepares libsodium; every program calls it first. Any thread, any number of times.
/// kInternal when the machine gives no random numbers.
Status init();

/// Keeps secrets out of core dumps and away from ptrace by other processes of the same user: PR_SET_DUMPABLE 0 and
/// RLIMIT_CORE 0. Called once at start, before any key is loaded. kIo when the system refuses.
Status harden_process();

/// Tries to lock `bytes` of memory, then gives them back. kLimit with the limit that is needed in the hint; kIo
/// otherwise. Keys work without locked memory, but may then reach the swap device: programs show this status at start
/// and in `check`.
Status probe_mlock(std::size_t bytes = 1 << 20);

}  // namespace stele::crypto
