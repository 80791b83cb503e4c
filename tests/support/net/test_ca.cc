#include "tests/support/net/test_ca.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <map>
#include <stdexcept>

#include "core/net/openssl.h"

namespace stele::test {

namespace {

using net::Owned;

void need(bool fine, const char* what) {
  if (fine) return;
  throw std::runtime_error(std::string("test authority: ") + what + ": " + net::openssl_error_text());
}

Owned<EVP_PKEY> make_key() {
  Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  need(key != nullptr, "key");
  return key;
}

template <typename Write>
void write_file(const std::filesystem::path& path, mode_t mode, Write write) {
  const std::filesystem::path fresh = path.string() + ".new";
  FILE* file = std::fopen(fresh.c_str(), "w");
  if (file == nullptr) throw std::runtime_error("test authority: cannot write " + fresh.string());
  ::chmod(fresh.c_str(), mode);
  const bool fine = write(file) == 1;
  std::fclose(file);
  need(fine, "write");
  std::filesystem::rename(fresh, path);
}

void set_common_name(X509_NAME* name, const std::string& text) {
  need(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.data()),
                                  static_cast<int>(text.size()), -1, 0) == 1,
       "name");
}

void add_extension(X509* certificate, int nid, const char* value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
  need(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1, "extension");
  X509_EXTENSION_free(extension);
}

/// Built by hand, so that hostile bytes (NUL, commas) reach the certificate unchanged.
void add_uris(X509* certificate, const std::vector<std::string>& uris) {
  if (uris.empty()) return;
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  for (const std::string& uri : uris) {
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, uri.data(), static_cast<int>(uri.size()));
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    sk_GENERAL_NAME_push(names, name);
  }
  need(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0) == 1, "subject alternative name");
  GENERAL_NAMES_free(names);
}

Owned<X509> blank(EVP_PKEY* key, const std::string& name, long serial, std::chrono::seconds from, std::chrono::seconds until) {
  Owned<X509> certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from.count());
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), until.count());
  set_common_name(X509_get_subject_name(certificate.get()), name);
  need(X509_set_pubkey(certificate.get(), key) == 1, "public key");
  return certificate;
}

}  // namespace

struct TestCa::Impl {
  std::filesystem::path directory;
  std::string name;
  Owned<EVP_PKEY> key;
  Owned<X509> certificate;
  long next_serial = 1000;
  long next_list = 1;
  std::map<std::string, long> serials;
  std::vector<long> revoked;
  bool has_list = false;

  std::string path(const std::string& rest) const { return (directory / (name + "." + rest)).string(); }
};

TestCa::TestCa(std::filesystem::path directory, std::string name) : impl_(std::make_unique<Impl>()) {
  impl_->directory = std::move(directory);
  impl_->name = std::move(name);
  impl_->key = make_key();
  impl_->certificate = blank(impl_->key.get(), impl_->name + " authority", 1, std::chrono::hours(-240), std::chrono::hours(2400));
  X509* certificate = impl_->certificate.get();
  need(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1, "issuer");
  add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
  need(X509_sign(certificate, impl_->key.get(), EVP_sha256()) != 0, "sign");
  write_file(ca_file(), 0644, [&](FILE* f) { return PEM_write_X509(f, certificate); });
}

TestCa::~TestCa() = default;

std::string TestCa::ca_file() const { return impl_->path("ca.pem"); }
std::string TestCa::certificate_file(const std::string& label) const { return impl_->path(label + ".crt"); }
std::string TestCa::key_file(const std::string& label) const { return impl_->path(label + ".key"); }

void TestCa::issue(const std::string& label, const CertificateRequest& request) {
  Owned<EVP_PKEY> key = make_key();
  const long serial = impl_->next_serial++;
  Owned<X509> certificate = blank(key.get(), request.common_name, serial, request.valid_from, request.valid_until);
  need(X509_set_issuer_name(certificate.get(), X509_get_subject_name(impl_->certificate.get())) == 1, "issuer");
  add_extension(certificate.get(), NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  add_uris(certificate.get(), request.uris);
  need(X509_sign(certificate.get(), impl_->key.get(), EVP_sha256()) != 0, "sign");
  impl_->serials[label] = serial;
  write_file(certificate_file(label), 0644, [&](FILE* f) { return PEM_write_X509(f, certificate.get()); });
  write_file(key_file(label), 0600, [&](FILE* f) { return PEM_write_PrivateKey(f, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}

void TestCa::revoke(const std::string& label) { impl_->revoked.push_back(impl_->serials.at(label)); }

std::string TestCa::write_crl(std::chrono::seconds next_update) {
  Owned<X509_CRL> list(X509_CRL_new());
  X509_CRL_set_version(list.get(), X509_CRL_VERSION_2);
  need(X509_CRL_set_issuer_name(list.get(), X509_get_subject_name(impl_->certificate.get())) == 1, "issuer of list");
  ASN1_TIME* time = ASN1_TIME_new();
  X509_gmtime_adj(time, -7200);
  X509_CRL_set1_lastUpdate(list.get(), time);
  X509_gmtime_adj(time, next_update.count());
  X509_CRL_set1_nextUpdate(list.get(), time);
  X509_gmtime_adj(time, -3600);
  for (long serial : impl_->revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    ASN1_INTEGER* number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, serial);
    X509_REVOKED_set_serialNumber(entry, number);
    X509_REVOKED_set_revocationDate(entry, time);
    ASN1_INTEGER_free(number);
    X509_CRL_add0_revoked(list.get(), entry);
  }
  ASN1_TIME_free(time);
  ASN1_INTEGER* number = ASN1_INTEGER_new();
  ASN1_INTEGER_set(number, impl_->next_list++);
  X509_CRL_add1_ext_i2d(list.get(), NID_crl_number, number, 0, 0);
  ASN1_INTEGER_free(number);
  X509_CRL_sort(list.get());
  need(X509_CRL_sign(list.get(), impl_->key.get(), EVP_sha256()) != 0, "sign list");
  write_file(impl_->path("crl"), 0644, [&](FILE* f) { return PEM_write_X509_CRL(f, list.get()); });
  impl_->has_list = true;
  return impl_->path("crl");
}

net::TlsConfig TestCa::config(const std::string& label) const {
  net::TlsConfig out;
  out.ca_file = ca_file();
  out.certificate_file = certificate_file(label);
  out.key_file = key_file(label);
  if (impl_->has_list) out.crl_file = impl_->path("crl");
  return out;
}

net::TlsConfig TestCa::identity(const std::string& label, const std::string& uri) {
  CertificateRequest request;
  request.uris = {uri};
  issue(label, request);
  return config(label);
}

}  // namespace stele::test
