#pragma once

#include <fmt/format.h>
#include <toml++/toml.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "core/config/toml_reader.h"

// Inside of ConfigReader and TableReader: the parsed file and what was asked of it. Included by their two .cc files
// only.
namespace stele::config {
namespace detail {

/// A table of the file and the keys asked for in it. `source` is null for a table that the file does not have.
struct Table {
  const toml::table* source = nullptr;
  std::string name;         ///< "spool", "receiver[2]"; empty for the root
  std::string description;  ///< "spool", "receiver[]"
  std::map<std::string, Table*, std::less<>> children;
  std::vector<std::string> keys;
};

struct Problem {
  std::uint32_t line = 0, column = 0;
  std::string text;
  std::string hint;
};

struct Document {
  std::filesystem::path file;
  toml::table toml;
  bool describing = false;
  std::deque<Table> tables;  // stable addresses
  std::vector<Problem> problems;
  std::vector<KeyDescription> descriptions;

  void note(toml::source_position at, const Table& table, std::string_view key, std::string_view message,
            std::string_view hint) {
    if (describing) return;
    std::string where = table.name.empty() ? std::string(key) : fmt::format("[{}] {}", table.name, key);
    if (key.empty()) where = table.name.empty() ? "" : fmt::format("[{}]", table.name);
    problems.push_back({at.line, at.column,
                        where.empty() ? std::string(message) : fmt::format("{}: {}", where, message),
                        std::string(hint)});
  }

  void ask(Table& table, std::string_view key, std::string type, std::string fallback, std::string_view meaning) {
    table.keys.emplace_back(key);
    if (!describing) return;
    std::string full = table.description.empty() ? std::string(key) : table.description + "." + std::string(key);
    descriptions.push_back({std::move(full), std::move(type), std::move(fallback), std::string(meaning)});
  }
};

/// Where a table begins; {1, 1} for the root and for one that is missing.
inline toml::source_position place(const Table& table) {
  return table.source != nullptr && table.source->source().begin.line != 0 ? table.source->source().begin
                                                                           : toml::source_position{1, 1};
}

inline const toml::node* find(const Table& table, std::string_view key) {
  return table.source == nullptr ? nullptr : table.source->get(key);
}

inline std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "a list";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

}  // namespace detail
}  // namespace stele::config
