#include "core/net/identity.h"

#include <fmt/format.h>

#include <algorithm>

namespace stele::net {

namespace {

constexpr std::string_view kPrefix = "stele:";

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool is_site(std::string_view text) {
  return !text.empty() && text.size() <= 32 && text[0] != '-' &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_receiver_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && is_lower_or_digit(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_lower_or_digit(c) || c == '-' || c == '.' || c == '_'; });
}

/// A peer's bytes for an error message: nothing that could disturb a log, and short.
std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 80)) out += (c >= 0x20 && c < 0x7f) ? c : '?';
  if (text.size() > 80) out += "...";
  return out;
}

Error unauthorised(std::string what, std::string hint) {
  return Error{ErrorCode::kUnauthorised, std::move(what), std::move(hint)};
}

}  // namespace

std::string_view role_name(Role role) {
  switch (role) {
    case Role::kAgent: return "agent";
    case Role::kReceiver: return "receiver";
    case Role::kOperator: break;
  }
  return "operator";
}

std::string PeerIdentity::to_string() const { return fmt::format("stele:{}:{}", role_name(role), name); }

bool PeerIdentity::may_read_site(std::string_view site) const {
  if (role == Role::kReceiver) return false;
  return name == site || (role == Role::kOperator && name == "*");
}

Result<PeerIdentity> parse_identity(std::string_view uri) {
  auto malformed = [&] {
    return unauthorised(fmt::format("certificate: the URI '{}' is not an identity", printable(uri)),
                        "issue it with one of stele:agent:SITE, stele:receiver:NAME, stele:operator:SITE, stele:operator:*");
  };
  if (!uri.starts_with(kPrefix)) return malformed();
  const std::string_view rest = uri.substr(kPrefix.size());
  const std::size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return malformed();
  const std::string_view role = rest.substr(0, colon);
  const std::string_view name = rest.substr(colon + 1);
  PeerIdentity out;
  out.name = std::string(name);
  if (role == "agent" && is_site(name)) {
    out.role = Role::kAgent;
  } else if (role == "receiver" && is_receiver_name(name)) {
    out.role = Role::kReceiver;
  } else if (role == "operator" && (name == "*" || is_site(name))) {
    out.role = Role::kOperator;
  } else {
    return malformed();
  }
  return out;
}

Result<PeerIdentity> identity_from_uris(const std::vector<std::string>& uris) {
  const std::string* found = nullptr;
  for (const std::string& uri : uris) {
    // Schemes are case-insensitive (RFC 3986 section 3.1): "STELE:" counts too, and is then refused as malformed.
    const bool ours = uri.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), uri.begin(), [](char a, char b) {
      return a == (b >= 'A' && b <= 'Z' ? b + ('a' - 'A') : b);
    });
    if (!ours) continue;
    if (found != nullptr) {
      return unauthorised(
          fmt::format("certificate: two identities, '{}' and '{}'", printable(*found), printable(uri)),
          "issue a certificate with exactly one stele: URI");
    }
    found = &uri;
  }
  if (found == nullptr) {
    return unauthorised("certificate: no stele: URI among its subject alternative names",
                        "issue it with subjectAltName = URI:stele:agent:SITE (or receiver, operator); the CN is not read");
  }
  return parse_identity(*found);
}

Status PeerPolicy::check(const PeerIdentity& peer) const {
  if (std::find(roles.begin(), roles.end(), peer.role) == roles.end()) {
    std::string wanted;
    for (Role role : roles) wanted += fmt::format("{}{}", wanted.empty() ? "" : " or ", role_name(role));
    return unauthorised(fmt::format("peer is {}, here only the role {} is accepted", peer.to_string(), wanted),
                        "check which certificate and which address are configured on the other side");
  }
  if (name && *name != peer.name) {
    return unauthorised(fmt::format("peer is {}, expected the name '{}'", peer.to_string(), *name),
                        "the configured name and the URI of the peer's certificate must be equal");
  }
  return {};
}

}  // namespace stele::net
