#include "core/pg/page.h"

namespace stele::pg {
namespace {

constexpr std::size_t kColumns = 32;
constexpr std::uint32_t kPrime = 16777619;  // of FNV-1a
constexpr std::size_t kChecksumOffset = 8;  // of pd_checksum
/// The start values are part of the algorithm (storage/checksum_impl.h, checksumBaseOffsets).
constexpr std::array<std::uint32_t, kColumns> kBase = {
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C, 0xF8D4474F, 0xE39EB970, 0x42C6AE16,
    0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB, 0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2,
    0x304A0979, 0x85AA43D4, 0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756};

using Row = std::array<std::uint32_t, kColumns>;

inline __attribute__((always_inline)) void mix(Row& sums, const Row& row) {
  for (std::size_t j = 0; j < kColumns; ++j) {
    std::uint32_t t = sums[j] ^ row[j];
    sums[j] = t * kPrime ^ t >> 17;
  }
}

inline __attribute__((always_inline)) std::uint32_t block_hash(const std::uint8_t* page, std::size_t size) {
  Row sums = kBase;
  Row row;
  // A local copy of the first row lets the stored checksum count as zero without touching the page.
  std::memcpy(row.data(), page, sizeof(row));
  row[kChecksumOffset / 4] &= 0xFFFF0000u;
  mix(sums, row);
  for (std::size_t at = sizeof(Row); at < size; at += sizeof(Row)) {
    std::memcpy(row.data(), page + at, sizeof(row));
    mix(sums, row);
  }
  row.fill(0);
  mix(sums, row);
  mix(sums, row);
  std::uint32_t out = 0;
  for (std::uint32_t s : sums) out ^= s;
  return out;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) std::uint32_t block_hash_avx2(const std::uint8_t* page, std::size_t size) { return block_hash(page, size); }
#endif

bool all_zero(ByteView page) {
  std::uint64_t any = 0;
  for (std::size_t i = 0; i + 8 <= page.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, page.data() + i, 8);
    any |= word;
  }
  return any == 0;
}

}  // namespace

std::uint16_t page_checksum(ByteView page, std::uint32_t block) {
#if defined(__x86_64__)
  static const bool wide = __builtin_cpu_supports("avx2");
  std::uint32_t hash = wide ? block_hash_avx2(page.data(), page.size()) : block_hash(page.data(), page.size());
#else
  std::uint32_t hash = block_hash(page.data(), page.size());
#endif
  // Never 0: pages written before checksums were on have 0.
  return static_cast<std::uint16_t>((hash ^ block) % 65535 + 1);
}

PageHeader read_page_header(ByteView page) {
  ByteReader r(page);
  PageHeader h;
  // PageXLogRecPtr is two 32-bit halves, the upper one first.
  std::uint64_t high = r.u32();
  h.lsn = {high << 32 | r.u32()};
  h.checksum = r.u16();
  h.flags = r.u16();
  h.lower = r.u16();
  h.upper = r.u16();
  h.special = r.u16();
  std::uint16_t size_and_version = r.u16();
  h.page_size = size_and_version & 0xFF00;
  h.layout_version = static_cast<std::uint8_t>(size_and_version & 0xFF);
  return h;
}

PageState check_page(ByteView page, std::uint32_t block) {
  PageHeader h = read_page_header(page);
  if (h.upper == 0) return all_zero(page) ? PageState::kNew : PageState::kBadHeader;
  if (page_checksum(page, block) != h.checksum) return PageState::kBadChecksum;
  // PageIsVerified's sanity test; 0x0007 are the flags it knows.
  bool sane = (h.flags & ~0x0007) == 0 && h.lower <= h.upper && h.upper <= h.special && h.special <= page.size() && h.special % 8 == 0;
  return sane ? PageState::kGood : PageState::kBadHeader;
}

}  // namespace stele::pg
