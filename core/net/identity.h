#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace stele::net {

/// What a certificate's owner may be. TRUST section 1: an operator's certificate reads, it does not write.
enum class Role { kAgent, kReceiver, kOperator };

std::string_view role_name(Role role);  ///< "agent", "receiver", "operator"

/// Who the peer is, as its certificate's one URI says: `stele:agent:440000`, `stele:receiver:NAME`,
/// `stele:operator:440000` or `stele:operator:*`.
struct PeerIdentity {
  Role role = Role::kAgent;
  std::string name;  ///< agent: site; receiver: its name; operator: site or "*"
  bool operator==(const PeerIdentity&) const = default;
  std::string to_string() const;  ///< the URI
  /// True for an operator of this site or of all sites, and for the agent of this site.
  bool may_read_site(std::string_view site) const;
};

/// One URI to an identity. kUnauthorised when it is not exactly one of the four forms. Sites: 1 to 32 of [a-z0-9-];
/// receivers: 1 to 64 of [a-z0-9._-]; neither begins with '-' or '.'.
Result<PeerIdentity> parse_identity(std::string_view uri);

/// The identity of a certificate from all URI entries of its subject alternative name (other entries may exist and mean
/// nothing). Exactly one of them begins with "stele:"; none, two, or a malformed one is kUnauthorised. The bytes are as
/// in the certificate, so an embedded NUL is seen and refused.
Result<PeerIdentity> identity_from_uris(const std::vector<std::string>& uris);

/// Which peers one end of a connection accepts.
struct PeerPolicy {
  std::vector<Role> roles;
  std::optional<std::string> name;  ///< the exact name, when only one peer is meant (an agent's configured receiver)
  /// kUnauthorised with a hint when the peer is somebody else.
  Status check(const PeerIdentity& peer) const;
};

}  // namespace stele::net
