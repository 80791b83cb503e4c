#include "core/net/tls_connection.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>

namespace stele::net {

namespace asio = boost::asio;

namespace {

/// OpenSSL's rings. Only the pages that are used become resident: a ring that was emptied starts at its front again.
constexpr std::size_t kRing = 128 * 1024;
constexpr std::size_t kRecord = 16 * 1024;  ///< RFC 8446 section 5.1: at most 2^14 bytes of plaintext in a record
/// What is sent without waiting for the socket to say that it has room: no timer, no hop through the scheduler for a short message.
constexpr int kAtOnce = 32 * 1024;
constexpr std::chrono::seconds kLinger{2};
constexpr std::chrono::milliseconds kRefusalLinger{500};

struct Transfer {
  boost::system::error_code error;
  std::size_t bytes = 0;
  bool timed_out = false;
};

/// A socket operation with a deadline. Bytes that were transferred when the timer fired are not lost: both are looked at.
template <typename Operation>
Task<Transfer> until(Operation operation, asio::steady_timer& timer, Instant deadline) {
  Transfer out;
  if (deadline == kNoDeadline) {
    auto [error, bytes] = co_await std::move(operation)(asio::as_tuple(asio::use_awaitable));
    out.error = error;
    out.bytes = bytes;
    co_return out;
  }
  timer.expires_at(deadline);
  auto group = asio::experimental::make_parallel_group(std::move(operation)(asio::deferred), timer.async_wait(asio::deferred));
  auto [order, error, bytes, timer_error] =
      co_await group.async_wait(asio::experimental::wait_for_one(), asio::as_tuple(asio::use_awaitable));
  out.error = error;
  out.bytes = bytes;
  out.timed_out = error == asio::error::operation_aborted && !timer_error;
  co_return out;
}

}  // namespace

std::string remote_address(const asio::ip::tcp::socket& socket) {
  boost::system::error_code error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "unknown peer";
  const std::string ip = endpoint.address().to_string();
  return endpoint.address().is_v6() ? fmt::format("[{}]:{}", ip, endpoint.port()) : fmt::format("{}:{}", ip, endpoint.port());
}

TlsConnection::TlsConnection(asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context, PeerPolicy policy)
    : socket_(std::move(socket)),
      context_(std::move(context)),
      material_(context_->material()),
      address_(remote_address(socket_)),
      read_timer_(socket_.get_executor()),
      write_timer_(socket_.get_executor()),
      flushed_(socket_.get_executor()) {
  boost::system::error_code ignored;  // then every write waits for the socket
  socket_.non_blocking(true, ignored);
  handshake_.policy = std::move(policy);
  handshake_.crl_stale = context_->config().crl_stale;
}

Result<std::shared_ptr<TlsConnection>> TlsConnection::make(asio::ip::tcp::socket socket, std::shared_ptr<TlsContext> context,
                                                           PeerPolicy policy, Side side) {
  std::shared_ptr<TlsConnection> c(new TlsConnection(std::move(socket), std::move(context), std::move(policy)));
  ERR_clear_error();
  BIO* inner = nullptr;
  BIO* outer = nullptr;
  c->ssl_.reset(SSL_new(c->material_->ssl.get()));
  if (!c->ssl_ || BIO_new_bio_pair(&inner, kRing, &outer, kRing) != 1) {
    return Error{ErrorCode::kInternal, "set up a TLS connection: " + openssl_error_text(), ""};
  }
  c->ring_.reset(outer);
  SSL_set_bio(c->ssl_.get(), inner, inner);
  attach_handshake(c->ssl_.get(), &c->handshake_);
  if (side == Side::kServer) {
    SSL_set_accept_state(c->ssl_.get());
  } else {
    SSL_set_connect_state(c->ssl_.get());
  }
  return c;
}

TlsConnection::~TlsConnection() {
  if (sessions_) sessions_->remove(session_id_);
}

Error TlsConnection::socket_failure(std::string_view tried, const boost::system::error_code& error, bool timed_out) const {
  if (closed_) return Error{ErrorCode::kCancelled, fmt::format("{} {}: the connection was closed here", tried, address_), ""};
  if (timed_out) return Error{ErrorCode::kTimeout, fmt::format("{} {}: nothing moved until the deadline", tried, address_), "the line or the peer is too slow or gone"};
  if (error == asio::error::operation_aborted) return Error{ErrorCode::kCancelled, fmt::format("{} {}: cancelled", tried, address_), ""};
  const bool ended = error == asio::error::eof || error == asio::error::connection_reset || error == asio::error::broken_pipe;
  return Error{ended ? ErrorCode::kClosed : ErrorCode::kIo, fmt::format("{} {}: {}", tried, address_, error.message()), ""};
}

Task<Status> TlsConnection::fill(Instant deadline) {
  char* room = nullptr;
  const int size = BIO_nwrite0(ring_.get(), &room);
  if (size <= 0) co_return Error{ErrorCode::kInternal, "read: OpenSSL's ring is full", ""};
  auto operation = [&](auto token) {
    return socket_.async_read_some(asio::buffer(room, static_cast<std::size_t>(size)), std::move(token));
  };
  const Transfer got = co_await until(std::move(operation), read_timer_, deadline);
  if (got.bytes > 0) {
    (void)BIO_nwrite(ring_.get(), &room, static_cast<int>(got.bytes));
    co_return Status();
  }
  co_return socket_failure("read from", got.error, got.timed_out);
}

Task<Status> TlsConnection::flush(Instant deadline) {
  while (flushing_) co_await flushed_.wait();
  flushing_ = true;
  Status out;
  for (;;) {
    char* bytes = nullptr;
    const int size = BIO_nread0(ring_.get(), &bytes);
    if (size <= 0) break;
    if (closed_) {
      out = socket_failure("write to", {}, false);
      break;
    }
    if (size <= kAtOnce) {
      boost::system::error_code error;
      const std::size_t sent = socket_.write_some(asio::buffer(bytes, static_cast<std::size_t>(size)), error);
      if (!error) {
        (void)BIO_nread(ring_.get(), &bytes, static_cast<int>(sent));
        continue;
      }
      if (error != asio::error::would_block) {
        out = socket_failure("write to", error, false);
        break;
      }
    }
    auto operation = [&](auto token) {
      return socket_.async_write_some(asio::buffer(bytes, static_cast<std::size_t>(size)), std::move(token));
    };
    const Transfer sent = co_await until(std::move(operation), write_timer_, deadline);
    if (sent.bytes > 0) {
      (void)BIO_nread(ring_.get(), &bytes, static_cast<int>(sent.bytes));
    } else {
      out = socket_failure("write to", sent.error, sent.timed_out);
      break;
    }
  }
  flushing_ = false;
  flushed_.notify_all();
  co_return out;
}

Task<Status> TlsConnection::run_handshake(Instant deadline) {
  for (;;) {
    if (closed_) co_return socket_failure("handshake with", {}, false);
    ERR_clear_error();
    const int done = SSL_do_handshake(ssl_.get());
    if (done == 1) co_return co_await flush(deadline);
    const int kind = SSL_get_error(ssl_.get(), done);
    if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
      STELE_CO_CHECK(co_await flush(deadline));
      if (kind == SSL_ERROR_WANT_WRITE) continue;
      Status filled = co_await fill(deadline);
      if (filled.ok()) continue;
      Error error = std::move(filled).error();
      if (error.code == ErrorCode::kClosed) {
        error = error.in("handshake").with_hint("the peer ended it: its log says why; is it a Stele port?");
      } else if (error.code == ErrorCode::kTimeout) {
        error = error.in("handshake").with_hint("the peer accepted the connection and says nothing: is it a Stele port?");
      }
      co_return error;
    }
    Error error = tls_failure("handshake with", address_);
    if (handshake_.refused) error = handshake_.refused->in("handshake with " + address_);
    // The alert tells the peer why.
    const Instant soon = std::min(deadline, deadline_in(kRefusalLinger));
    if (Status told = co_await flush(soon); told.ok()) co_await linger(soon);
    co_return error;
  }
}

