#include "core/config/sections.h"

#include <fmt/format.h>

#include <set>

namespace stele::config {

TlsConfig read_tls(TableReader table) {
  TlsConfig tls;
  tls.ca = table.path("ca", kRequired, "PEM file with the certificate authorities that are believed.");
  tls.certificate = table.path("certificate", kRequired,
                               "PEM file with the own certificate and its chain; role and site are in its URI SAN.");
  tls.key = table.path("key", kRequired, "PEM file with the private key of the certificate, mode 0600.");
  tls.crl = table.path("crl", "",
                       "PEM file with the revocation list, re-read when it changes; without it nothing is revoked.");
  tls.crl_stale =
      table.choice<CrlStale>("crl_stale", "allow", {{"allow", CrlStale::kAllow}, {"refuse", CrlStale::kRefuse}},
                             "When the revocation list is out of date: go on and alarm, or refuse connections.");
  return tls;
}

Status check_label(std::string_view name) {
  const bool good = !name.empty() && name.size() <= 63 && name.front() != '-' && name.front() != '.' &&
                    name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") == std::string_view::npos;
  if (good) return {};
  return Error{ErrorCode::kConfig,
               fmt::format("expected a name of 1 to 63 characters a-z 0-9 _ . -, found \"{}\"", name.substr(0, 80)),
               ""};
}

std::vector<ReceiverEndpoint> read_receivers(TableReader& root, std::size_t at_least) {
  std::vector<ReceiverEndpoint> out;
  std::set<std::string> names;
  for (TableReader& table :
       root.tables("receiver", at_least, "A receiver. Several are allowed: each is a full copy.")) {
    ReceiverEndpoint receiver;
    receiver.name =
        table.string("name", kRequired, "The name in the receiver's certificate (URI SAN stele:receiver:NAME).");
    receiver.address = table.endpoint("address", kRequired, "Where it listens, \"host:port\".");
    if (!table.describing() && !receiver.name.empty()) {
      if (auto good = check_label(receiver.name); !good.ok()) table.fail("name", good.error().what);
      if (!names.insert(receiver.name).second)
        table.fail("name", fmt::format("the receiver \"{}\" is listed twice", receiver.name));
    }
    out.push_back(std::move(receiver));
  }
  return out;
}

MetricsConfig read_metrics(TableReader table, std::string_view fallback) {
  return {
      table.endpoint("listen", fallback, "Address of the /metrics page for Prometheus, \"host:port\"; \"\" for none.")};
}

log::Options read_log(TableReader table, std::string_view program) {
  log::Options out;
  out.program = std::string(program);
  out.level = table.choice<log::Level>("level", "info",
                                       {{"debug", log::Level::kDebug},
                                        {"info", log::Level::kInfo},
                                        {"warning", log::Level::kWarning},
                                        {"error", log::Level::kError}},
                                       "The least important lines that are written.");
  out.format = table.choice<log::Format>("format", "text", {{"text", log::Format::kText}, {"json", log::Format::kJson}},
                                         "Lines for people, or one JSON object a line.");
  out.file = table.path("file", "", "Append to this file instead of standard error (the journal, under systemd).");
  return out;
}

}  // namespace stele::config
