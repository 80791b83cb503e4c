#include "core/base/error.h"

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace stele {

namespace {

struct CodeInfo {
  ErrorCode code;
  std::string_view name;
  int exit;
  bool temporary;
};

constexpr CodeInfo kCodes[] = {
    {ErrorCode::kInternal, "internal", 1, false},
    {ErrorCode::kIo, "io", 1, false},
    {ErrorCode::kDiskFull, "disk_full", 1, false},
    {ErrorCode::kNotFound, "not_found", 1, false},
    {ErrorCode::kExists, "exists", 1, false},
    {ErrorCode::kUnsupported, "unsupported", 1, false},
    {ErrorCode::kDatabase, "database", 1, false},
    {ErrorCode::kUsage, "usage", 2, false},
    {ErrorCode::kConfig, "config", 2, false},
    {ErrorCode::kUnreachable, "unreachable", 3, false},
    {ErrorCode::kAmbiguous, "ambiguous", 3, false},
    {ErrorCode::kDamaged, "damaged", 4, false},
    {ErrorCode::kForged, "forged", 4, false},
    {ErrorCode::kUnauthorised, "unauthorised", 5, false},
    {ErrorCode::kKeyMissing, "key_missing", 5, false},
    {ErrorCode::kKeyWrong, "key_wrong", 5, false},
    {ErrorCode::kFork, "fork", 1, false},
    {ErrorCode::kSuperseded, "superseded", 5, false},
    {ErrorCode::kGap, "gap", 4, false},
    {ErrorCode::kTemporary, "temporary", 75, true},
    {ErrorCode::kTimeout, "timeout", 75, true},
    {ErrorCode::kClosed, "closed", 75, true},
    {ErrorCode::kCancelled, "cancelled", 75, true},
    {ErrorCode::kLimit, "limit", 75, true},
    {ErrorCode::kProtocol, "protocol", 1, true},
};

const CodeInfo& info(ErrorCode code) {
  for (const CodeInfo& entry : kCodes) {
    if (entry.code == code) return entry;
  }
  return kCodes[0];
}

}  // namespace

int exit_code(ErrorCode code) { return info(code).exit; }
std::string_view error_name(ErrorCode code) { return info(code).name; }
bool is_temporary(ErrorCode code) { return info(code).temporary; }

std::string Error::to_string() const { return hint.empty() ? what : fmt::format("{} (hint: {})", what, hint); }

Error Error::in(std::string_view context) const { return Error{code, fmt::format("{}: {}", context, what), hint}; }

Error Error::with_hint(std::string_view text) const { return Error{code, what, std::string(text)}; }

Error system_error(std::string_view tried, std::string_view subject, int number) {
  ErrorCode code = ErrorCode::kIo;
  std::string hint;
  switch (number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      code = ErrorCode::kDiskFull;
      hint = "free space on this file system or move the directory to a larger one";
      break;
    case ENOENT:
    case ENOTDIR:  // a component of the path is a file: what was asked for does not exist
      code = ErrorCode::kNotFound;
      break;
    case EEXIST:
    case ENOTEMPTY:
      code = ErrorCode::kExists;
      break;
    default:
      break;
  }
  return Error{code, fmt::format("{} {}: {}", tried, subject, std::generic_category().message(number)), std::move(hint)};
}

}  // namespace stele
