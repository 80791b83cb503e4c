#include "core/config/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

namespace stele::cli {

std::string Painter::operator()(Paint paint, std::string_view text) const {
  if (!colour_) return std::string(text);
  const char* code = "";
  switch (paint) {
    case Paint::kBold: code = "1"; break;
    case Paint::kDim: code = "2"; break;
    case Paint::kGreen: code = "32"; break;
    case Paint::kYellow: code = "33"; break;
    case Paint::kRed: code = "1;31"; break;
  }
  return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

bool wants_colour() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) != 0 && (no_colour == nullptr || *no_colour == '\0') && term != nullptr && std::string_view(term) != "dumb";
}

std::string_view locale_language() {
  for (const char* name : {"LC_ALL", "LC_MESSAGES", "LANG"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return std::string_view(value).starts_with("zh") ? "zh" : "en";
  }
  return "en";
}

std::size_t terminal_rows() {
  struct winsize size {};
  return ::isatty(STDOUT_FILENO) != 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

std::string printable(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto at = [&](std::size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0; };
    if (c < 0x20 || c == 0x7f) {
      out += '?';
    } else if (c == 0xc2 && at(1) >= 0x80 && at(1) <= 0x9f) {  // C1 controls
      out += '?';
      i += 1;
    } else if (c == 0xe2 && ((at(1) == 0x80 && ((at(2) >= 0xaa && at(2) <= 0xae) || at(2) == 0x8e || at(2) == 0x8f)) || (at(1) == 0x81 && at(2) >= 0xa6 && at(2) <= 0xa9))) {
      out += '?';  // direction marks, overrides and isolates
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

void watch(std::chrono::seconds interval, const std::function<std::string()>& show) {
  const bool terminal = ::isatty(STDOUT_FILENO) != 0;
  for (;;) {
    const std::string text = show();
    std::string out = terminal ? "\033[H\033[2J" + text : text + "\n";
    std::fwrite(out.data(), 1, out.size(), stdout);
    // A reader that went away ends the watch.
    if (std::fflush(stdout) != 0) std::exit(1);
    std::this_thread::sleep_for(interval);
  }
}

}  // namespace stele::cli
