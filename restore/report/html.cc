#include "restore/report/html.h"

#include <fmt/format.h>

namespace stele::restore {

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      case '\'': out += "&#39;"; break;
      default: out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return out;
}

std::string show_time(Timestamp time, Language language) {
  if (time.is_none()) return language == Language::kChinese ? "未知" : "not known";
  const bool chinese = language == Language::kChinese;
  std::string text = to_iso8601(chinese ? time + std::chrono::hours(8) : time);
  text.pop_back();  // Z
  if (const std::size_t dot = text.find('.'); dot != std::string::npos) text.resize(std::min(text.size(), dot + 4));
  text[10] = ' ';
  return text + (chinese ? "(北京时间)" : " UTC");
}

std::string show_seconds(double seconds, Language language) {
  const bool zh = language == Language::kChinese;
  if (seconds < 60) return fmt::format("{:.1f} {}", seconds, zh ? "秒" : "s");
  const auto whole = static_cast<long long>(seconds + 0.5);
  const long long d = whole / 86400, h = whole / 3600 % 24, m = whole / 60 % 60, s = whole % 60;
  std::string out;
  const auto add = [&](long long n, const char* chinese, const char* english) {
    if (n != 0) out += fmt::format("{}{} {}", out.empty() ? "" : " ", n, zh ? chinese : english);
  };
  add(d, "天", "d");
  add(h, "小时", "h");
  add(m, "分", "min");
  if (d == 0 && h == 0) add(s, "秒", "s");
  return out;
}

}  // namespace stele::restore
