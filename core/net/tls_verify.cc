#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "core/net/openssl.h"

namespace stele::net {

namespace {

int handshake_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

std::string_view hint_for(int code) {
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "renew the peer's certificate (or its authority's), or set this host's clock";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "this host's clock or the issuing host's clock is wrong";
    case X509_V_ERR_CERT_REVOKED:
      return "the certificate was withdrawn: issue a new one if the peer is still to be trusted";
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
      return "publish a new revocation list, or set crl_stale = \"allow\"";
    case X509_V_ERR_UNABLE_TO_GET_CRL:
      return "crl_file holds no list of the authority that issued this certificate";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "ca_file does not hold the authority that issued it";
    case X509_V_ERR_INVALID_PURPOSE:
      return "its extended key usage lacks serverAuth or clientAuth";
    default:
      return "see openssl verify -CAfile CA -crl_check CERTIFICATE";
  }
}

}  // namespace

std::string openssl_error_text() {
  std::string text = "unknown error";
  if (const unsigned long code = ERR_get_error(); code != 0) {
    const char* reason = ERR_reason_error_string(code);
    text = reason != nullptr ? reason : fmt::format("error {:#x}", code);
  }
  ERR_clear_error();
  return text;
}

Timestamp to_timestamp(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {static_cast<std::int64_t>(::timegm(&parts)) * 1'000'000};
}

std::string certificate_serial(const X509* certificate) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate);
  return to_hex(ByteView(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial))));
}

Result<PeerIdentity> certificate_identity(const X509* certificate) {
  int critical = 0;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr));
  if (names == nullptr && critical != -1) {
    ERR_clear_error();
    return Error{ErrorCode::kUnauthorised, "certificate: its subject alternative name cannot be read or is there twice", ""};
  }
  std::vector<std::string> uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)), ASN1_STRING_length(uri));
  }
  GENERAL_NAMES_free(names);
  return identity_from_uris(uris);
}

void attach_handshake(SSL* ssl, HandshakeState* state) { SSL_set_ex_data(ssl, handshake_index(), state); }

int verify_peer(int preverified, X509_STORE_CTX* context) {
  auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* state = static_cast<HandshakeState*>(SSL_get_ex_data(ssl, handshake_index()));
  if (preverified == 0) {
    const int code = X509_STORE_CTX_get_error(context);
    const bool stale = code == X509_V_ERR_CRL_HAS_EXPIRED || code == X509_V_ERR_CRL_NOT_YET_VALID;
    if (stale && state->crl_stale == CrlStale::kAllow) {
      X509_STORE_CTX_set_error(context, X509_V_OK);
      return 1;
    }
    state->refused = Error{ErrorCode::kUnauthorised,
                           fmt::format("peer's certificate: {}", X509_verify_cert_error_string(code)),
                           std::string(hint_for(code))};
    return 0;
  }
  if (X509_STORE_CTX_get_error_depth(context) != 0) return 1;
  // Judged inside the handshake, so that the peer is told by an alert.
  Result<PeerIdentity> peer = certificate_identity(X509_STORE_CTX_get_current_cert(context));
  Status accepted = peer.ok() ? state->policy.check(*peer) : Status(peer.error());
  if (!accepted.ok()) {
    state->refused = std::move(accepted).error();
    X509_STORE_CTX_set_error(context, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
  }
  state->peer = std::move(*peer);
  return 1;
}

Error tls_failure(std::string_view tried, const std::string& peer_address) {
  const unsigned long code = ERR_peek_error();
  const int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_GET_REASON(code) : 0;
  ErrorCode kind = ErrorCode::kProtocol;
  std::string hint;
  switch (reason) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
    case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      kind = ErrorCode::kUnauthorised;
      hint = "the peer does not accept our certificate; its log says why";
      break;
    case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
      kind = ErrorCode::kUnauthorised;
      hint = "the peer does not accept our certificate's role or name; its log says why";
      break;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      kind = ErrorCode::kUnauthorised;
      hint = "the peer showed no certificate; every connection needs one";
      break;
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
      hint = "somebody speaks plain HTTP to the TLS port";
      break;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE:
    case SSL_R_UNEXPECTED_MESSAGE:
      hint = "the peer does not speak TLS here: plain text, another service, or a wrong port";
      break;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
      hint = "only TLS 1.3 is spoken here";
      break;
    default:
      hint = "not Stele, another version, or bytes changed on the way";
      break;
  }
  return Error{kind, fmt::format("{} {}: {}", tried, peer_address, openssl_error_text()), std::move(hint)};
}

}  // namespace stele::net
