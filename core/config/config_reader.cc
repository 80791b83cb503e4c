#include <cerrno>
#include <fstream>
#include <tuple>

#include "core/config/toml_document.h"

namespace stele::config {

using detail::Document;
using detail::Table;

namespace {

constexpr std::uintmax_t kMaxFile = 1u << 20;

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string nearest(std::string_view key, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = key.size() / 3 + 2;  // further away it is no misspelling
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(key.substr(0, 64), candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace

ConfigReader::ConfigReader(std::unique_ptr<Document> document) : document_(std::move(document)) {
  Table& root = document_->tables.emplace_back();
  if (!document_->describing) root.source = &document_->toml;
}
ConfigReader::ConfigReader(ConfigReader&&) noexcept = default;
ConfigReader& ConfigReader::operator=(ConfigReader&&) noexcept = default;
ConfigReader::~ConfigReader() = default;

Result<ConfigReader> ConfigReader::open(const std::filesystem::path& file) {
  // Whatever the reason is, a program without its configuration was called wrongly (exit code 2).
  const auto refuse = [&](int problem) {
    return Error{ErrorCode::kConfig, system_error("read configuration", file.string(), problem).what,
                 "name the configuration file with --config"};
  };
  std::error_code code;
  if (std::filesystem::is_directory(file, code)) return refuse(EISDIR);
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  if (!in) return refuse(errno != 0 ? errno : EIO);
  std::string text(kMaxFile + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) return refuse(EIO);
  text.resize(static_cast<std::size_t>(in.gcount()));
  return parse(text, file);
}

Result<ConfigReader> ConfigReader::parse(std::string_view text, const std::filesystem::path& file) {
  if (text.size() > kMaxFile)
    return Error{ErrorCode::kConfig, fmt::format("{}: larger than 1 MiB, not a configuration file", file.string()), ""};
  auto document = std::make_unique<Document>();
  document->file = file;
  try {
    document->toml = toml::parse(text, file.string());
  } catch (const toml::parse_error& error) {
    const auto at = error.source().begin;
    return Error{ErrorCode::kConfig,
                 fmt::format("{}:{}:{}: {}", file.string(), at.line, at.column, error.description()),
                 "the file is not valid TOML (https://toml.io)"};
  } catch (const std::exception& error) {
    return Error{ErrorCode::kConfig, fmt::format("{}: {}", file.string(), error.what()), ""};
  }
  return ConfigReader(std::move(document));
}

ConfigReader ConfigReader::describe() {
  auto document = std::make_unique<Document>();
  document->describing = true;
  return ConfigReader(std::move(document));
}

TableReader ConfigReader::root() {
  return TableReader(document_.get(), &document_->tables.front());
}

const std::vector<KeyDescription>& ConfigReader::descriptions() const {
  return document_->descriptions;
}

Status ConfigReader::finish() {
  if (document_->describing) return {};
  for (const Table& table : document_->tables) {
    if (table.source == nullptr) continue;
    for (const auto& [key, node] : *table.source) {
      if (std::find(table.keys.begin(), table.keys.end(), key.str()) != table.keys.end()) continue;
      const std::string near = nearest(key.str(), table.keys);
      document_->note(key.source().begin, table, key.str(), "unknown key",
                      near.empty() ? "" : fmt::format("did you mean \"{}\"?", near));
    }
  }
  auto& problems = document_->problems;
  if (problems.empty()) return {};
  std::stable_sort(problems.begin(), problems.end(), [](const detail::Problem& a, const detail::Problem& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  constexpr std::size_t kShown = 20;
  std::string what, hint;
  for (std::size_t i = 0; i < problems.size() && i < kShown; ++i) {
    const detail::Problem& p = problems[i];
    if (i > 0) what += "\n";
    what += fmt::format("{}:{}:{}: {}", document_->file.string(), p.line, p.column, p.text);
    if (p.hint.empty()) continue;
    // With several errors each hint belongs to its line; a single one goes where hints go.
    if (problems.size() == 1)
      hint = p.hint;
    else
      what += fmt::format(" ({})", p.hint);
  }
  if (problems.size() > kShown) what += fmt::format("\n{} more errors", problems.size() - kShown);
  return Error{ErrorCode::kConfig, what, hint};
}

}  // namespace stele::config
