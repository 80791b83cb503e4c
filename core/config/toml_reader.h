#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/time.h"
#include "core/config/values.h"

namespace stele::config {

/// Stands where a default would: the key must be in the file.
inline constexpr std::nullopt_t kRequired = std::nullopt;

/// One key of a configuration file as its loader asked for it: the reference and the example files are checked against
/// these.
struct KeyDescription {
  std::string key;  ///< "spool.directory", "receiver[].address"
  std::string
      type;  ///< "string", "size", "duration", "rate", "integer 1..64", "true or false", "\"spool\" or \"none\""...
  std::string fallback;  ///< as TOML; "required" for a key without one; empty for tables
  std::string meaning;   ///< one or two sentences
};

namespace detail {
struct Document;
struct Table;
}  // namespace detail

/// Reads one table of a TOML file. Each function names a key once and gives parser, default and documentation together.
/// A wrong or missing value is noted with its place and a harmless value is returned: the loader goes on, and
/// `ConfigReader::finish` reports everything that is wrong at once. A copy reads the same table. One thread.
class TableReader {
 public:
  std::string string(std::string_view key, std::optional<std::string_view> fallback, std::string_view meaning);
  bool boolean(std::string_view key, std::optional<bool> fallback, std::string_view meaning);
  std::int64_t integer(std::string_view key, std::optional<std::int64_t> fallback, std::int64_t lowest,
                       std::int64_t highest, std::string_view meaning);
  /// "16MiB" or a plain number of bytes.
  std::uint64_t bytes(std::string_view key, std::optional<std::string_view> fallback, std::uint64_t lowest,
                      std::uint64_t highest, std::string_view meaning);
  Duration duration(std::string_view key, std::optional<std::string_view> fallback, Duration lowest, Duration highest,
                    std::string_view meaning);
  /// Bytes per second; 0 is unlimited.
  std::uint64_t rate(std::string_view key, std::optional<std::string_view> fallback, std::string_view meaning);
  /// A relative path is taken from the configuration file's directory. Fallback "" means "not set" and gives an empty
  /// path.
  std::filesystem::path path(std::string_view key, std::optional<std::string_view> fallback, std::string_view meaning);
  /// A text that turned out to be a path, made absolute the same way.
  std::filesystem::path path_of(const std::string& text) const;
  /// The same for a list.
  std::vector<std::filesystem::path> paths(std::string_view key, bool required, std::string_view meaning);
  std::vector<std::string> strings(std::string_view key, bool required, std::string_view meaning);
  /// "host:port". Fallback "" means "not set" and gives port 0.
  Endpoint endpoint(std::string_view key, std::optional<std::string_view> fallback, std::string_view meaning);

  /// One of a closed list of words, as a value of the caller's enumeration.
  template <typename E>
  E choice(std::string_view key, std::optional<std::string_view> fallback,
           std::initializer_list<std::pair<std::string_view, E>> choices, std::string_view meaning) {
    std::vector<std::string_view> words;
    for (const auto& [word, value] : choices) words.push_back(word);
    return (choices.begin() + word_index(key, fallback, words, meaning))->second;
  }

  /// A sub-table [key]. When the file has none, its keys have their defaults, and required ones are missing.
  TableReader table(std::string_view key, std::string_view meaning);
  /// An array of tables [[key]], in the file's order.
  std::vector<TableReader> tables(std::string_view key, std::size_t at_least, std::string_view meaning);
  /// True when the file has this key or table.
  bool has(std::string_view key) const;

  /// Notes an error of the loader's own at the place of `key` (or of the table): "file:line:column: [table] key:
  /// message".
  void fail(std::string_view key, std::string_view message, std::string_view hint = "");
  /// The parsed value of a text, or a noted error: `auto zone = t.parsed("time_zone", TimeZone::find(text))`.
  template <typename T>
  std::optional<T> parsed(std::string_view key, Result<T> result) {
    if (result.ok()) return std::move(result).value();
    if (!describing()) fail(key, result.error().what, result.error().hint);
    return std::nullopt;
  }
  /// True while only descriptions are collected: values are defaults, and checks across keys have no meaning.
  bool describing() const;

 private:
  friend class ConfigReader;
  TableReader(detail::Document* document, detail::Table* table) : document_(document), table_(table) {}
  std::size_t word_index(std::string_view key, std::optional<std::string_view> fallback,
                         const std::vector<std::string_view>& words, std::string_view meaning);
  detail::Document* document_;
  detail::Table* table_;
};

/// A configuration file being read. TableReaders live no longer than it.
class ConfigReader {
 public:
  /// Reads and parses a file (at most 1 MiB). kConfig with file:line:column when it is not TOML; kNotFound or kIo when
  /// it cannot be read.
  static Result<ConfigReader> open(const std::filesystem::path& file);
  /// The same from memory; relative paths are taken from `file`'s directory.
  static Result<ConfigReader> parse(std::string_view text, const std::filesystem::path& file);
  /// A reader without a file that only collects descriptions.
  static ConfigReader describe();

  ConfigReader(ConfigReader&&) noexcept;
  ConfigReader& operator=(ConfigReader&&) noexcept;
  ~ConfigReader();

  TableReader root();
  /// kConfig with every noted error and every key that nobody asked for (with the nearest known key), in the file's
  /// order.
  Status finish();
  const std::vector<KeyDescription>& descriptions() const;

 private:
  explicit ConfigReader(std::unique_ptr<detail::Document> document);
  std::unique_ptr<detail::Document> document_;
};

/// All keys of the file as a text table (key, type, default, meaning), for `--help` and the reference.
std::string format_descriptions(const std::vector<KeyDescription>& keys);

/// kConfig unless the file is a regular file that only its owner can read or write (0600 or stricter); kNotFound when
/// it is missing.
Status check_secret_file_mode(const std::filesystem::path& path);

}  // namespace stele::config
