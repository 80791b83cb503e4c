#include "restore/drill/assertion.h"

#include <fmt/format.h>

namespace stele::restore {
namespace {

constexpr std::string_view kMark = "--!";

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

Result<Assertion> parse_assertion(std::string file, std::string_view text) {
  if (text.size() > kMaxAssertionBytes) return Error{ErrorCode::kConfig, fmt::format("{}: larger than 1 MiB", file), ""};
  if (text.find('\0') != std::string_view::npos) return Error{ErrorCode::kConfig, fmt::format("{}: a NUL byte", file), ""};
  Assertion out;
  out.file = std::move(file);
  int number = 0;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (!trim(line).starts_with(kMark)) {
      out.query.append(line).append("\n");
      continue;
    }
    out.query += "\n";  // lines keep their numbers
    const std::string_view field = trim(line).substr(kMark.size());
    const std::size_t colon = field.find(':');
    const std::string_view key = trim(field.substr(0, colon)), value = colon == std::string_view::npos ? "" : trim(field.substr(colon + 1));
    auto wrong = [&](std::string_view why) { return Error{ErrorCode::kConfig, fmt::format("{}:{}: {}", out.file, number, why), "--! title: ..., title.en: ..., database: ..., expect: no rows | VALUE"}; };
    if (value.empty()) return wrong("a \"--!\" line is \"--! key: value\"");
    if (key == "title") {
      out.title_zh = value;
    } else if (key == "title.en") {
      out.title_en = value;
    } else if (key == "database") {
      out.database = value;
    } else if (key == "expect") {
      if (value != "no rows") out.expected = std::string(value);
    } else {
      return wrong(fmt::format("unknown key \"{}\"", key));
    }
  }
  while (!out.query.empty() && (out.query.back() == ';' || out.query.back() == ' ' || out.query.back() == '\n' || out.query.back() == '\t' || out.query.back() == '\r')) {
    out.query.pop_back();
  }
  if (trim(out.query).empty()) return Error{ErrorCode::kConfig, fmt::format("{}: no query", out.file), ""};
  if (out.title_zh.empty()) out.title_zh = out.title_en.empty() ? out.file : out.title_en;
  if (out.title_en.empty()) out.title_en = out.title_zh;
  return out;
}

std::string Assertion::statement() const {
  // The query's last line may be a comment, so the bracket stands on a line of its own.
  return fmt::format("SELECT {} FROM ({}\n) AS assertion", expected ? "*" : "count(*)", query);
}

bool may_show(std::string_view value) { return !value.empty() && value.size() <= 10 && value.find_first_not_of("0123456789") == std::string_view::npos; }

}  // namespace stele::restore