Task<Status> TlsConnection::handshake(std::shared_ptr<SessionRegistry> sessions, Instant deadline) {
  auto self = shared_from_this();
  Status done = co_await run_handshake(deadline);
  if (!done.ok()) {
    close();
    co_return done;
  }
  std::shared_ptr<X509> certificate(SSL_get1_peer_certificate(ssl_.get()), X509_free);
  if (sessions) {
    SessionRegistry::Session session;
    session.certificate = certificate;
    session.peer = handshake_.peer;
    session.address = address_;
    session.close = [weak = weak_from_this(), executor = socket_.get_executor()] {
      asio::post(executor, [weak] {
        if (auto connection = weak.lock()) connection->close();
      });
    };
    session_id_ = sessions->add(std::move(session));
    sessions_ = std::move(sessions);
  }
  // A revocation list that came during the handshake was not asked, and close_revoked() did not yet know this session.
  if (context_->is_revoked(certificate.get())) {
    close();
    co_return Error{ErrorCode::kUnauthorised, fmt::format("handshake with {}: peer's certificate: certificate revoked", address_), ""};
  }
  co_return Status();
}

Task<Result<std::size_t>> TlsConnection::read_some(MutableByteView out) {
  auto self = shared_from_this();
  if (out.empty()) co_return std::size_t{0};
  if (reading_) co_return Error{ErrorCode::kInternal, "read from " + address_ + ": another read is under way", ""};
  reading_ = true;
  struct Done {
    bool& flag;
    ~Done() { flag = false; }
  } done{reading_};
  const Instant deadline = read_deadline;
  for (;;) {
    if (closed_) co_return socket_failure("read from", {}, false);
    if (read_error_) co_return *read_error_;
    std::size_t total = 0;
    int kind = SSL_ERROR_NONE;
    while (total < out.size()) {
      std::size_t n = 0;
      ERR_clear_error();
      const int rc = SSL_read_ex(ssl_.get(), out.data() + total, out.size() - total, &n);
      if (rc != 1) {
        kind = SSL_get_error(ssl_.get(), rc);
        break;
      }
      total += n;
    }
    if (kind == SSL_ERROR_ZERO_RETURN) {
      read_error_ = Error{ErrorCode::kClosed, fmt::format("read from {}: the peer closed the connection", address_), ""};
    } else if (kind == SSL_ERROR_SSL || kind == SSL_ERROR_SYSCALL) {
      read_error_ = tls_failure("read from", address_);
    }
    // An alert of ours, or the answer to the peer's key update. A sender under way takes it along.
    if (BIO_ctrl_pending(ring_.get()) > 0 && !flushing_) {
      const Status told = co_await flush(deadline);
      if (!told.ok() && !read_error_) read_error_ = told.error();
    }
    if (total > 0) co_return total;
    if (read_error_) continue;
    Status filled = co_await fill(deadline);
    if (!filled.ok()) {
      Error error = std::move(filled).error();
      if (error.code != ErrorCode::kTimeout) read_error_ = error;
      co_return error;
    }
  }
}

