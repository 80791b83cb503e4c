#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/net/tls.h"

namespace stele::net {

std::uint64_t SessionRegistry::add(Session session) {
  std::lock_guard lock(mutex_);
  const std::uint64_t id = next_++;
  sessions_.emplace(id, std::move(session));
  return id;
}

void SessionRegistry::remove(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  sessions_.erase(id);
}

std::size_t SessionRegistry::size() const {
  std::lock_guard lock(mutex_);
  return sessions_.size();
}

std::vector<PeerIdentity> SessionRegistry::close_revoked(const TlsContext& context) {
  std::vector<PeerIdentity> closed;
  std::vector<std::function<void()>> to_close;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, session] : sessions_) {
      if (!context.is_revoked(session.certificate.get())) continue;
      closed.push_back(session.peer);
      to_close.push_back(session.close);
    }
  }
  for (const auto& close : to_close) close();
  return closed;
}

void SessionRegistry::close_all() {
  std::vector<std::function<void()>> to_close;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, session] : sessions_) to_close.push_back(session.close);
  }
  for (const auto& close : to_close) close();
}

Task<void> watch_tls_files(std::shared_ptr<TlsContext> context, std::shared_ptr<SessionRegistry> sessions,
                           std::chrono::milliseconds interval,
                           std::function<void(const Status&, const std::vector<PeerIdentity>&)> report) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
  std::string last_error;
  for (;;) {
    timer.expires_after(interval);
    auto [error] = co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    if (error) co_return;
    Result<bool> reloaded = context->reload_if_changed();
    if (!reloaded.ok()) {
      // The same failure is told once, not every interval.
      std::string text = reloaded.error().to_string();
      if (report && text != last_error) report(reloaded.error(), {});
      last_error = std::move(text);
      continue;
    }
    last_error.clear();
    if (!*reloaded) continue;
    const std::vector<PeerIdentity> closed = sessions->close_revoked(*context);
    if (report) report({}, closed);
  }
}

}  // namespace stele::net
