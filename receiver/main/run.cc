#include "receiver/main/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/config/log.h"
#include "core/net/http_server.h"
#include "core/net/listener.h"
#include "core/net/runtime.h"
#include "core/net/wakeup.h"
#include "receiver/main/restore_gauges.h"
#include "receiver/main/seal_thread.h"
#include "receiver/main/status_thread.h"
#include "receiver/main/store_parts.h"
#include "receiver/page/page.h"
#include "receiver/session/context.h"
#include "receiver/status/report.h"

namespace stele::receiver {

namespace asio = boost::asio;
using net::Task;
using namespace asio::experimental::awaitable_operators;

net::TlsConfig tls_of(const config::TlsConfig& c) {
  net::TlsConfig out;
  out.ca_file = c.ca.string();
  out.certificate_file = c.certificate.string();
  out.key_file = c.key.string();
  out.crl_file = c.crl.string();
  out.crl_stale = c.crl_stale == config::CrlStale::kRefuse ? net::CrlStale::kRefuse : net::CrlStale::kAllow;
  return out;
}

namespace {

constexpr std::size_t kWorkers = 4;
constexpr std::size_t kLookupWorkers = 2;
constexpr unsigned kMostConnectionThreads = 8;
constexpr std::chrono::seconds kTlsLook{5};

/// The running receiver. Everything that sessions use outlives the network.
class Program {
 public:
  Program(const config::ReceiverConfig& config, net::Runtime& runtime, metrics::MetricRegistry& registry, ReceiverMetrics& metrics)
      : config_(config), runtime_(runtime), registry_(registry), metrics_(metrics), strand_(asio::make_strand(runtime.io())), stop_(strand_) {}

  Status prepare() {
    STELE_TRY(tls_, net::TlsContext::load(tls_of(config_.tls)));
    const net::PeerIdentity own = tls_->facts(clock_.now()).own;
    if (own.role != net::Role::kReceiver || own.name != config_.name) {
      return Error{ErrorCode::kConfig, fmt::format("{}: the certificate is for {}, expected stele:receiver:{}", config_.tls.certificate.string(), own.to_string(), config_.name),
                   "name in receiver.toml and the certificate's URI must agree"};
    }
    STELE_TRY(restore_hosts_, load_restore_hosts(config_));
    STELE_TRY(parts_, open_store_parts(config_, metrics_));
    return {};
  }

