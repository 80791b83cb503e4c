#include "core/config/toml_reader.h"

#include <fmt/format.h>

#include "core/config/toml_document.h"

namespace stele::config {

using detail::Document;
using detail::Table;

namespace {

std::string quoted(std::string_view text) {
  return fmt::format("\"{}\"", text);
}

/// The one way every scalar is read: ask, look up, check the TOML type, parse; or take the fallback, or complain.
/// `parse(const toml::node&)` gives a Result; `fallback` is what to return when the key is absent.
template <typename T, typename Parse>
T read(Document& document, Table& table, std::string_view key, const std::string& type, std::optional<T> fallback,
       std::string fallback_text, std::string_view meaning, Parse parse) {
  document.ask(table, key, type, std::move(fallback_text), meaning);
  const toml::node* node = detail::find(table, key);
  if (node == nullptr) {
    if (fallback) return std::move(*fallback);
    document.note(detail::place(table), table, key, fmt::format("is missing, expected {}", type), "");
    return T{};
  }
  Result<T> value = parse(*node);
  if (value.ok()) return std::move(value).value();
  document.note(node->source().begin, table, key, value.error().what, value.error().hint);
  return fallback ? std::move(*fallback) : T{};
}

Error wrong_type(std::string_view expected, const toml::node& node) {
  return Error{ErrorCode::kConfig, fmt::format("expected {}, found {}", expected, detail::type_name(node)), ""};
}

Result<std::string> as_string(const toml::node& node, std::string_view expected) {
  const auto* text = node.as_string();
  if (text == nullptr) return wrong_type(expected, node);
  if (text->get().find('\0') != std::string::npos) return Error{ErrorCode::kConfig, "contains a NUL character", ""};
  return text->get();
}

Result<std::vector<std::string>> as_strings(const toml::node& node) {
  const auto* list = node.as_array();
  if (list == nullptr) return wrong_type("a list of strings", node);
  std::vector<std::string> out;
  for (const toml::node& element : *list) {
    STELE_TRY(std::string text, as_string(element, "a list of strings"));
    out.push_back(std::move(text));
  }
  return out;
}

std::filesystem::path from_directory_of(const std::filesystem::path& file, const std::string& text) {
  if (text.empty()) return {};
  std::filesystem::path path = (file.parent_path() / text).lexically_normal();
  return path.has_filename() || path == path.root_path() ? path : path.parent_path();  // no slash at the end
}

template <typename T>
Error out_of_range(std::string_view lowest, std::string_view highest, const T& found) {
  return Error{ErrorCode::kConfig, fmt::format("expected {} to {}, found {}", lowest, highest, found), ""};
}

/// Exact sizes for messages and the reference: "16MiB", not "16.0 MiB".
std::string exact_bytes(std::uint64_t bytes) {
  if (bytes == 0) return "0";
  constexpr std::pair<int, const char*> kUnits[] = {{40, "TiB"}, {30, "GiB"}, {20, "MiB"}, {10, "KiB"}};
  for (const auto& [shift, word] : kUnits) {
    if (bytes % (1ull << shift) == 0) return fmt::format("{}{}", bytes >> shift, word);
  }
  return fmt::format("{}", bytes);
}

std::optional<std::string> owned(std::optional<std::string_view> text) {
  return text ? std::optional<std::string>(std::string(*text)) : std::nullopt;
}

std::string fallback_of(std::optional<std::string_view> text) {
  return text ? quoted(*text) : "required";
}

}  // namespace

std::string TableReader::string(std::string_view key, std::optional<std::string_view> fallback,
                                std::string_view meaning) {
  return read<std::string>(*document_, *table_, key, "a string", owned(fallback), fallback_of(fallback), meaning,
                           [&](const toml::node& node) -> Result<std::string> {
                             STELE_TRY(std::string text, as_string(node, "a string"));
                             if (text.empty() && !fallback) return Error{ErrorCode::kConfig, "must not be empty", ""};
                             return text;
                           });
}

bool TableReader::boolean(std::string_view key, std::optional<bool> fallback, std::string_view meaning) {
  return read<bool>(*document_, *table_, key, "true or false", fallback,
                    fallback ? (*fallback ? "true" : "false") : "required", meaning,
                    [](const toml::node& node) -> Result<bool> {
                      if (const auto* value = node.as_boolean()) return value->get();
                      return wrong_type("true or false", node);
                    });
}

std::int64_t TableReader::integer(std::string_view key, std::optional<std::int64_t> fallback, std::int64_t lowest,
                                  std::int64_t highest, std::string_view meaning) {
  const std::string type = fmt::format("an integer, {} to {}", lowest, highest);
  return read<std::int64_t>(
      *document_, *table_, key, type, fallback, fallback ? fmt::format("{}", *fallback) : "required", meaning,
      [&](const toml::node& node) -> Result<std::int64_t> {
        const auto* value = node.as_integer();
        if (value == nullptr) return wrong_type(type, node);
        const std::int64_t number = value->get();
        if (number < lowest || number > highest)
          return Error{ErrorCode::kConfig, fmt::format("expected {}, found {}", type, number), ""};
        return number;
      });
}

std::uint64_t TableReader::bytes(std::string_view key, std::optional<std::string_view> fallback, std::uint64_t lowest,
                                 std::uint64_t highest, std::string_view meaning) {
  std::optional<std::uint64_t> standard;
  if (fallback) standard = parse_bytes(*fallback).value();
  return read<std::uint64_t>(*document_, *table_, key, "a size such as \"16MiB\"", standard, fallback_of(fallback),
                             meaning, [&](const toml::node& node) -> Result<std::uint64_t> {
                               std::uint64_t size = 0;
                               if (const auto* number = node.as_integer(); number != nullptr && number->get() >= 0) {
                                 size = static_cast<std::uint64_t>(number->get());
                               } else {
                                 STELE_TRY(std::string text, as_string(node, "a size such as \"16MiB\""));
                                 STELE_TRY(size, parse_bytes(text));
                               }
                               if (size < lowest || size > highest)
                                 return out_of_range(exact_bytes(lowest), exact_bytes(highest), exact_bytes(size));
                               return size;
                             });
}

Duration TableReader::duration(std::string_view key, std::optional<std::string_view> fallback, Duration lowest,
                               Duration highest, std::string_view meaning) {
  std::optional<Duration> standard;
  if (fallback) standard = parse_duration(*fallback).value();
  return read<Duration>(*document_, *table_, key, "a duration such as \"10s\"", standard, fallback_of(fallback),
                        meaning, [&](const toml::node& node) -> Result<Duration> {
                          STELE_TRY(std::string text, as_string(node, "a duration such as \"10s\""));
                          STELE_TRY(Duration value, parse_duration(text));
                          if (value < lowest || value > highest)
                            return out_of_range(format_duration(lowest), format_duration(highest), text);
                          return value;
                        });
}

std::uint64_t TableReader::rate(std::string_view key, std::optional<std::string_view> fallback,
                                std::string_view meaning) {
  std::optional<std::uint64_t> standard;
  if (fallback) standard = parse_rate(*fallback).value();
  return read<std::uint64_t>(*document_, *table_, key, "a rate such as \"20Mbit/s\"", standard, fallback_of(fallback),
                             meaning, [](const toml::node& node) -> Result<std::uint64_t> {
                               STELE_TRY(std::string text, as_string(node, "a rate such as \"20Mbit/s\""));
                               return parse_rate(text);
                             });
}

std::filesystem::path TableReader::path(std::string_view key, std::optional<std::string_view> fallback,
                                        std::string_view meaning) {
  std::optional<std::filesystem::path> standard;
  if (fallback) standard = from_directory_of(document_->file, std::string(*fallback));
  return read<std::filesystem::path>(*document_, *table_, key, "a path", standard, fallback_of(fallback), meaning,
                                     [&](const toml::node& node) -> Result<std::filesystem::path> {
                                       STELE_TRY(std::string text, as_string(node, "a path"));
                                       if (text.empty() && !(fallback && fallback->empty()))
                                         return Error{ErrorCode::kConfig, "expected a path, found \"\"", ""};
                                       return from_directory_of(document_->file, text);
                                     });
}

std::filesystem::path TableReader::path_of(const std::string& text) const {
  return from_directory_of(document_->file, text);
}

std::vector<std::filesystem::path> TableReader::paths(std::string_view key, bool required, std::string_view meaning) {
  using Paths = std::vector<std::filesystem::path>;
  return read<Paths>(*document_, *table_, key, "a list of paths", required ? std::nullopt : std::optional(Paths{}),
                     required ? "required" : "[]", meaning, [&](const toml::node& node) -> Result<Paths> {
                       STELE_TRY(std::vector<std::string> texts, as_strings(node));
                       if (required && texts.empty())
                         return Error{ErrorCode::kConfig, "expected at least one path, found an empty list", ""};
                       Paths out;
                       for (const std::string& text : texts) {
                         if (text.empty())
                           return Error{ErrorCode::kConfig, "expected a list of paths, found \"\" in it", ""};
                         out.push_back(from_directory_of(document_->file, text));
                       }
                       return out;
                     });
}

std::vector<std::string> TableReader::strings(std::string_view key, bool required, std::string_view meaning) {
  using Strings = std::vector<std::string>;
  return read<Strings>(*document_, *table_, key, "a list of strings",
                       required ? std::nullopt : std::optional(Strings{}), required ? "required" : "[]", meaning,
                       [&](const toml::node& node) -> Result<Strings> {
                         STELE_TRY(Strings texts, as_strings(node));
                         if (required && texts.empty())
                           return Error{ErrorCode::kConfig, "expected at least one entry, found an empty list", ""};
                         return texts;
                       });
}

Endpoint TableReader::endpoint(std::string_view key, std::optional<std::string_view> fallback,
                               std::string_view meaning) {
  std::optional<Endpoint> standard;
  if (fallback) standard = fallback->empty() ? Endpoint{} : parse_endpoint(*fallback).value();
  return read<Endpoint>(*document_, *table_, key, "an address \"host:port\"", standard, fallback_of(fallback), meaning,
                        [&](const toml::node& node) -> Result<Endpoint> {
                          STELE_TRY(std::string text, as_string(node, "an address \"host:port\""));
                          if (text.empty() && fallback) return Endpoint{};
                          return parse_endpoint(text);
                        });
}

std::size_t TableReader::word_index(std::string_view key, std::optional<std::string_view> fallback,
                                    const std::vector<std::string_view>& words, std::string_view meaning) {
  auto index_of = [&](std::string_view text) {
    std::size_t i = 0;
    while (i < words.size() && words[i] != text) ++i;
    return i;
  };
  std::string type;
  for (std::size_t i = 0; i < words.size(); ++i) {
    type += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + quoted(words[i]);
  }
  std::optional<std::size_t> standard;
  if (fallback) standard = index_of(*fallback);
  return read<std::size_t>(
      *document_, *table_, key, type, standard, fallback_of(fallback), meaning,
      [&](const toml::node& node) -> Result<std::size_t> {
        STELE_TRY(std::string text, as_string(node, type));
        const std::size_t i = index_of(text);
        if (i == words.size())
          return Error{ErrorCode::kConfig, fmt::format("expected {}, found \"{}\"", type, text), ""};
        return i;
      });
}

TableReader TableReader::table(std::string_view key, std::string_view meaning) {
  auto child = [&]() -> Table& {
    if (auto known = table_->children.find(key); known != table_->children.end()) return *known->second;
    document_->ask(*table_, key, "table", "", meaning);
    Table& made = document_->tables.emplace_back();
    made.name = table_->name.empty() ? std::string(key) : table_->name + "." + std::string(key);
    made.description = table_->description.empty() ? std::string(key) : table_->description + "." + std::string(key);
    table_->children.emplace(key, &made);
    if (const toml::node* node = detail::find(*table_, key)) {
      made.source = node->as_table();
      if (made.source == nullptr) {
        document_->note(node->source().begin, *table_, key,
                        fmt::format("expected a table [{}], found {}", made.name, detail::type_name(*node)), "");
      }
    }
    return made;
  };
  return TableReader(document_, &child());
}

std::vector<TableReader> TableReader::tables(std::string_view key, std::size_t at_least, std::string_view meaning) {
  document_->ask(*table_, key, "array of tables", at_least > 0 ? "required" : "", meaning);
  const std::string prefix = table_->description.empty() ? "" : table_->description + ".";
  const std::string name = table_->name.empty() ? std::string(key) : table_->name + "." + std::string(key);
  std::vector<TableReader> out;
  auto add = [&](const toml::table* source, std::size_t number) {
    Table& made = document_->tables.emplace_back();
    made.source = source;
    made.name = fmt::format("{} {}", name, number);
    made.description = prefix + std::string(key) + "[]";
    out.push_back(TableReader(document_, &made));
  };
  if (document_->describing) {
    add(nullptr, 1);
    return out;
  }
  const toml::node* node = detail::find(*table_, key);
  if (node != nullptr) {
    const toml::array* list = node->as_array();
    if (list == nullptr) {
      document_->note(node->source().begin, *table_, key,
                      fmt::format("expected tables [[{}]], found {}", name, detail::type_name(*node)), "");
      return out;
    }
    for (const toml::node& element : *list) {
      if (const toml::table* source = element.as_table()) {
        add(source, out.size() + 1);
      } else {
        document_->note(element.source().begin, *table_, key,
                        fmt::format("expected a table, found {}", detail::type_name(element)), "");
      }
    }
  }
  if (out.size() < at_least) {
    document_->note(node != nullptr ? node->source().begin : detail::place(*table_), *table_, key,
                    fmt::format("expected at least {} table [[{}]], found {}", at_least, name, out.size()), "");
  }
  return out;
}

bool TableReader::has(std::string_view key) const {
  return detail::find(*table_, key) != nullptr;
}

bool TableReader::describing() const {
  return document_->describing;
}

void TableReader::fail(std::string_view key, std::string_view message, std::string_view hint) {
  const toml::node* node = detail::find(*table_, key);
  document_->note(node != nullptr ? node->source().begin : detail::place(*table_), *table_, key, message, hint);
}

}  // namespace stele::config
