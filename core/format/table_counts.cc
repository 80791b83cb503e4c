#include "core/format/table_counts.h"

#include <fmt/format.h>

#include <charconv>

namespace stele::format {
namespace {

constexpr std::string_view kPrefix = "counts/";

/// Blanks separate fields, line feeds separate lines, and names may hold both.
bool is_escaped(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == '%' || byte == 0x7f;
}

std::string escape(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (is_escaped(c)) {
      out += fmt::format("%{:02x}", static_cast<unsigned char>(c));
    } else {
      out += c;
    }
  }
  return out;
}

std::optional<std::string> unescape(std::string_view field) {
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] != '%') {
      if (is_escaped(field[i])) return {};
      out += field[i];
      continue;
    }
    auto byte = from_hex(field.substr(i + 1, 2));
    if (!byte.ok() || byte->size() != 1 || (*byte)[0] == 0) return {};
    out += static_cast<char>((*byte)[0]);
    i += 2;
  }
  if (out.empty()) return {};
  return out;
}

std::optional<std::uint64_t> number(std::string_view field) {
  std::uint64_t out = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), out);
  if (error != std::errc() || end != field.data() + field.size()) return {};
  return out;
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> out;
  for (std::size_t at = 0; at <= line.size();) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    out.push_back(line.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

}  // namespace

NamedText encode_counts(const DatabaseCounts& counts) {
  NamedText out{std::string(kPrefix) + counts.database, fmt::format("relations {}\ntables {}\n", counts.relations, counts.tables)};
  for (std::size_t i = 0; i < counts.largest.size() && i < kMaxCountedTables; ++i) {
    const TableCount& t = counts.largest[i];
    const std::string line = fmt::format("table {} {} {}\n", t.rows ? std::to_string(*t.rows) : "-", escape(t.schema), escape(t.name));
    if (out.text.size() + line.size() > kMaxCountsBytes) break;
    out.text += line;
  }
  return out;
}

Result<DatabaseCounts> decode_counts(const NamedText& named) {
  DatabaseCounts out;
  const auto bad = [](std::string_view why) { return Error{ErrorCode::kDamaged, fmt::format("counts sealed with the snapshot: {}", why), ""}; };
  if (!named.name.starts_with(kPrefix) || named.name.size() == kPrefix.size()) return bad("no database is named");
  if (named.text.size() > kMaxCountsBytes) return bad("too long");
  out.database = named.name.substr(kPrefix.size());
  std::string_view rest = named.text;
  std::optional<std::uint64_t> relations, tables;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return bad("a line without an end");
    const auto fields = fields_of(rest.substr(0, end));
    rest.remove_prefix(end + 1);
    if (fields[0] == "relations" && fields.size() == 2) {
      relations = number(fields[1]);
    } else if (fields[0] == "tables" && fields.size() == 2) {
      tables = number(fields[1]);
    } else if (fields[0] == "table") {
      if (fields.size() < 4 || out.largest.size() == kMaxCountedTables) return bad("a table that is none, or too many");
      const auto schema = unescape(fields[2]), name = unescape(fields[3]);
      const auto rows = number(fields[1]);
      if (!schema || !name || (!rows && fields[1] != "-")) return bad("a table without name or number");
      out.largest.push_back({*schema, *name, rows});
    }
  }
  if (!relations || !tables || *tables < out.largest.size()) return bad("numbers are missing");
  out.relations = *relations;
  out.tables = *tables;
  return out;
}

Result<std::vector<DatabaseCounts>> sealed_counts(const std::vector<NamedText>& texts) {
  std::vector<DatabaseCounts> out;
  for (const NamedText& text : texts) {
    if (!text.name.starts_with(kPrefix)) continue;
    STELE_TRY(DatabaseCounts counts, decode_counts(text));
    out.push_back(std::move(counts));
  }
  return out;
}

}  // namespace stele::format