  Task<Status> serve() {
    Keeper& keeper = *parts_->keeper;
    // A thread has its own queue: what a connection hands over to itself wakes no other thread.
    std::vector<std::unique_ptr<asio::thread_pool>> connection_threads(std::clamp(std::thread::hardware_concurrency(), 1u, kMostConnectionThreads));
    for (auto& one : connection_threads) one = std::make_unique<asio::thread_pool>(1);
    SealThread sealing(keeper);
    watch_ = std::make_unique<FleetWatch>(keeper, *parts_->catalog, watch_options());
    if (Status kept = watch_->load(clock_.now()); !kept.ok()) log::log_error(kept.error());
    StatusThread watching(*watch_, clock_);
    auto packs = std::make_unique<PackQueue>(keeper);
    asio::thread_pool workers(kWorkers), lookups(kLookupWorkers);
    SessionContext context{keeper, *packs, writers_, metrics_, parts_->clock, workers, lookups, config_.name};

    Page page(*watch_, clock_, site_names(), config_.page.tls);
    net::HttpServerOptions http_options;
    http_options.address = config_.metrics.listen.to_string();
    // Who looks does not slow who writes: answers are made and sent on a thread that stands behind the others.
    asio::thread_pool answering(1);
    asio::post(answering, net::stand_behind);
    net::HttpServer http(answering.get_executor(), http_options);
    add_routes(http);
    registry_.before_render([this] {
      set_tls_gauges();
      restore_gauges_.show(watch_->status(clock_.now()));
    });

    auto sessions = std::make_shared<net::SessionRegistry>();
    net::HttpServer page_server(answering.get_executor(), page_options(sessions));
    if (config_.page.listen.port != 0) STELE_CO_CHECK(start_page(page, page_server));
    if (config_.metrics.listen.port != 0) STELE_CO_CHECK(http.start());
    net::ListenerOptions options;
    options.address = config_.listen.to_string();
    options.policy.roles = {net::Role::kAgent, net::Role::kOperator};
    options.limits = {4096, 1024};
    for (auto& one : connection_threads) options.connection_executors.emplace_back(one->get_executor());
    net::Listener listener(runtime_.executor(), tls_, sessions, options);
    Status started = listener.start([&context](std::unique_ptr<net::ByteStream> stream) { return serve_session(context, std::move(stream)); },
                                    [this](const std::string& address, const Error& error) {
                                      metrics_.connections_refused.inc();
                                      log::warning("connection refused", {{"address", address}, {"why", error.what}});
                                    });
    if (started.ok()) {
      log::info("the receiver is ready", {{"receiver", config_.name}, {"listen", options.address}, {"port", listener.port()},
                                          {"metrics", config_.metrics.listen.port != 0 ? http.port() : 0}});
      co_await (until_stopped() || net::watch_tls_files(tls_, sessions, kTlsLook, report_reload));
      log::info("the receiver stops");
      co_await listener.stop();
    }
    if (config_.page.listen.port != 0) co_await page_server.stop();
    if (config_.metrics.listen.port != 0) co_await http.stop();
    answering.join();
    packs.reset();
    workers.join();
    lookups.join();
    keeper.stop_landing();
    for (auto& one : connection_threads) one->join();
    // What is in the journal stays readable there; sealed, a reader of the objects alone sees it too.
    if (started.ok()) {
      if (Status sealed = keeper.seal_everything(); !sealed.ok()) log::log_error(sealed.error());
    }
    co_return started;
  }

  asio::strand<asio::io_context::executor_type>& strand() { return strand_; }

  void stop() {
    stopping_ = true;
    asio::post(strand_, [this] { stop_.notify_all(); });
  }

 private:
  Task<void> until_stopped() {
    while (!stopping_.load()) co_await stop_.wait();
  }

  static void report_reload(const Status& status, const std::vector<net::PeerIdentity>& closed) {
    if (!status.ok()) log::log_error(status.error());
    else log::info("certificate files were read again");
    for (const net::PeerIdentity& peer : closed) log::warning("session closed: its certificate was revoked", {{"peer", peer}});
  }

  FleetWatch::Options watch_options() {
    FleetWatch::Options out;
    out.receiver = config_.name;
    out.started = clock_.now();
    out.disk_reserve = config_.store.disk_reserve;
    for (const config::SiteConfig& site : config_.sites) {
      out.titles[site.name] = site.title;
      out.limits[site.name] = site.limits.stored_bytes;
    }
    out.restore_hosts = restore_hosts_;
    out.history_directory = config_.history_directory().string();
    out.connected = [this](const DatabaseName& d) { return writers_.connected(d); };
    out.tls_dates = [this](ReceiverStatus& r) {
      const net::TlsFacts facts = tls_->facts(clock_.now());
      r.certificate_not_after = facts.certificate_not_after;
      r.ca_not_after = facts.ca_not_after;
      r.crl_next_update = facts.crl_next_update;
    };
    return out;
  }

  std::vector<std::string> site_names() const {
    std::vector<std::string> out;
    for (const config::SiteConfig& site : config_.sites) out.push_back(site.name);
    return out;
  }

  net::HttpServerOptions page_options(const std::shared_ptr<net::SessionRegistry>& sessions) const {
    net::HttpServerOptions out;
    out.address = config_.page.listen.to_string();
    if (config_.page.tls) {
      out.tls = tls_;
      out.sessions = sessions;
      out.policy.roles = {net::Role::kOperator};
    }
    return out;
  }

