#include "agent/postgres/address.h"

#include <libpq-fe.h>

namespace stele::agent {
namespace {

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> out;
  std::size_t begin = 0;
  while (true) {
    const std::size_t comma = text.find(',', begin);
    out.emplace_back(text.substr(begin, comma == std::string_view::npos ? comma : comma - begin));
    if (comma == std::string_view::npos) return out;
    begin = comma + 1;
  }
}

// Which host to use, and for what, is decided here and not by libpq.
bool is_our_decision(std::string_view keyword) {
  return keyword == "host" || keyword == "hostaddr" || keyword == "port" || keyword == "target_session_attrs" ||
         keyword == "load_balance_hosts" || keyword == "replication";
}

Result<std::string> element(const std::vector<std::string>& list, std::size_t index, std::size_t count,
                            const char* keyword) {
  if (list.size() == count) return list[index];
  if (list.size() == 1 && std::string_view(keyword) == "port") return list[0];
  return Error{ErrorCode::kConfig,
               fmt::format("connection string: {} hosts and {} values for {}", count, list.size(), keyword),
               "write one value for each host, separated by commas"};
}

}  // namespace

std::string ServerAddress::label() const {
  const std::string& name = !host.empty() ? host : hostaddr;
  const std::string shown_port = port.empty() ? "5432" : port;
  if (name.empty()) return "local:" + shown_port;
  if (name.find(':') != std::string::npos) return "[" + name + "]:" + shown_port;
  return name + ":" + shown_port;
}

const std::string* ServerAddress::keyword(std::string_view name) const {
  for (const auto& [key, value] : keywords) {
    if (key == name) return &value;
  }
  return nullptr;
}

Result<std::vector<ServerAddress>> split_hosts(std::string_view conninfo) {
  char* reason = nullptr;
  std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> parsed(
      PQconninfoParse(std::string(conninfo).c_str(), &reason), &PQconninfoFree);
  if (!parsed) {
    PQfreemem(reason);  // libpq may quote a piece of the string, which may be a piece of a password: it is not shown
    return Error{ErrorCode::kConfig, "the connection string cannot be parsed",
                 "write it as \"host=... port=5432 user=... dbname=...\" or postgresql://user@host:5432/dbname; "
                 "quote values with spaces as 'a b'"};
  }
  std::vector<std::string> hosts, addresses, ports;
  ServerAddress common;
  for (const PQconninfoOption* option = parsed.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr) continue;
    const std::string_view keyword = option->keyword;
    if (keyword == "host") hosts = split_commas(option->val);
    if (keyword == "hostaddr") addresses = split_commas(option->val);
    if (keyword == "port") ports = split_commas(option->val);
    if (!is_our_decision(keyword)) common.keywords.emplace_back(keyword, option->val);
  }
  const std::size_t count = std::max<std::size_t>({hosts.size(), addresses.size(), 1});
  std::vector<ServerAddress> out;
  for (std::size_t i = 0; i < count; ++i) {
    ServerAddress address = common;
    if (!hosts.empty()) {
      STELE_TRY(address.host, element(hosts, i, count, "host"));
    }
    if (!addresses.empty()) {
      STELE_TRY(address.hostaddr, element(addresses, i, count, "hostaddr"));
    }
    if (!ports.empty()) {
      STELE_TRY(address.port, element(ports, i, count, "port"));
    }
    out.push_back(std::move(address));
  }
  return out;
}

}  // namespace stele::agent
