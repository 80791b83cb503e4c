#include "core/pg/tar.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

namespace stele::pg {
namespace {

struct Collected : TarEvents {
  struct Item {
    TarEntry entry;
    Bytes data;
    bool ended = false;
  };
  std::vector<Item> items;
  Status on_entry(const TarEntry& e) override {
    items.push_back({e, {}, false});
    return {};
  }
  Status on_data(ByteView b) override {
    items.back().data.insert(items.back().data.end(), b.begin(), b.end());
    return {};
  }
  Status on_end_of_entry() override {
    items.back().ended = true;
    return {};
  }
};

void add_checksum(Bytes& h) {
  std::fill(h.begin() + 148, h.begin() + 156, ' ');
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += h[i];
  std::string text = fmt::format("{:06o}", sum);
  std::copy(text.begin(), text.end(), h.begin() + 148);
  h[154] = 0;
}

Bytes header(std::string_view name, char type, std::string_view size_field, std::string_view link = "") {
  Bytes h(512);
  auto put = [&](std::size_t at, std::string_view text) { std::copy(text.begin(), text.end(), h.begin() + static_cast<std::ptrdiff_t>(at)); };
  put(0, name), put(100, "0000640"), put(124, size_field), put(136, "14516043400"), put(157, link);
  h[156] = static_cast<std::uint8_t>(type);
  put(257, std::string_view("ustar\00000", 8));
  add_checksum(h);
  return h;
}

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

Bytes sample(bool with_end) {
  Bytes out;
  append(out, header("./base", '5', "00000000000"));
  append(out, header("base/5/1259", '0', "00000001001"));  // 513 bytes
  append(out, Bytes(513, 'a'));
  append(out, Bytes(511, 0));
  append(out, header("empty", '0', "00000000000"));
  append(out, header("pg_tblspc/16400/", '2', "00000000000", "/srv/space"));
  if (with_end) append(out, Bytes(1024, 0));
  return out;
}

TEST(TarReader, ReadsTheSameWhereverTheBytesAreCut) {
  for (bool with_end : {true, false}) {
    Bytes bytes = sample(with_end);
    for (std::size_t cut : {1, 7, 511, 512, 513, 5000}) {
      Collected events;
      TarReader reader(events);
      for (std::size_t at = 0; at < bytes.size(); at += cut) {
        ASSERT_TRUE(reader.feed(ByteView(bytes).subspan(at, std::min<std::size_t>(cut, bytes.size() - at))).ok());
      }
      ASSERT_TRUE(reader.finish().ok());
      ASSERT_EQ(events.items.size(), 4u);
      EXPECT_EQ(events.items[0].entry.path, "base");
      EXPECT_EQ(events.items[0].entry.type, TarType::kDirectory);
      EXPECT_EQ(events.items[1].entry.path, "base/5/1259");
      EXPECT_EQ(events.items[1].data, Bytes(513, 'a'));
      EXPECT_EQ(events.items[1].entry.mode, 0640u);
      EXPECT_EQ(events.items[1].entry.mtime.micros, 014516043400LL * 1'000'000);
      EXPECT_EQ(events.items[3].entry.link_target, "/srv/space");
      for (const auto& i : events.items) EXPECT_TRUE(i.ended);
    }
  }
}

TEST(TarReader, ReadsSizesAbove8GiB) {
  std::string size(12, '\0');
  size[0] = static_cast<char>(0x80);
  size[7] = 3;  // 3 * 2^32
  Collected events;
  TarReader reader(events);
  ASSERT_TRUE(reader.feed(header("big", '0', size)).ok());
  EXPECT_EQ(events.items.at(0).entry.size, std::uint64_t{3} << 32);
  EXPECT_EQ(reader.finish().error().code, ErrorCode::kDamaged);
}

TEST(TarReader, AFileDatedBefore1970IsAsOldAsCanBe) {
  // Minus one second, as print_tar_number writes it.
  const std::string minus_one = std::string("\x80\0\0\0", 4) + std::string(8, '\xff');
  Bytes bytes = header("base/5/1259", '0', "00000000000");
  std::copy(minus_one.begin(), minus_one.end(), bytes.begin() + 136);
  add_checksum(bytes);
  Collected events;
  TarReader reader(events);
  ASSERT_TRUE(reader.feed(bytes).ok());
  EXPECT_EQ(events.items.at(0).entry.mtime.micros, 0);
}

TEST(TarReader, RefusesWhatPostgresNeverSends) {
  auto code = [](Bytes bytes) {
    Collected events;
    TarReader reader(events);
    Status s = reader.feed(bytes);
    return s.ok() ? ErrorCode::kInternal : s.error().code;
  };
  for (const char* name : {"", "/etc/passwd", "../x", "a/../b", "a//b", "./../a", "././a", ".//a", "a/.", ".."}) {
    EXPECT_EQ(code(header(name, '0', "0")), ErrorCode::kDamaged) << name;
  }
  for (char type : {'1', '3', '6', 'x', 'g', 'L'}) EXPECT_EQ(code(header("a", type, "0")), ErrorCode::kUnsupported) << type;
  EXPECT_EQ(code(header("a", '0', "9")), ErrorCode::kDamaged);
  EXPECT_EQ(code(header("a", '0', std::string(12, '\xFF'))), ErrorCode::kDamaged);
  EXPECT_EQ(code(header("a", '0', std::string("\x80\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 12))), ErrorCode::kDamaged);
  EXPECT_EQ(code(header("a", '5', "1")), ErrorCode::kDamaged);
  EXPECT_EQ(code(header("a", '2', "0")), ErrorCode::kDamaged);
  Bytes after_end(512, 0);
  append(after_end, header("a", '0', "0"));
  EXPECT_EQ(code(after_end), ErrorCode::kDamaged);
  Bytes good = header("a", '0', "0");
  for (std::size_t i = 0; i < 512; ++i) {
    if (i == 155) continue;  // behind the NUL that ends the checksum
    Bytes bad = good;
    bad[i] ^= 0x04;
    EXPECT_EQ(code(bad), ErrorCode::kDamaged) << i;
  }
}

TEST(TarReader, PassesOnTheErrorOfItsUser) {
  struct Full : Collected {
    Status on_data(ByteView) override { return Error{ErrorCode::kDiskFull, "no space", ""}; }
  } events;
  TarReader reader(events);
  EXPECT_EQ(reader.feed(sample(true)).error().code, ErrorCode::kDiskFull);
}

}  // namespace
}  // namespace stele::pg
