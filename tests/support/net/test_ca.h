#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/net/tls.h"

namespace stele::test {

/// What a test certificate says.
struct CertificateRequest {
  std::vector<std::string> uris;   ///< URI entries of the subject alternative name, bytes as given
  std::string common_name = "not read";
  std::chrono::seconds valid_from{-3600};   ///< from now
  std::chrono::seconds valid_until{86400};  ///< from now
};

/// A certificate authority with its files in one directory, made with OpenSSL's library. A failure throws std::runtime_error.
class TestCa {
 public:
  /// Writes DIR/NAME.ca.pem.
  TestCa(std::filesystem::path directory, std::string name = "test");
  ~TestCa();

  std::string ca_file() const;
  /// Issues a certificate and key: DIR/NAME.LABEL.crt and DIR/NAME.LABEL.key (mode 0600).
  void issue(const std::string& label, const CertificateRequest& request);
  std::string certificate_file(const std::string& label) const;
  std::string key_file(const std::string& label) const;
  /// Names the certificate in coming lists.
  void revoke(const std::string& label);
  /// Writes DIR/NAME.crl with everything revoked so far; replaces it as an operator does, by renaming.
  std::string write_crl(std::chrono::seconds next_update = std::chrono::seconds(86400));

  /// The configuration of a program with this certificate under this authority.
  net::TlsConfig config(const std::string& label) const;
  /// issue() and config() in one, with one URI.
  net::TlsConfig identity(const std::string& label, const std::string& uri);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele::test
