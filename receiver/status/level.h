#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stele::receiver {

enum class Level : std::uint8_t { kOk, kWarning, kCritical };
/// "ok", "warning", "critical".
std::string_view level_word(Level level);

/// One thing that is not as it should be, in words. `code` is stable: for filters, incidents and translations.
struct Reason {
  Level level = Level::kOk;
  std::string code;
  std::string en, zh;
};
Level worst(const std::vector<Reason>& reasons);

}  // namespace stele::receiver
