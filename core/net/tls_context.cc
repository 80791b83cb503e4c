#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/net/openssl.h"

namespace stele::net {

namespace {

constexpr std::size_t kMaxFile = 16 << 20;

Error config_error(std::string_view what, const std::string& path, std::string_view why, std::string_view hint) {
  return Error{ErrorCode::kConfig, fmt::format("{} {}: {}", what, path, why), std::string(hint)};
}

/// A small file whole; `secret` demands mode 0600 or stricter.
Result<std::string> read_file(std::string_view what, const std::string& path, bool secret) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return config_error(what, path, system_error("open", path, errno).what, "");
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat info {};
  if (::fstat(fd, &info) != 0) return config_error(what, path, system_error("stat", path, errno).what, "");
  if (!S_ISREG(info.st_mode)) return config_error(what, path, "not a regular file", "");
  if (secret && (info.st_mode & 077) != 0) {
    return config_error(what, path, fmt::format("mode {:04o} lets others read it", info.st_mode & 07777), "chmod 0600 it");
  }
  // Read in place: a private key leaves no copy behind that its owner does not know of.
  if (info.st_size > static_cast<off_t>(kMaxFile)) return config_error(what, path, "larger than 16 MiB", "");
  std::string out(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t size = 0;
  while (size < out.size()) {
    const ssize_t n = ::read(fd, out.data() + size, out.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return config_error(what, path, system_error("read", path, errno).what, "");
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  out.resize(size);
  return out;
}

std::string stamp_of(const TlsConfig& config) {
  std::string out;
  for (const std::string* path : {&config.ca_file, &config.certificate_file, &config.key_file, &config.crl_file}) {
    struct stat s {};
    if (!path->empty() && ::stat(path->c_str(), &s) == 0) {
      out += fmt::format("{}.{}.{}.{};", s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec);
    } else {
      out += "-;";
    }
  }
  return out;
}

/// Every PEM object of one kind in a text. An object that cannot be read is an error, not an end.
template <typename T, typename Read>
Result<std::vector<Owned<T>>> read_all(std::string_view what, const std::string& path, const std::string& text, Read read) {
  Owned<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  std::vector<Owned<T>> out;
  for (;;) {
    ERR_clear_error();
    T* object = read(bio.get(), nullptr, nullptr, nullptr);
    if (object == nullptr) break;
    out.emplace_back(object);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string why = openssl_error_text();
  if (!at_end) return config_error(what, path, why, "the file must be PEM");
  if (out.empty()) return config_error(what, path, "nothing of that kind in it", "the file must be PEM");
  return out;
}

int no_passphrase(char*, int, int, void*) { return 0; }

/// TLS 1.3 with certificates on both sides; nothing that outlives a connection.
Status set_up(SSL_CTX* ssl, const TlsConfig& config) {
  const bool fine = SSL_CTX_set_min_proto_version(ssl, TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(ssl, 0) == 1 &&
                    SSL_CTX_set_max_early_data(ssl, 0) == 1;
  if (!fine) return Error{ErrorCode::kInternal, "set up TLS: " + openssl_error_text(), ""};
  SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, verify_peer);
  SSL_CTX_set_verify_depth(ssl, 4);
  X509_VERIFY_PARAM* rules = SSL_CTX_get0_param(ssl);
  X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_PARTIAL_CHAIN | (config.crl_file.empty() ? 0 : X509_V_FLAG_CRL_CHECK));
  return {};
}

Status add_authorities(TlsContext::Material& material, const TlsConfig& config) {
  STELE_TRY(std::string text, read_file("ca_file", config.ca_file, false));
  STELE_TRY(material.authorities, read_all<X509>("ca_file", config.ca_file, text, PEM_read_bio_X509));
  X509_STORE* store = SSL_CTX_get_cert_store(material.ssl.get());
  for (const auto& authority : material.authorities) {
    if (X509_check_ca(authority.get()) == 0) {
      return config_error("ca_file", config.ca_file, "holds a certificate that is not an authority's", "put only CA certificates into it");
    }
    if (X509_STORE_add_cert(store, authority.get()) != 1 || SSL_CTX_add_client_CA(material.ssl.get(), authority.get()) != 1) {
      return config_error("ca_file", config.ca_file, openssl_error_text(), "");
    }
  }
  return {};
}

Status add_own(TlsContext::Material& material, const TlsConfig& config) {
  STELE_TRY(std::string text, read_file("certificate_file", config.certificate_file, false));
  STELE_TRY(auto chain, read_all<X509>("certificate_file", config.certificate_file, text, PEM_read_bio_X509));
  if (SSL_CTX_use_certificate(material.ssl.get(), chain[0].get()) != 1) {
    return config_error("certificate_file", config.certificate_file, openssl_error_text(), "");
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(material.ssl.get(), chain[i].get()) != 1) {
      return config_error("certificate_file", config.certificate_file, openssl_error_text(), "");
    }
  }
  Result<PeerIdentity> own = certificate_identity(chain[0].get());
  if (!own.ok()) return config_error("certificate_file", config.certificate_file, own.error().what, own.error().hint);
  material.own = std::move(*own);
  material.certificate = std::move(chain[0]);

  STELE_TRY(std::string key_text, read_file("key_file", config.key_file, true));
  Owned<BIO> bio(BIO_new_mem_buf(key_text.data(), static_cast<int>(key_text.size())));
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  OPENSSL_cleanse(key_text.data(), key_text.size());
  if (!key) return config_error("key_file", config.key_file, openssl_error_text(), "it must be an unencrypted private key in PEM");
  if (X509_check_private_key(material.certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return config_error("key_file", config.key_file, "it is not the key of " + config.certificate_file, "");
  }
  if (SSL_CTX_use_PrivateKey(material.ssl.get(), key.get()) != 1) {
    return config_error("key_file", config.key_file, openssl_error_text(), "");
  }
  return {};
}

Status add_lists(TlsContext::Material& material, const TlsConfig& config) {
  if (config.crl_file.empty()) return {};
  STELE_TRY(std::string text, read_file("crl_file", config.crl_file, false));
  STELE_TRY(material.lists, read_all<X509_CRL>("crl_file", config.crl_file, text, PEM_read_bio_X509_CRL));
  X509_STORE* store = SSL_CTX_get_cert_store(material.ssl.get());
  for (const auto& list : material.lists) {
    // OpenSSL would find a forged list only when a peer comes; the operator wants to know now.
    const bool signed_by_ours = std::any_of(material.authorities.begin(), material.authorities.end(), [&](const auto& ca) {
      return X509_NAME_cmp(X509_get_subject_name(ca.get()), X509_CRL_get_issuer(list.get())) == 0 &&
             X509_CRL_verify(list.get(), X509_get0_pubkey(ca.get())) == 1;
    });
    ERR_clear_error();
    if (!signed_by_ours) {
      return config_error("crl_file", config.crl_file, "holds a list that no authority of ca_file signed", "");
    }
    if (X509_STORE_add_crl(store, list.get()) != 1) return config_error("crl_file", config.crl_file, openssl_error_text(), "");
  }
  return {};
}

Result<std::shared_ptr<const TlsContext::Material>> read_material(const TlsConfig& config) {
  auto material = std::make_shared<TlsContext::Material>();
  // Before reading: a change in between is then seen as a change next time.
  material->stamp = stamp_of(config);
  material->ssl.reset(SSL_CTX_new(TLS_method()));
  if (!material->ssl) return Error{ErrorCode::kInternal, "set up TLS: " + openssl_error_text(), ""};
  STELE_CHECK(set_up(material->ssl.get(), config));
  STELE_CHECK(add_authorities(*material, config));
  STELE_CHECK(add_own(*material, config));
  STELE_CHECK(add_lists(*material, config));
  return std::shared_ptr<const TlsContext::Material>(std::move(material));
}

}  // namespace

TlsContext::TlsContext(TlsConfig config) : config_(std::move(config)) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::load(const TlsConfig& config) {
  std::shared_ptr<TlsContext> context(new TlsContext(config));
  STELE_CHECK(context->reload());
  return context;
}

Status TlsContext::reload() {
  Result<std::shared_ptr<const Material>> fresh = read_material(config_);
  std::lock_guard lock(mutex_);
  if (!fresh.ok()) {
    reload_error_ = fresh.error().to_string();
    return fresh.error();
  }
  reload_error_.clear();
  material_ = std::move(*fresh);
  return {};
}

Result<bool> TlsContext::reload_if_changed() {
  // A failed reload leaves the old stamp, so it is tried again every time until it succeeds.
  if (stamp_of(config_) == material()->stamp) return false;
  STELE_CHECK(reload());
  return true;
}

std::shared_ptr<const TlsContext::Material> TlsContext::material() const {
  std::lock_guard lock(mutex_);
  return material_;
}

TlsFacts TlsContext::facts(Timestamp now) const {
  TlsFacts out;
  std::shared_ptr<const Material> m;
  {
    std::lock_guard lock(mutex_);
    m = material_;
    out.reload_error = reload_error_;
  }
  out.own = m->own;
  out.certificate_not_before = to_timestamp(X509_get0_notBefore(m->certificate.get()));
  out.certificate_not_after = to_timestamp(X509_get0_notAfter(m->certificate.get()));
  out.certificate_serial = certificate_serial(m->certificate.get());
  for (const auto& authority : m->authorities) {
    const Timestamp end = to_timestamp(X509_get0_notAfter(authority.get()));
    if (out.ca_not_after.is_none() || end < out.ca_not_after) out.ca_not_after = end;
  }
  out.has_crl = !m->lists.empty();
  for (const auto& list : m->lists) {
    const Timestamp next = to_timestamp(X509_CRL_get0_nextUpdate(list.get()));
    if (!next.is_none() && (out.crl_next_update.is_none() || next < out.crl_next_update)) out.crl_next_update = next;
    if (to_timestamp(X509_CRL_get0_lastUpdate(list.get())) > now) out.crl_outdated = true;
  }
  if (!out.crl_next_update.is_none() && out.crl_next_update <= now) out.crl_outdated = true;
  return out;
}

bool TlsContext::is_revoked(const x509_st* certificate) const {
  const std::shared_ptr<const Material> m = material();
  for (const auto& list : m->lists) {
    if (X509_NAME_cmp(X509_CRL_get_issuer(list.get()), X509_get_issuer_name(certificate)) != 0) continue;
    X509_REVOKED* entry = nullptr;
    // 1: revoked; 2: removeFromCRL of a delta list (X509_CRL_get0_by_serial(3)).
    if (X509_CRL_get0_by_serial(list.get(), &entry, const_cast<ASN1_INTEGER*>(X509_get0_serialNumber(certificate))) == 1) return true;
  }
  return false;
}

}  // namespace stele::net
