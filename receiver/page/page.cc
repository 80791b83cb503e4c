#include "receiver/page/page.h"

#include <fmt/format.h>

#include <functional>

#include "receiver/page/assets.h"
#include "receiver/page/page_json.h"

namespace stele::receiver {

namespace {

constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// "127.0.0.1:9553", "[::1]:9553", "localhost": names that only this host answers to.
bool is_loopback_name(std::string_view host) {
  if (host.starts_with("[::1]")) return host.size() == 5 || host[5] == ':';
  host = host.substr(0, host.find(':'));
  return host == "localhost" || (host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

void protect(net::HttpResponse& response) {
  response.headers.insert(response.headers.end(), {{"Content-Security-Policy", kPolicy},
                                                   {"Referrer-Policy", "no-referrer"},
                                                   {"Cross-Origin-Opener-Policy", "same-origin"},
                                                   {"Cross-Origin-Resource-Policy", "same-origin"},
                                                   {"X-Frame-Options", "DENY"}});
}

std::string etag_of(std::string_view bytes) { return fmt::format("{:016x}-{:x}", std::hash<std::string_view>{}(bytes), bytes.size()); }

/// The value of a key of a query; names need no decoding.
std::string_view value_of(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.starts_with(key) && pair.size() > key.size() && pair[key.size()] == '=') return pair.substr(key.size() + 1);
  }
  return {};
}

net::HttpResponse document(net::HttpResponse out, Timestamp now) {
  out.content_type = "application/json";
  out.etag = etag_of(*out.shared);
  // Beside the body, so that the body does not change with the clock.
  out.headers.emplace_back("Stele-Time", fmt::format("{:.3f}", static_cast<double>(now.micros) / 1e6));
  return out;
}

}  // namespace

Page::View::View(FleetWatch& watch, Clock& clock, std::string site)
    : fleet([&watch, &clock, site] { return page_fleet(watch.status(clock.now()), watch.version(), site); }),
      lines([&watch, &clock, site] { return page_lines(watch, watch.status(clock.now()), site); }) {}

Page::Page(FleetWatch& watch, Clock& clock, const std::vector<std::string>& sites, bool tls) : watch_(watch), clock_(clock), tls_(tls) {
  views_.emplace("*", std::make_unique<View>(watch, clock, "*"));
  for (const std::string& site : sites) views_.emplace(site, std::make_unique<View>(watch, clock, site));
}

bool Page::is_built() { return !page_assets().empty(); }

net::HttpResponse Page::serve(const net::HttpRequest& request, const std::function<net::HttpResponse(const std::string& site)>& answer) const {
  net::HttpResponse response;
  if (!tls_ && !is_loopback_name(request.host)) {
    response = {403, "text/plain; charset=utf-8", "ask for this page by a loopback address\n"};
  } else {
    response = answer(request.peer ? request.peer->name : "*");
  }
  protect(response);
  return response;
}

net::HttpResponse Page::database(const net::HttpRequest& request, const std::string& site) {
  const DatabaseName name{std::string(value_of(request.query, "site")), std::string(value_of(request.query, "database"))};
  const Timestamp now = clock_.now();
  auto status = site == "*" || site == name.site ? watch_.status_of(name, now) : std::nullopt;
  if (!status) return {404, "text/plain; charset=utf-8", "no such database\n"};
  net::HttpResponse out;
  out.shared = std::make_shared<const std::string>(page_database(watch_, *status, now));
  return document(std::move(out), now);
}

void Page::add_routes(net::HttpServer& server) {
  for (const PageAsset& asset : page_assets()) {
    auto body = std::make_shared<const std::string>(asset.bytes);
    auto handler = [this, body, type = std::string(asset.content_type), etag = etag_of(asset.bytes)](const net::HttpRequest& request) {
      return serve(request, [&](const std::string&) {
        net::HttpResponse out;
        out.content_type = type;
        out.shared = body;
        out.etag = etag;
        return out;
      });
    };
    server.route(std::string(asset.path), handler);
    if (asset.path == "/index.html") server.route("/", handler);
  }
  auto shared = [this](net::SharedBody View::*which) {
    return [this, which](const net::HttpRequest& request) {
      return serve(request, [&](const std::string& site) -> net::HttpResponse {
        auto view = views_.find(site);
        if (view == views_.end()) return {403, "text/plain; charset=utf-8", "this certificate's site is not kept here\n"};
        return document(((*view->second).*which).answer(request), clock_.now());
      });
    };
  };
  server.route("/data/fleet.json", shared(&View::fleet));
  server.route("/data/lines.json", shared(&View::lines));
  server.route("/data/database.json", [this](const net::HttpRequest& request) { return serve(request, [&](const std::string& site) { return database(request, site); }); });
}

}  // namespace stele::receiver
