#include "restore/postgres/config_file.h"

#include <fmt/format.h>

#include <algorithm>

namespace stele::restore {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool is_ascii_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_letter(char c) {
  return is_ascii_letter(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool is_word(char c) {
  return is_letter(c) || is_digit(c);
}
bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

enum class Token { kNone, kId, kQualifiedId, kString, kUnquoted, kInteger, kReal, kEquals };

template <typename Predicate>
std::size_t run_of(std::string_view s, std::size_t at, Predicate p) {
  std::size_t n = 0;
  while (at + n < s.size() && p(s[at + n])) ++n;
  return n;
}

std::size_t match_id(std::string_view s) {
  return s.empty() || !is_letter(s[0]) ? 0 : run_of(s, 0, is_word);
}

std::size_t match_qualified(std::string_view s) {
  std::size_t first = match_id(s);
  if (first == 0 || first >= s.size() || s[first] != '.') return 0;
  std::size_t second = match_id(s.substr(first + 1));
  return second == 0 ? 0 : first + 1 + second;
}

std::size_t match_unquoted(std::string_view s) {
  if (s.empty() || !is_letter(s[0])) return 0;
  return run_of(s, 0, [](char c) { return is_word(c) || c == '-' || c == '.' || c == ':' || c == '/'; });
}

std::size_t match_string(std::string_view s) {
  if (s.empty() || s[0] != '\'') return 0;
  std::size_t best = 0;
  for (std::size_t i = 1; i < s.size();) {
    if (s[i] == '\\') {
      i += 2;  // beyond the end: no match for this backslash
    } else if (s[i] == '\'') {
      best = i + 1;
      if (i + 1 >= s.size() || s[i + 1] != '\'') return best;
      i += 2;  // a doubled quote; when nothing closes the string later, the first of the two did
    } else {
      ++i;
    }
  }
  return best;
}

std::size_t match_integer(std::string_view s) {
  std::size_t at = !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
  std::size_t best = 0;
  if (std::size_t n = run_of(s, at, is_digit); n > 0) best = at + n + run_of(s, at + n, is_ascii_letter);
  if (s.substr(at).starts_with("0x")) {
    if (std::size_t n = run_of(s, at + 2, is_hex); n > 0)
      best = std::max(best, at + 2 + n + run_of(s, at + 2 + n, is_ascii_letter));
  }
  return best;
}

std::size_t match_real(std::string_view s) {
  std::size_t at = !s.empty() && (s[0] == '-' || s[0] == '+') ? 1 : 0;
  at += run_of(s, at, is_digit);
  if (at >= s.size() || s[at] != '.') return 0;
  ++at;
  at += run_of(s, at, is_digit);
  if (at < s.size() && (s[at] == 'e' || s[at] == 'E')) {
    std::size_t e = at + 1;
    if (e < s.size() && (s[e] == '-' || s[e] == '+')) ++e;
    if (std::size_t n = run_of(s, e, is_digit); n > 0) at = e + n;
  }
  return at;
}

/// The longest match wins; of equal ones the first in guc-file.l.
Token next_token(std::string_view& rest, std::string_view& text) {
  rest.remove_prefix(run_of(rest, 0, is_blank));
  if (rest.empty() || rest[0] == '#') return Token::kNone;
  Token best = Token::kNone;
  std::size_t length = 0;
  auto offer = [&](Token token, std::size_t n) {
    if (n > length) best = token, length = n;
  };
  offer(Token::kId, match_id(rest));
  offer(Token::kQualifiedId, match_qualified(rest));
  offer(Token::kString, match_string(rest));
  offer(Token::kUnquoted, match_unquoted(rest));
  offer(Token::kInteger, match_integer(rest));
  offer(Token::kReal, match_real(rest));
  offer(Token::kEquals, rest[0] == '=' ? 1 : 0);
  text = rest.substr(0, length);
  rest.remove_prefix(length);
  return best;
}

bool at_end(std::string_view rest) {
  rest.remove_prefix(run_of(rest, 0, is_blank));
  return rest.empty() || rest[0] == '#';
}

/// guc-file.l, DeescapeQuotedString.
std::string unquote(std::string_view quoted) {
  std::string_view s = quoted.substr(1, quoted.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '\\') {
      if (++i >= s.size()) break;
      switch (s[i]) {
        case 'b':
          out += '\b';
          break;
        case 'f':
          out += '\f';
          break;
        case 'n':
          out += '\n';
          break;
        case 'r':
          out += '\r';
          break;
        case 't':
          out += '\t';
          break;
        case '0':
        case '1':
        case '2':
        case '3':
        case '4':
        case '5':
        case '6':
        case '7': {
          unsigned value = 0;
          std::size_t digits = 0;
          while (digits < 3 && i < s.size() && s[i] >= '0' && s[i] <= '7')
            value = value * 8 + static_cast<unsigned>(s[i] - '0'), ++i, ++digits;
          --i;
          if (static_cast<char>(value) == '\0') return out;  // a C string ends here
          out += static_cast<char>(value);
          break;
        }
        default:
          out += s[i];
      }
    } else {
      if (s[i] == '\'' && i + 1 < s.size() && s[i + 1] == '\'') ++i;
      out += s[i];
    }
  }
  return out;
}

void parse_line(ConfigLine& line) {
  std::string_view rest = line.text, text;
  if (at_end(rest)) return;
  line.kind = ConfigLineKind::kBad;
  if (line.text.find('\0') != std::string::npos) return;
  Token token = next_token(rest, text);
  if (token != Token::kId && token != Token::kQualifiedId) return;
  line.name = lower(text);
  token = next_token(rest, text);
  if (token == Token::kEquals) token = next_token(rest, text);
  if (token == Token::kString) {
    line.value = unquote(text);
  } else if (token == Token::kId || token == Token::kUnquoted || token == Token::kInteger || token == Token::kReal) {
    line.value = text;
  } else {
    return;
  }
  if (!at_end(rest)) return;
  line.kind = line.name == "include"             ? ConfigLineKind::kInclude
              : line.name == "include_if_exists" ? ConfigLineKind::kIncludeIfExists
              : line.name == "include_dir"       ? ConfigLineKind::kIncludeDirectory
                                                 : ConfigLineKind::kSetting;
}

}  // namespace

std::vector<ConfigLine> parse_config(std::string_view text) {
  std::vector<ConfigLine> lines;
  while (!text.empty()) {
    std::size_t end = text.find('\n');
    ConfigLine line;
    line.number = lines.size() + 1;
    line.text = text.substr(0, end);
    parse_line(line);
    lines.push_back(std::move(line));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return lines;
}

Result<std::string> config_line(const Setting& setting) {
  if (setting.name.empty() ||
      (match_id(setting.name) != setting.name.size() && match_qualified(setting.name) != setting.name.size())) {
    return Error{ErrorCode::kConfig, fmt::format("write setting '{}': this is not a parameter name", setting.name), ""};
  }
  std::string quoted;
  for (char c : setting.value) {
    switch (c) {
      case '\0':
        return Error{ErrorCode::kConfig, fmt::format("write setting {}: its value has a NUL byte", setting.name), ""};
      case '\'':
        quoted += "''";
        break;
      case '\\':
        quoted += "\\\\";
        break;
      case '\n':
        quoted += "\\n";
        break;
      case '\r':
        quoted += "\\r";
        break;
      default:
        quoted += c;
    }
  }
  return fmt::format("{} = '{}'", setting.name, quoted);
}

Result<std::string> shell_quote(std::string_view word) {
  std::string out = "'";
  for (char c : word) {
    if (c == '\0') return Error{ErrorCode::kConfig, "quote a word for the shell: it has a NUL byte", ""};
    if (c == '\'')
      out += "'\\''";
    else
      out += c;
  }
  return out + "'";
}

Result<std::string> make_restore_command(const std::vector<std::string>& words) {
  if (words.empty() || !words[0].starts_with('/')) {
    return Error{ErrorCode::kConfig, "make restore_command: the program must be given by its absolute path", ""};
  }
  std::string command;
  for (const auto& word : words) {
    STELE_TRY(std::string quoted, shell_quote(word));
    for (char c : quoted) command += c == '%' ? std::string("%%") : std::string(1, c);
    command += ' ';
  }
  return command + R"("%f" "%p")";
}

std::optional<bool> parse_bool(std::string_view text) {
  std::string s = lower(text);
  auto prefix_of = [&](std::string_view word, std::size_t least) { return s.size() >= least && word.starts_with(s); };
  if (prefix_of("true", 1) || prefix_of("yes", 1) || s == "on" || s == "1") return true;
  if (prefix_of("false", 1) || prefix_of("no", 1) || prefix_of("off", 2) || s == "0") return false;
  return std::nullopt;
}

std::optional<std::vector<std::string>> split_list(std::string_view text) {
  auto space = [](char c) { return is_blank(c) || c == '\n' || c == '\f' || c == '\v'; };
  std::vector<std::string> words;
  std::size_t at = run_of(text, 0, space);
  if (at == text.size()) return words;
  for (;;) {
    std::string word;
    if (at < text.size() && text[at] == '"') {
      for (++at;; ++at) {
        if (at >= text.size()) return std::nullopt;
        if (text[at] == '"') {
          if (at + 1 < text.size() && text[at + 1] == '"')
            ++at;
          else
            break;
        }
        word += text[at];
      }
      ++at;
    } else {
      while (at < text.size() && text[at] != ',') word += text[at++];
      while (!word.empty() && space(word.back())) word.pop_back();
      if (word.empty()) return std::nullopt;
    }
    words.push_back(std::move(word));
    at += run_of(text, at, space);
    if (at == text.size()) return words;
    if (text[at] != ',') return std::nullopt;
    ++at;
    at += run_of(text, at, space);
  }
}

std::string join_list(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) {
    if (!out.empty()) out += ", ";
    bool plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
      return is_word(c) || c == '/' || c == '.' || c == '-' || c == '$';
    });
    if (plain) {
      out += word;
      continue;
    }
    out += '"';
    for (char c : word) out += c == '"' ? std::string("\"\"") : std::string(1, c);
    out += '"';
  }
  return out;
}

}  // namespace stele::restore
