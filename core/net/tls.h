#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/time.h"
#include "core/net/byte_stream.h"

struct x509_st;      // OpenSSL's X509
struct ssl_ctx_st;   // OpenSSL's SSL_CTX

namespace stele::net {

/// What to do when the revocation list's nextUpdate has passed (or it is not yet valid).
enum class CrlStale { kAllow, kRefuse };

/// Paths of one program's TLS material, all PEM.
struct TlsConfig {
  std::string ca_file;           ///< the only certificate authorities that are believed
  std::string certificate_file;  ///< own certificate, then intermediates
  std::string key_file;          ///< own private key; mode 0600 or stricter
  std::string crl_file;          ///< revocation lists; empty = none
  CrlStale crl_stale = CrlStale::kAllow;
  std::uint64_t key_update_bytes = 64ull << 30;  ///< SSL_key_update after so many bytes sent (OpenSSL does not do it by itself)
};

/// What metrics, `check` and status show.
struct TlsFacts {
  PeerIdentity own;                  ///< from the own certificate's URI
  Timestamp certificate_not_before;
  Timestamp certificate_not_after;
  Timestamp ca_not_after;            ///< the earliest of the authorities
  std::string certificate_serial;    ///< hexadecimal
  bool has_crl = false;
  Timestamp crl_next_update;         ///< none when the list does not say
  bool crl_outdated = false;         ///< at the time of asking
  std::string reload_error;          ///< why the last reload kept the old material; empty = none
};

/// A program's TLS material, TLS 1.3 only, both sides authenticated, no tickets, no resumption, no early data.
/// Thread-safe. Certificates, key and revocation list can be replaced while it runs; connections made before keep the
/// old certificate, but SessionRegistry closes those whose peer has become revoked.
class TlsContext {
 public:
  /// Reads and checks everything: kConfig names the file and what is wrong with it (missing, not PEM, key does not match,
  /// mode too open, a revocation list that no configured authority signed, a certificate without a stele: URI).
  static Result<std::shared_ptr<TlsContext>> load(const TlsConfig& config);
  ~TlsContext();

  /// Reads everything again; on an error the old material stays, and facts().reload_error says why.
  Status reload();
  /// reload() if one of the files has changed (time, size or inode) since they were read. True when new material is used.
  Result<bool> reload_if_changed();

  TlsFacts facts(Timestamp now) const;
  /// True when a current revocation list names this certificate.
  bool is_revoked(const x509_st* certificate) const;
  const TlsConfig& config() const { return config_; }

  struct Material;
  std::shared_ptr<const Material> material() const;

 private:
  explicit TlsContext(TlsConfig config);
  TlsConfig config_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Material> material_;
  std::string reload_error_;
};

/// The live TLS connections of a program, so that they can be closed when their peer's certificate becomes revoked and
/// when the program stops. Thread-safe. Streams register themselves; closing happens on each stream's own executor.
class SessionRegistry {
 public:
  struct Session {
    std::shared_ptr<const x509_st> certificate;
    PeerIdentity peer;
    std::string address;
    std::function<void()> close;  ///< may be called from any thread, and after the stream's end
  };
  std::uint64_t add(Session session);
  void remove(std::uint64_t id);

  std::size_t size() const;
  /// Closes the sessions whose peer is now revoked; returns who they were.
  std::vector<PeerIdentity> close_revoked(const TlsContext& context);
  void close_all();

 private:
  mutable std::mutex mutex_;
  std::uint64_t next_ = 1;
  std::unordered_map<std::uint64_t, Session> sessions_;
};

/// Runs until its executor stops or it is cancelled: every `interval` looks whether the files have changed, reloads them
/// and closes revoked sessions. `report` (may be empty) is told of each reload, failed or not, and of each closed peer.
[[nodiscard]] Task<void> watch_tls_files(std::shared_ptr<TlsContext> context, std::shared_ptr<SessionRegistry> sessions,
                                         std::chrono::milliseconds interval,
                                         std::function<void(const Status&, const std::vector<PeerIdentity>&)> report);

/// The handshake on a connected socket; the socket's executor must be a strand (or a single-threaded context).
/// kUnauthorised: expired, revoked, unknown authority, wrong role or name, no certificate; kProtocol: plain text, an older
/// TLS, garbage; kTimeout; kClosed. Each with a hint. Note for clients (RFC 8446): the server judges the client's
/// certificate after the client's handshake is done, so a refusal of ours shows as kUnauthorised on the first read.
[[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> tls_accept(boost::asio::ip::tcp::socket socket,
                                                                   std::shared_ptr<TlsContext> context, PeerPolicy policy,
                                                                   std::shared_ptr<SessionRegistry> sessions,
                                                                   Instant deadline);
[[nodiscard]] Task<Result<std::unique_ptr<ByteStream>>> tls_connect(boost::asio::ip::tcp::socket socket,
                                                                    std::shared_ptr<TlsContext> context, PeerPolicy policy,
                                                                    std::shared_ptr<SessionRegistry> sessions,
                                                                    Instant deadline);

}  // namespace stele::net
