#pragma once

#include <chrono>

#include "core/base/text.h"
#include "restore/drill/result.h"

namespace stele::restore {

inline constexpr std::size_t kMaxDetail = 500;  ///< bytes of a check's detail

/// Makes one check of what `look` finds: measures it, and what ends in an error has failed with the error's text. `look` gets the check, and
/// gives a Status.
template <typename Look>
Check measured_check(std::string name, std::string zh, std::string en, Look look) {
  Check out{std::move(name), std::move(zh), std::move(en), CheckResult::kFailed, "", 0, ""};
  const auto begin = std::chrono::steady_clock::now();
  Status done = look(out);
  out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!done.ok()) {
    out.result = CheckResult::kFailed;
    out.detail = done.error().what;
    out.detail_zh.clear();
  }
  out.detail = one_line(out.detail, kMaxDetail);
  return out;
}

}  // namespace stele::restore
