#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/net/identity.h"
#include "core/net/tls.h"

/// OpenSSL 3.0 behind owners and Results; used inside core/net only.
namespace stele::net {

struct OpensslFree {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(SSL* p) const { SSL_free(p); }
  void operator()(SSL_CTX* p) const { SSL_CTX_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_CRL* p) const { X509_CRL_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, OpensslFree>;

/// One set of files as read: immutable, shared by the connections made with it.
struct TlsContext::Material {
  Owned<SSL_CTX> ssl;
  Owned<X509> certificate;
  std::vector<Owned<X509>> authorities;
  std::vector<Owned<X509_CRL>> lists;
  PeerIdentity own;
  std::string stamp;  ///< of the files, to notice changes
};

/// The last error of OpenSSL's queue as text, and empties the queue.
std::string openssl_error_text();
Timestamp to_timestamp(const ASN1_TIME* time);
/// The identity of a certificate's URI names; kUnauthorised.
Result<PeerIdentity> certificate_identity(const X509* certificate);
std::string certificate_serial(const X509* certificate);

/// What a handshake wants and finds; attached to its SSL.
struct HandshakeState {
  PeerPolicy policy;
  CrlStale crl_stale = CrlStale::kAllow;
  PeerIdentity peer;
  std::optional<Error> refused;  ///< why we refused the peer's certificate
};
void attach_handshake(SSL* ssl, HandshakeState* state);
/// SSL_CTX_set_verify's callback: OpenSSL's findings, the stale-list rule and the policy.
int verify_peer(int preverified, X509_STORE_CTX* context);

/// The error at the front of OpenSSL's queue after a failed handshake, read or write: alerts of the peer that concern our
/// certificate are kUnauthorised, everything else kProtocol.
Error tls_failure(std::string_view tried, const std::string& peer_address);

}  // namespace stele::net
