#include <fmt/format.h>

#include <cctype>
#include <charconv>

#include "core/config/agent_config.h"

namespace stele::config {
namespace {

Error secret_found(std::string_view key) {
  return Error{ErrorCode::kConfig, fmt::format("the connection string holds a secret ({})", key),
               "put it into a password file of mode 0600 and name that with passfile=PATH (or use service=NAME); "
               "configuration holds no secrets"};
}

bool is_secret(std::string_view key) {
  return key == "password" || key == "sslpassword";
}

bool is_space(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

/// keyword = value pairs; a value may be quoted with ', and \ escapes (libpq, "Keyword/Value Connection Strings").
Status check_keywords(std::string_view text) {
  std::size_t i = 0;
  auto skip_spaces = [&] {
    while (i < text.size() && is_space(text[i])) ++i;
  };
  while (true) {
    skip_spaces();
    if (i == text.size()) return {};
    const std::size_t begin = i;
    while (i < text.size() && text[i] != '=' && !is_space(text[i])) ++i;
    const std::string_view key = text.substr(begin, i - begin);
    skip_spaces();
    if (i == text.size() || text[i] != '=') {
      return Error{ErrorCode::kConfig, fmt::format("the connection string has no \"=\" after \"{}\"", key), ""};
    }
    if (is_secret(key)) return secret_found(key);
    ++i;
    skip_spaces();
    const bool quoted = i < text.size() && text[i] == '\'';
    if (quoted) ++i;
    while (i < text.size() && (quoted ? text[i] != '\'' : !is_space(text[i]))) i += text[i] == '\\' ? 2 : 1;
    if (quoted && i >= text.size())
      return Error{ErrorCode::kConfig,
                   fmt::format("the value of \"{}\" in the connection string has no closing quote", key), ""};
    if (quoted) ++i;
    i = std::min(i, text.size());
  }
}

/// "%70assword" is "password"; what is not two hexadecimal digits stays.
std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const bool escaped = text[i] == '%' && i + 2 < text.size() &&
                         std::from_chars(text.data() + i + 1, text.data() + i + 3, value, 16).ptr == text.data() + i + 3;
    out += escaped ? static_cast<char>(value) : text[i];
    if (escaped) i += 2;
  }
  return out;
}

/// postgresql://user:password@host:port,host:port/database?key=value
Status check_uri(std::string_view text) {
  const std::string_view rest = text.substr(text.find("://") + 3);
  // A "?" in a password ends nothing: libpq looks for the "@" up to the first "/".
  const std::string_view authority = rest.substr(0, rest.find('/'));
  // libpq reads "user:password@" up to the first of ":/@".
  const std::size_t at = authority.find('@');
  if (at != std::string_view::npos && authority.substr(0, at).find(':') != std::string_view::npos)
    return secret_found("user:password@");
  std::size_t query = rest.find('?');
  while (query != std::string_view::npos) {
    const std::string_view pair = rest.substr(query + 1);
    const std::string key = percent_decoded(pair.substr(0, pair.find_first_of("=&")));
    if (is_secret(key)) return secret_found(key);
    const std::size_t next = pair.find('&');
    query = next == std::string_view::npos ? next : query + 1 + next;
  }
  return {};
}

}  // namespace

Status check_conninfo_without_secret(std::string_view conninfo) {
  if (conninfo.starts_with("postgresql://") || conninfo.starts_with("postgres://")) return check_uri(conninfo);
  return check_keywords(conninfo);
}

}  // namespace stele::config
