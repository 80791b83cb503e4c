#include "core/io/journal_format.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "core/io/journal_scan.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/journal_records.h"

namespace stele::io {
namespace {

/// A source of one number, so that the example's incarnation is known.
class FixedRandom final : public RandomSource {
 public:
  void fill(MutableByteView out) override {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(0x88 - 0x11 * (i % 8));
  }
};

/// Rows of 16 bytes that are not all zero.
std::string dump(ByteView bytes) {
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += 16) {
    ByteView row = bytes.subspan(at, std::min<std::size_t>(16, bytes.size() - at));
    if (std::all_of(row.begin(), row.end(), [](auto b) { return b == 0; })) continue;
    out += fmt::format("{:04x}  {}\n", at, to_hex(row));
  }
  return out;
}

TEST(JournalFormat, IsWhatTheDocumentShows) {
  test::FaultFileSystem fs;
  FixedRandom random;
  test::Recovered got;
  auto journal = Journal::open(fs, random, {"/j", 64u << 10, 128u << 10, "test"}, got.visitor());
  ASSERT_TRUE(journal.ok());
  ASSERT_TRUE(test::append_texts(**journal, {"Stele", ""}).ok());
  auto file = fs.open("/j/00000001.journal", OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  auto bytes = (*file)->read_exactly(0, 64u << 10);
  ASSERT_TRUE(bytes.ok());

  std::ifstream document(STELE_SOURCE_DIR "/core/io/JOURNAL.md");
  std::stringstream text;
  text << document.rdbuf();
  std::string all = text.str();
  std::size_t begin = all.find("```\n", all.find("## Example"));
  ASSERT_NE(begin, std::string::npos);
  begin += 4;
  EXPECT_EQ(all.substr(begin, all.find("```", begin) - begin), dump(*bytes));
}

TEST(JournalFormat, ReadsBackItsHeaders) {
  JournalFileHeader header{.sequence = 9,
                           .incarnation = 77,
                           .file_bytes = 1u << 20,
                           .oldest_file = 3,
                           .previous_file = 8,
                           .previous_end = 12345,
                           .previous_abandoned = true};
  Bytes bytes = encode_journal_header(header);
  EXPECT_EQ(bytes.size(), kJournalHeaderBytes);
  EXPECT_EQ(decode_journal_header(bytes).value(), header);
  BatchHeader batch{2, 100, 8192};
  Bytes batch_bytes = encode_batch_header(batch, 5, 12288);
  EXPECT_EQ(batch_bytes.size(), kBatchHeaderBytes);
  EXPECT_EQ(decode_batch_header(batch_bytes, 5, 12288).value(), batch);
  EXPECT_FALSE(decode_batch_header(batch_bytes, 6, 12288));
  EXPECT_FALSE(decode_batch_header(batch_bytes, 5, 16384));
}

TEST(JournalFormat, RefusesEveryFlippedBitAndEveryCut) {
  const Bytes header = encode_journal_header({.sequence = 9,
                                              .incarnation = 77,
                                              .file_bytes = 1u << 20,
                                              .oldest_file = 3,
                                              .previous_file = 8,
                                              .previous_end = 12345});
  const Bytes batch = encode_batch_header({2, 100, 8192}, 5, 12288);
  ByteView payload = as_bytes("payload");
  const Bytes record = encode_record_header(std::span(&payload, 1), 5, 12320);
  for (std::size_t bit = 0; bit < header.size() * 8; ++bit) {
    Bytes bad = header;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    EXPECT_FALSE(decode_journal_header(bad).ok()) << bit;
  }
  for (std::size_t bit = 0; bit < batch.size() * 8; ++bit) {
    Bytes bad = batch;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    EXPECT_FALSE(decode_batch_header(bad, 5, 12288)) << bit;
  }
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    Bytes bad = record;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    auto decoded = decode_record_header(bad);
    EXPECT_FALSE(decoded && record_matches(*decoded, payload, 5, 12320)) << bit;
  }
  for (std::size_t size = 0; size < header.size(); ++size)
    EXPECT_FALSE(decode_journal_header(ByteView(header).first(size)).ok());
  for (std::size_t size = 0; size < batch.size(); ++size)
    EXPECT_FALSE(decode_batch_header(ByteView(batch).first(size), 5, 12288));
  for (std::size_t size = 0; size < record.size(); ++size)
    EXPECT_FALSE(decode_record_header(ByteView(record).first(size)));
}

TEST(JournalFormat, RefusesAJournalOfAnotherVersionAndLeavesItAlone) {
  // Version 2, with the checksum that its writer would have made over the first 72 bytes.
  Bytes header = from_hex(
                     "5354454c454a4e4c0200000000100000010000000000000088776655443322110000010000000000"
                     "01000000000000000000000000000000000000000000000000000000000000004b1bccd6a46a537c")
                     .value();
  test::FaultFileSystem fs;
  ASSERT_TRUE(fs.make_directory("/j").ok());
  {
    auto file = fs.open("/j/00000001.journal", OpenMode::kCreateExclusive);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE((*file)->fill_zero(0, 64u << 10).ok());
    ASSERT_TRUE((*file)->write_at(0, header).ok());
    ASSERT_TRUE((*file)->write_at(kJournalBlock, header).ok());
  }
  test::SeededRandom random(1);
  test::Recovered got;
  auto journal = Journal::open(fs, random, {"/j", 64u << 10, 128u << 10, "test"}, got.visitor());
  ASSERT_FALSE(journal.ok());
  EXPECT_EQ(journal.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(read_journal(fs, "/j", got.visitor()).error().code, ErrorCode::kUnsupported);
  EXPECT_TRUE(fs.exists("/j/00000001.journal").value());
}

}  // namespace
}  // namespace stele::io
