#pragma once

#include <map>
#include <memory>
#include <string>

#include "core/net/http_server.h"
#include "receiver/status/fleet_watch.h"

namespace stele::receiver {

/// The routes of the fleet page: embedded files and three JSON documents, read-only. An operator of one site sees that site only. Outlives the
/// server it is added to; the watch outlives it.
class Page {
 public:
  /// `sites`: all configured ones. `tls`: the server asks for operators' certificates; without it only loopback names are served, so that a
  /// foreign web site that resolves to this host gets nothing out of an operator's browser.
  Page(FleetWatch& watch, Clock& clock, const std::vector<std::string>& sites, bool tls);
  /// False when the program was built without the page's files.
  static bool is_built();
  void add_routes(net::HttpServer& server);

 private:
  /// Documents that many browsers share, for one view: "*" or a site.
  struct View {
    View(FleetWatch& watch, Clock& clock, std::string site);
    net::SharedBody fleet, lines;
  };
  net::HttpResponse serve(const net::HttpRequest& request, const std::function<net::HttpResponse(const std::string& site)>& answer) const;
  net::HttpResponse database(const net::HttpRequest& request, const std::string& site);

  FleetWatch& watch_;
  Clock& clock_;
  bool tls_;
  std::map<std::string, std::unique_ptr<View>> views_;  ///< fixed after construction
};

}  // namespace stele::receiver
