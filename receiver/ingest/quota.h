#pragma once

#include <string>

#include "core/base/time.h"
#include "core/config/receiver_config.h"
#include "core/net/pacing.h"

namespace stele::receiver {

/// The limits of one site (TRUST section 1). Pure: given times. The owner guards it.
class SiteQuota {
 public:
  SiteQuota(std::string site, const config::SiteLimits& limits, Instant now);

  /// kLimit with the key of receiver.toml. `stored`: bytes of the site's objects and journal records now.
  Status may_store(std::uint64_t bytes, std::uint64_t stored) const;
  Status may_add_objects(std::uint64_t count, Timestamp now);
  Status may_add_epoch(Timestamp now);
  /// Records are held in memory. What operators append does not use up what the site's agents need.
  Status may_add_record(bool by_operator, Timestamp now);
  Status may_ask(std::uint64_t names, Instant now);
  Status may_connect();
  void disconnected() { --connections_; }
  Status may_open_object(std::size_t open) const;
  /// How long the site has to wait before its next message, having sent `bytes`.
  std::chrono::nanoseconds take_bytes(std::uint64_t bytes, Instant now);

  int connections() const { return connections_; }

 private:
  struct PerDay {
    Timestamp begin;
    std::uint64_t count = 0;
    bool take(std::uint64_t n, std::uint64_t limit, Timestamp now);
  };
  Error over(std::string_view key, std::uint64_t limit) const;
  std::string site_;
  config::SiteLimits limits_;
  PerDay objects_, epochs_, agent_records_, operator_records_;
  net::TokenBucket bytes_, queries_;
  int connections_ = 0;
};

}  // namespace stele::receiver
