#pragma once

#include "core/recovery/windows.h"

namespace stele::restore {

/// A moment of the windows of the current branch, each microsecond as likely as any other: a pure function of windows and seed.
/// kUnreachable when nothing can be restored.
Result<Timestamp> random_moment(const recovery::Survey& survey, std::uint64_t seed);

}  // namespace stele::restore
