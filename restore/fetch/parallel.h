#pragma once

#include <cstddef>
#include <functional>

#include "core/base/result.h"

namespace stele::restore {

/// Runs work(i) for 0 <= i < count on up to `workers` threads, each taking the next i in order. The first error stops the others from
/// taking more and is the result. Blocks.
Status parallel_for(std::size_t count, std::size_t workers, const std::function<Status(std::size_t)>& work);

/// The number of workers for a configured value; 0: one for each core.
std::size_t worker_count(int configured);

}  // namespace stele::restore
