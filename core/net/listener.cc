#include "core/net/listener.h"

#include <boost/asio/post.hpp>
#include <unordered_map>

#include "core/net/tls_connection.h"

namespace stele::net {

struct Listener::State : std::enable_shared_from_this<State> {
  State(boost::asio::any_io_executor pool, std::shared_ptr<TlsContext> t, std::shared_ptr<SessionRegistry> s, ListenerOptions o)
      : tls(std::move(t)), sessions(std::move(s)), options(std::move(o)), acceptor(std::make_shared<Acceptor>(std::move(pool), options.limits, options.connection_executors)) {}

  std::shared_ptr<TlsContext> tls;
  std::shared_ptr<SessionRegistry> sessions;
  ListenerOptions options;
  std::shared_ptr<Acceptor> acceptor;
  Handler handler;
  OnRefused on_refused;
  std::mutex mutex;
  bool stopping = false;
  std::uint64_t next = 0;
  std::unordered_map<std::uint64_t, std::weak_ptr<TlsConnection>> live;  ///< handshakes included

  /// False when the listener is stopping.
  bool enter(const std::shared_ptr<TlsConnection>& connection, std::uint64_t& id) {
    std::lock_guard lock(mutex);
    if (stopping) return false;
    id = next++;
    live.emplace(id, connection);
    return true;
  }
  void leave(std::uint64_t id) {
    std::lock_guard lock(mutex);
    live.erase(id);
  }
  void refused(const std::string& address, const Error& error) {
    if (on_refused) on_refused(address, error);
  }

  static Task<void> serve(std::shared_ptr<State> self, boost::asio::ip::tcp::socket socket) {
    const std::string address = remote_address(socket);
    if (Status set = apply_socket_options(socket, self->options.socket); !set.ok()) {
      self->refused(address, set.error());
      co_return;
    }
    auto made = TlsConnection::make(std::move(socket), self->tls, self->options.policy, TlsConnection::Side::kServer);
    if (!made.ok()) {
      self->refused(address, made.error());
      co_return;
    }
    std::shared_ptr<TlsConnection> connection = std::move(*made);
    std::uint64_t id = 0;
    if (!self->enter(connection, id)) co_return;
    struct Leave {
      State& state;
      std::uint64_t id;
      ~Leave() { state.leave(id); }
    } leave{*self, id};
    const Status done = co_await connection->handshake(self->sessions, deadline_in(self->options.handshake_deadline));
    if (!done.ok()) {
      self->refused(address, done.error());
      co_return;
    }
    co_await self->handler(as_byte_stream(std::move(connection)));
  }
};

Listener::Listener(boost::asio::any_io_executor pool, std::shared_ptr<TlsContext> tls, std::shared_ptr<SessionRegistry> sessions,
                   ListenerOptions options)
    : state_(std::make_shared<State>(std::move(pool), std::move(tls), std::move(sessions), std::move(options))) {}

Listener::~Listener() { state_->acceptor->stop(); }

Status Listener::start(Handler handler, OnRefused on_refused) {
  STELE_CHECK(state_->acceptor->open(state_->options.address));
  state_->handler = std::move(handler);
  state_->on_refused = std::move(on_refused);
  std::weak_ptr<State> weak = state_;
  auto serve = [weak](boost::asio::ip::tcp::socket socket) -> Task<void> {
    auto state = weak.lock();
    return state ? State::serve(std::move(state), std::move(socket)) : []() -> Task<void> { co_return; }();
  };
  auto failed = [weak](const Error& error) {
    if (auto state = weak.lock()) state->refused("", error);
  };
  state_->acceptor->start(std::move(serve), std::move(failed));
  return {};
}

std::uint16_t Listener::port() const { return state_->acceptor->port(); }
std::size_t Listener::connections() const { return state_->acceptor->connections(); }
std::uint64_t Listener::refused_by_limit() const { return state_->acceptor->refused(); }

Task<void> Listener::stop() {
  auto state = state_;
  state->acceptor->stop();
  std::vector<std::shared_ptr<TlsConnection>> live;
  {
    std::lock_guard lock(state->mutex);
    state->stopping = true;
    for (const auto& [id, weak] : state->live) {
      if (auto connection = weak.lock()) live.push_back(std::move(connection));
    }
  }
  for (auto& connection : live) {
    auto executor = connection->executor();
    boost::asio::post(executor, [connection = std::move(connection)] { connection->close(); });
  }
  live.clear();
  co_await state->acceptor->stopped();
}

}  // namespace stele::net
