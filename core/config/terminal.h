#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

/// What the status commands need of a terminal: colour where it is wanted, one screen again and again, and foreign text without tricks.
namespace stele::cli {

enum class Paint { kBold, kDim, kGreen, kYellow, kRed };

/// Colours text, or leaves it as it is.
class Painter {
 public:
  explicit Painter(bool colour) : colour_(colour) {}
  std::string operator()(Paint paint, std::string_view text) const;

 private:
  bool colour_;
};

/// True when standard output is a terminal that takes colour, and NO_COLOR is not set (no-color.org).
bool wants_colour();
/// "zh" where the locale (LC_ALL, LC_MESSAGES, LANG) is Chinese, else "en": the language of reasons on the screen.
std::string_view locale_language();
/// Lines of the terminal on standard output; 0 when it is none.
std::size_t terminal_rows();

/// Without control characters (a terminal would obey them) and without direction overrides: each becomes '?'.
std::string printable(std::string_view text);

/// Calls `show` every `interval` until the process is told to stop; on a terminal the screen is written over. `show` gives the text.
[[noreturn]] void watch(std::chrono::seconds interval, const std::function<std::string()>& show);

}  // namespace stele::cli