  Status start_page(Page& page, net::HttpServer& server) {
    if (!Page::is_built()) return Error{ErrorCode::kConfig, "[page] listen: this program was built without its page", "build it with nodejs and npm, or leave [page] out"};
    page.add_routes(server);
    STELE_CHECK(server.start());
    log::info("the page is ready", {{"address", fmt::format("{}://{}/", config_.page.tls ? "https" : "http", config_.page.listen.to_string())}});
    return {};
  }

  void set_tls_gauges() {
    const net::TlsFacts facts = tls_->facts(clock_.now());
    metrics_.certificate_expiry.set(static_cast<double>(facts.certificate_not_after.micros) / 1e6);
    metrics_.ca_expiry.set(static_cast<double>(facts.ca_not_after.micros) / 1e6);
    metrics_.crl_next_update.set(static_cast<double>(facts.crl_next_update.micros) / 1e6);
    metrics_.tls_reload_failed.set(facts.reload_error.empty() ? 0 : 1);
  }

  void add_routes(net::HttpServer& http) {
    http.route("/metrics", [this](const net::HttpRequest& request) {
      net::HttpResponse out = metrics_text_.answer(request);
      out.content_type = "text/plain; version=0.0.4; charset=utf-8";
      return out;
    });
    http.route("/healthz", [](const net::HttpRequest&) { return net::HttpResponse{200, "text/plain; charset=utf-8", "ok\n"}; });
    http.route("/readyz", [this](const net::HttpRequest&) {
      if (parts_->keeper->journal_failed()) return net::HttpResponse{503, "text/plain; charset=utf-8", "the journal failed\n"};
      return net::HttpResponse{200, "text/plain; charset=utf-8", "ok\n"};
    });
    http.route("/status", [this](const net::HttpRequest& request) {
      // Names of databases and positions are for this host's operators only.
      const bool local = request.peer_address.starts_with("127.") || request.peer_address.starts_with("[::1]") || request.peer_address.starts_with("::1");
      if (!local) return net::HttpResponse{403, "text/plain; charset=utf-8", "only from this host\n"};
      net::HttpResponse out = status_text_.answer(request);
      out.content_type = "application/json";
      return out;
    });
  }

  const config::ReceiverConfig& config_;
  net::Runtime& runtime_;
  metrics::MetricRegistry& registry_;
  ReceiverMetrics& metrics_;
  SystemClock clock_;
  asio::strand<asio::io_context::executor_type> strand_;
  net::Wakeup stop_;
  std::atomic<bool> stopping_{false};
  WriterRegistry writers_;
  std::shared_ptr<net::TlsContext> tls_;
  RestoreHosts restore_hosts_;
  std::unique_ptr<StoreParts> parts_;
  std::unique_ptr<FleetWatch> watch_;
  RestoreGauges restore_gauges_{metrics_};
  net::SharedBody metrics_text_{[this] { return registry_.render(); }};
  net::SharedBody status_text_{[this] { return status_json(watch_->status(clock_.now())).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n"; }};
};

}  // namespace

Status run_receiver(const config::ReceiverConfig& config) {
  STELE_CHECK(log::start(config.log));
  struct LogEnd {
    ~LogEnd() { log::stop(); }
  } log_end;
  metrics::MetricRegistry registry;
  ReceiverMetrics metrics(registry);
  STELE_CHECK(registry.check());
  metrics.start_time.set(static_cast<double>(SystemClock().now().micros) / 1e6);
  net::Runtime runtime(1);
  Program program(config, runtime, registry, metrics);
  STELE_CHECK(program.prepare());
  auto main = [&program]() -> Task<Status> {
    // On the strand: stop() and the wait for it must not race.
    co_return co_await net::run_on(asio::any_io_executor(program.strand()), program.serve());
  };
  return runtime.run(main, [&program](int) { program.stop(); });
}

}  // namespace stele::receiver