Status TlsConnection::update_key() {
  sent_since_update_ = 0;
  // RFC 8446 section 5.5: a key may protect about 2^24.5 full records (some 380 GiB) with AES-GCM.
  if (SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED) != 1) return tls_failure("change the key with", address_);
  ++key_updates_;
  return {};
}

Task<Status> TlsConnection::encrypt(ByteView bytes, Instant deadline) {
  while (!bytes.empty()) {
    if (closed_) co_return socket_failure("write to", {}, false);
    std::size_t n = 0;
    ERR_clear_error();
    const int rc = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &n);
    if (rc == 1) {
      bytes = bytes.subspan(n);
      sent_since_update_ += n;
      if (sent_since_update_ >= context_->config().key_update_bytes) STELE_CO_CHECK(update_key());
      continue;
    }
    const int kind = SSL_get_error(ssl_.get(), rc);
    if (kind != SSL_ERROR_WANT_WRITE) co_return tls_failure("write to", address_);
    STELE_CO_CHECK(co_await flush(deadline));
  }
  co_return Status();
}

Task<Status> TlsConnection::write_all(std::span<const ByteView> pieces) {
  auto self = shared_from_this();
  const Instant deadline = write_deadline;
  staging_.clear();
  for (ByteView piece : pieces) {
    while (!piece.empty()) {
      if (staging_.empty() && piece.size() >= kRecord) {
        const std::size_t whole = piece.size() - piece.size() % kRecord;
        STELE_CO_CHECK(co_await encrypt(piece.first(whole), deadline));
        piece = piece.subspan(whole);
        continue;
      }
      const std::size_t take = std::min(piece.size(), kRecord - staging_.size());
      staging_.insert(staging_.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(take));
      piece = piece.subspan(take);
      if (staging_.size() == kRecord) {
        STELE_CO_CHECK(co_await encrypt(staging_, deadline));
        staging_.clear();
      }
    }
  }
  STELE_CO_CHECK(co_await encrypt(staging_, deadline));
  co_return co_await flush(deadline);
}

Task<void> TlsConnection::linger(Instant deadline) {
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  std::array<char, 4096> rest;
  std::size_t budget = 16 << 20;
  while (!closed_ && budget > 0) {
    auto operation = [&](auto token) { return socket_.async_read_some(asio::buffer(rest), std::move(token)); };
    const Transfer got = co_await until(std::move(operation), read_timer_, deadline);
    if (got.bytes == 0) co_return;
    budget -= std::min(budget, got.bytes);
  }
}

Task<void> TlsConnection::shutdown() {
  auto self = shared_from_this();
  if (closed_) co_return;
  const Instant deadline = std::min(write_deadline, deadline_in(kLinger));
  ERR_clear_error();
  (void)SSL_shutdown(ssl_.get());
  const Status told = co_await flush(deadline);
  if (told.ok() && !reading_ && !read_error_) {
    reading_ = true;
    co_await linger(deadline);
    reading_ = false;
  }
  close();
}

void TlsConnection::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
}

}  // namespace stele::net
