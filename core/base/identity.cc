#include "core/base/identity.h"

#include <fmt/format.h>

#include <charconv>

namespace stele {

namespace {

bool parse_hex_u32(std::string_view text, std::uint32_t& out) {
  if (text.empty() || text.size() > 8) return false;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out, 16);
  return ec == std::errc() && end == text.data() + text.size();
}

bool name_ok(std::string_view name, std::size_t longest, bool underscore) {
  if (name.empty() || name.size() > longest || name[0] == '-') return false;
  for (char c : name) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || (underscore && c == '_'))) return false;
  }
  return true;
}

}  // namespace

std::string Position::to_string() const {
  return fmt::format("{:X}/{:X}", static_cast<std::uint32_t>(value >> 32), static_cast<std::uint32_t>(value));
}

Result<Position> parse_position(std::string_view text) {
  std::uint32_t high = 0, low = 0;
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !parse_hex_u32(text.substr(0, slash), high) || !parse_hex_u32(text.substr(slash + 1), low)) {
    return Error{ErrorCode::kUsage, fmt::format("'{}' is not a log position", text), "write it as 16/B374D848"};
  }
  return Position{static_cast<std::uint64_t>(high) << 32 | low};
}

Status check_database_name(const DatabaseName& name) {
  if (!name_ok(name.site, 32, false)) {
    return Error{ErrorCode::kConfig, fmt::format("'{}' is not a site name", name.site), "1 to 32 of a-z, 0-9 and '-', such as 440000"};
  }
  if (!name_ok(name.database, 63, true)) {
    return Error{ErrorCode::kConfig, fmt::format("'{}' is not a database name", name.database), "1 to 63 of a-z, 0-9, '-' and '_'"};
  }
  return {};
}

Result<DatabaseName> parse_database_name(std::string_view text) {
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    return Error{ErrorCode::kUsage, fmt::format("'{}' names no database", text), "write SITE/DATABASE, such as 440000/registry"};
  }
  DatabaseName name{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  STELE_CHECK(check_database_name(name));
  return name;
}

}  // namespace stele
