#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stele {

enum class Level : std::uint8_t { kOk, kWarning, kCritical };
/// "ok", "warning", "critical".
std::string_view level_word(Level level);

/// One thing that is not as it should be, in words. `code` is stable: for filters, incidents and translations. Agent and receiver use one
/// code for one thing.
struct Reason {
  Level level = Level::kOk;
  std::string code;
  std::string en, zh;
};
/// kOk when there is none.
Level worst(const std::vector<Reason>& reasons);

/// Collects reasons.
class Reasons {
 public:
  void add(Level level, std::string code, std::string english, std::string chinese);
  void critical(std::string code, std::string english, std::string chinese) { add(Level::kCritical, std::move(code), std::move(english), std::move(chinese)); }
  void warning(std::string code, std::string english, std::string chinese) { add(Level::kWarning, std::move(code), std::move(english), std::move(chinese)); }
  /// Gives them, in the order of their coming within a level.
  std::vector<Reason> worst_first();

 private:
  std::vector<Reason> all_;
};

}  // namespace stele
