#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace stele::restore {

/// One parameter and its value, unquoted, as PostgreSQL would see it.
struct Setting {
  std::string name;
  std::string value;
  bool operator==(const Setting&) const = default;
};

/// What one line of a configuration file says.
enum class ConfigLineKind {
  kEmpty,             ///< nothing, or only a comment
  kSetting,           ///< name [=] value
  kInclude,           ///< include 'FILE'
  kIncludeIfExists,   ///< include_if_exists 'FILE'
  kIncludeDirectory,  ///< include_dir 'DIRECTORY'
  kBad,               ///< PostgreSQL would refuse the file because of this line
};

struct ConfigLine {
  ConfigLineKind kind = ConfigLineKind::kEmpty;
  std::size_t number = 0;  ///< from 1
  std::string text;        ///< as it stands in the file, without the line end
  std::string name;        ///< lower case; of a setting or a directive
  std::string value;       ///< unquoted
};

/// Larger files are refused: a restored file is hostile input.
inline constexpr std::size_t kMaxConfigFileSize = 4 << 20;

/// Reads text in the syntax of postgresql.conf (utils/misc/guc-file.l). Never fails: a line that PostgreSQL would
/// refuse is kBad. Values are data; nothing is executed or followed.
std::vector<ConfigLine> parse_config(std::string_view text);

/// "name = 'value'" with the quoting that guc-file.l undoes exactly (quotes doubled, backslashes and control characters
/// escaped). kConfig for a name that is none, and for a value with a NUL byte.
Result<std::string> config_line(const Setting& setting);

/// One word for /bin/sh, whatever bytes it has (NUL is not allowed: kConfig).
Result<std::string> shell_quote(std::string_view word);

/// A restore_command: the words quoted for the shell with every % doubled, then "%f" and "%p", which PostgreSQL
/// replaces by the name of the file and where to write it (access/transam/xlogarchive.c). words[0] must be an absolute
/// path: kConfig otherwise.
Result<std::string> make_restore_command(const std::vector<std::string>& words);

/// A boolean as PostgreSQL reads it ("on", "TRUE", "y", "1", ... and unique prefixes); nothing when it is none.
std::optional<bool> parse_bool(std::string_view text);

/// The words of a list such as shared_preload_libraries: comma-separated, perhaps double-quoted, blanks ignored
/// (utils/adt/varlena.c, SplitDirectoriesString). Nothing when the syntax is wrong.
std::optional<std::vector<std::string>> split_list(std::string_view text);
/// The opposite.
std::string join_list(const std::vector<std::string>& words);

}  // namespace stele::restore
