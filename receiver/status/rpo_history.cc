#include "receiver/status/rpo_history.h"

#include <bit>
#include <cstring>

namespace stele::receiver {

namespace {

constexpr std::string_view kMagic = "stele rpo history 1\n";
constexpr std::size_t kMaxName = 255;
constexpr float kUnknown = -1;

std::int64_t step_of(Timestamp t) { return t.micros / 1'000'000 / RpoHistory::kStepSeconds; }

template <typename T>
void put(Bytes& out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8 * i)));
}

template <typename T>
bool get(ByteView& in, T& value) {
  if (in.size() < sizeof(T)) return false;
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) v |= std::uint64_t{in[i]} << (8 * i);
  value = static_cast<T>(v);
  in = in.subspan(sizeof(T));
  return true;
}

bool get_name(ByteView& in, std::string& name) {
  std::uint8_t size = 0;
  if (!get(in, size) || in.size() < size) return false;
  name.assign(reinterpret_cast<const char*>(in.data()), size);
  in = in.subspan(size);
  return true;
}

void put_name(Bytes& out, const std::string& name) {
  put(out, static_cast<std::uint8_t>(std::min(name.size(), kMaxName)));
  out.insert(out.end(), name.begin(), name.begin() + static_cast<std::ptrdiff_t>(std::min(name.size(), kMaxName)));
}

}  // namespace

void RpoHistory::add(const DatabaseName& database, Timestamp now, double seconds) {
  Ring& ring = rings_[database];
  const std::int64_t step = step_of(now);
  if (ring.values.empty()) {
    ring.values.assign(kSamples, kUnknown);
    ring.last = step;
  }
  // Steps nobody looked at, and after a clock was set back what it had written ahead.
  for (std::int64_t s = step + 1; s <= ring.last; ++s) ring.values[static_cast<std::size_t>(s) % kSamples] = kUnknown;
  for (std::int64_t s = std::max(ring.last + 1, step - static_cast<std::int64_t>(kSamples) + 1); s <= step; ++s) ring.values[static_cast<std::size_t>(s) % kSamples] = kUnknown;
  ring.last = step;
  float& value = ring.values[static_cast<std::size_t>(step) % kSamples];
  value = std::max(value, static_cast<float>(seconds));
}

float RpoHistory::at(const Ring& ring, std::int64_t step) {
  if (step > ring.last || step <= ring.last - static_cast<std::int64_t>(kSamples) || step < 0) return kUnknown;
  return ring.values[static_cast<std::size_t>(step) % kSamples];
}

std::vector<RpoHistory::Point> RpoHistory::series(const DatabaseName& database, Timestamp from, Timestamp now, std::size_t points) const {
  std::vector<Point> out;
  auto found = rings_.find(database);
  if (found == rings_.end() || points == 0 || now <= from) return out;
  const std::int64_t first = step_of(from), last = step_of(now);
  for (std::size_t i = 0; i < points; ++i) {
    const std::int64_t begin = first + (last + 1 - first) * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(points);
    const std::int64_t end = first + (last + 1 - first) * static_cast<std::int64_t>(i + 1) / static_cast<std::int64_t>(points);
    if (begin == end) continue;
    float value = kUnknown;
    for (std::int64_t s = begin; s < end; ++s) value = std::max(value, at(found->second, s));
    out.push_back({Timestamp{begin * kStepSeconds * 1'000'000}, value});
  }
  return out;
}

Bytes RpoHistory::encode() const {
  Bytes out(kMagic.begin(), kMagic.end());
  put(out, static_cast<std::uint32_t>(rings_.size()));
  for (const auto& [name, ring] : rings_) {
    put_name(out, name.site);
    put_name(out, name.database);
    put(out, ring.last);
    // Only what is known at its begin: a young database is a small entry.
    std::int64_t first = ring.last - static_cast<std::int64_t>(kSamples) + 1;
    while (first < ring.last && at(ring, first) < 0) ++first;
    put(out, static_cast<std::uint32_t>(ring.last - first + 1));
    for (std::int64_t s = first; s <= ring.last; ++s) put(out, std::bit_cast<std::uint32_t>(at(ring, s)));
  }
  return out;
}

Result<RpoHistory> RpoHistory::decode(ByteView bytes, Timestamp now) {
  const Error damaged{ErrorCode::kDamaged, "the RPO history is not readable", "it is begun anew; nothing else depends on it"};
  if (bytes.size() < kMagic.size() || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return damaged;
  bytes = bytes.subspan(kMagic.size());
  RpoHistory out;
  std::uint32_t count = 0;
  if (!get(bytes, count)) return damaged;
  for (std::uint32_t i = 0; i < count; ++i) {
    DatabaseName name;
    std::int64_t last = 0;
    std::uint32_t values = 0;
    if (!get_name(bytes, name.site) || !get_name(bytes, name.database) || !get(bytes, last) || !get(bytes, values) || values == 0 || values > kSamples ||
        last < static_cast<std::int64_t>(kSamples) || bytes.size() < std::size_t{values} * 4) {
      return damaged;
    }
    Ring ring{last, std::vector<float>(kSamples, kUnknown)};
    for (std::uint32_t v = 0; v < values; ++v) {
      std::uint32_t bits = 0;
      get(bytes, bits);
      const float value = std::bit_cast<float>(bits);
      if (!(value >= 0) || value > 1e12F) continue;
      ring.values[static_cast<std::size_t>(last - values + 1 + v) % kSamples] = value;
    }
    // What lies in the future (a clock that was wrong) or is too old says nothing.
    if (last > step_of(now) || last + static_cast<std::int64_t>(kSamples) < step_of(now)) continue;
    out.rings_.insert_or_assign(std::move(name), std::move(ring));
  }
  if (!bytes.empty()) return damaged;
  return out;
}

}  // namespace stele::receiver
