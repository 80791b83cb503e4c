#include "receiver/ingest/quota.h"

#include <fmt/format.h>

namespace stele::receiver {

namespace {
constexpr Duration kDay = std::chrono::hours(24);
}

SiteQuota::SiteQuota(std::string site, const config::SiteLimits& limits, Instant now)
    : site_(std::move(site)), limits_(limits), bytes_(limits.bytes_per_second, std::max<std::uint64_t>(limits.bytes_per_second, 1 << 20), now),
      queries_(limits.chunk_queries_per_second, std::max<std::uint64_t>(limits.chunk_queries_per_second, 8192), now) {}

Error SiteQuota::over(std::string_view key, std::uint64_t limit) const {
  return Error{ErrorCode::kLimit, fmt::format("site {}: its limit {} = {} is reached", site_, key, limit), fmt::format("[site.limits] {} in receiver.toml", key)};
}

bool SiteQuota::PerDay::take(std::uint64_t n, std::uint64_t limit, Timestamp now) {
  if (begin.is_none() || now - begin >= kDay || now < begin) {
    begin = now;
    count = 0;
  }
  if (count + n > limit) return false;
  count += n;
  return true;
}

Status SiteQuota::may_store(std::uint64_t bytes, std::uint64_t stored) const {
  if (stored + bytes <= limits_.stored_bytes) return {};
  return Error{ErrorCode::kDiskFull, fmt::format("site {}: its limit stored_bytes = {} is reached", site_, limits_.stored_bytes),
               "[site.limits] stored_bytes in receiver.toml, or retention"};
}

Status SiteQuota::may_add_objects(std::uint64_t count, Timestamp now) {
  if (!objects_.take(count, limits_.objects_per_day, now)) return over("objects_per_day", limits_.objects_per_day);
  return {};
}

Status SiteQuota::may_add_epoch(Timestamp now) {
  if (!epochs_.take(1, limits_.epochs_per_day, now)) return over("epochs_per_day", limits_.epochs_per_day);
  return {};
}

Status SiteQuota::may_add_record(bool by_operator, Timestamp now) {
  if (!(by_operator ? operator_records_ : agent_records_).take(1, limits_.records_per_day, now)) return over("records_per_day", limits_.records_per_day);
  return {};
}

Status SiteQuota::may_ask(std::uint64_t names, Instant now) {
  if (queries_.delay(names, now).count() > 0) return over("chunk_queries_per_second", limits_.chunk_queries_per_second);
  queries_.take(names, now);
  return {};
}

Status SiteQuota::may_connect() {
  if (connections_ >= limits_.connections) return over("connections", static_cast<std::uint64_t>(limits_.connections));
  ++connections_;
  return {};
}

Status SiteQuota::may_open_object(std::size_t open) const {
  if (open >= static_cast<std::size_t>(limits_.open_objects)) return over("open_objects", static_cast<std::uint64_t>(limits_.open_objects));
  return {};
}

std::chrono::nanoseconds SiteQuota::take_bytes(std::uint64_t bytes, Instant now) {
  const auto delay = bytes_.delay(bytes, now);
  bytes_.take(bytes, now + std::chrono::duration_cast<Instant::duration>(delay));
  return delay;
}

}  // namespace stele::receiver
