#include "agent/snapshot/chunker.h"

#include <gtest/gtest.h>

#include "core/pg/page.h"
#include "tests/support/seeded_random.h"
#include "tests/unit/agent_snapshot/tar_writer.h"

namespace stele::agent {
namespace {

using test::SeededRandom;
using test::TarWriter;

struct Collected final : ChunkSink {
  std::vector<RawChunk> chunks;
  std::vector<format::FileEntry> files;
  Status on_chunk(RawChunk chunk) override {
    chunks.push_back(std::move(chunk));
    return {};
  }
  Status on_file(const format::FileEntry& entry) override {
    files.push_back(entry);
    return {};
  }
  const format::FileEntry* find(std::string_view path) const {
    for (const format::FileEntry& f : files) {
      if (f.path == path) return &f;
    }
    return nullptr;
  }
};

constexpr std::size_t kChunk = 4 * pg::kPageSize;

struct Fed {
  Collected sink;
  Chunker chunker;
  Fed(const Bytes& tar, std::size_t cut, ChunkerOptions options = {kChunk, true, 131072}, std::uint32_t tablespace = 0)
      : chunker(options, sink) {
    chunker.begin_archive(tablespace);
    pg::TarReader reader(chunker);
    for (std::size_t at = 0; at < tar.size(); at += cut) {
      status = reader.feed(ByteView(tar).subspan(at, std::min(cut, tar.size() - at)));
      if (!status.ok()) return;
    }
    status = reader.finish();
  }
  Status status;
};

TEST(Chunker, CutsEveryFileAtItsOwnOffsetsHoweverTheArchiveIsCut) {
  SeededRandom random(1);
  const Bytes big = random.bytes(kChunk * 2 + 5 * 512 + 3), exact = random.bytes(kChunk * 2);
  const Bytes tar = TarWriter()
                        .directory("base")
                        .file("base/5/1259", big)
                        .file("PG_VERSION", as_bytes("15\n"))
                        .file("empty", {})
                        .file("global/1262", exact)
                        .finish();
  for (std::size_t cut : {std::size_t{1}, std::size_t{511}, std::size_t{4096}, kChunk, tar.size()}) {
    Fed fed(tar, cut);
    ASSERT_TRUE(fed.status.ok()) << fed.status.error().what;
    ASSERT_EQ(fed.sink.files.size(), 5u) << "cut " << cut;
    EXPECT_EQ(fed.sink.files[0].type, format::FileType::kDirectory);
    EXPECT_EQ(fed.sink.files[0].chunks, 0u);
    EXPECT_EQ(fed.sink.files[1].chunks, 3u);
    EXPECT_EQ(fed.sink.files[1].size, big.size());
    EXPECT_EQ(fed.sink.files[2].chunks, 1u);
    EXPECT_EQ(fed.sink.files[3].chunks, 0u);
    EXPECT_EQ(fed.sink.files[4].chunks, 2u);
    ASSERT_EQ(fed.sink.chunks.size(), 6u);
    EXPECT_EQ(fed.sink.chunks[2].bytes, Bytes(big.begin() + 2 * kChunk, big.end()));
    EXPECT_EQ(as_text(fed.sink.chunks[3].bytes), "15\n");
    EXPECT_EQ(fed.sink.chunks[5].bytes, Bytes(exact.begin() + kChunk, exact.end()));
    EXPECT_EQ(fed.chunker.raw_bytes(), big.size() + 3 + exact.size());
  }
}

TEST(Chunker, ReservesNoMoreMemoryThanAFileNeeds) {
  Fed fed(TarWriter().file("PG_VERSION", as_bytes("15\n")).finish(), 512, {4 << 20, false, 131072});
  ASSERT_EQ(fed.sink.chunks.size(), 1u);
  EXPECT_LT(fed.sink.chunks[0].bytes.capacity(), 4096u);
}

TEST(Chunker, KnowsTheBlockNumbersOfEachChunkOfARelation) {
  const Bytes content(kChunk + pg::kPageSize);
  Fed fed(TarWriter()
              .file("base/5/16384.2", content)
              .file("base/5/16384_fsm", content)
              .file("base/5/pg_filenode.map", content)
              .finish(),
          4096);
  ASSERT_EQ(fed.sink.chunks.size(), 6u);
  ASSERT_TRUE(fed.sink.chunks[1].pages);
  EXPECT_EQ(fed.sink.chunks[0].pages->first_block, 2u * 131072);
  EXPECT_EQ(fed.sink.chunks[1].pages->first_block, 2u * 131072 + 4);
  EXPECT_EQ(fed.sink.chunks[1].pages->file.relation, 16384u);
  EXPECT_FALSE(fed.sink.chunks[2].pages) << "the free space map heals itself";
  EXPECT_FALSE(fed.sink.chunks[4].pages) << "not a relation";
}

TEST(Chunker, KnowsRelationsOfTablespaces) {
  Fed fed(TarWriter().file("PG_15_202209061/5/16401", Bytes(pg::kPageSize)).finish(), 4096, {kChunk, true, 131072},
          16400);
  ASSERT_EQ(fed.sink.chunks.size(), 1u);
  ASSERT_TRUE(fed.sink.chunks[0].pages);
  EXPECT_EQ(fed.sink.chunks[0].pages->file.tablespace, 16400u);
  EXPECT_EQ(fed.sink.files[0].tablespace, 16400u);
  EXPECT_EQ(fed.sink.files[0].path, "PG_15_202209061/5/16401");
}

TEST(Chunker, ChecksNoPagesOfAClusterWithoutChecksums) {
  Fed fed(TarWriter().file("base/5/16384", Bytes(pg::kPageSize)).finish(), 4096, {kChunk, false, 131072});
  EXPECT_FALSE(fed.sink.chunks[0].pages);
}

TEST(Chunker, KeepsTheBackupLabelAsTextAndAsAFile) {
  Fed fed(TarWriter()
              .file("backup_label", as_bytes("START WAL LOCATION: 0/2000028\n"))
              .file("other", as_bytes("x"))
              .finish(),
          3);
  EXPECT_EQ(fed.chunker.backup_label(), "START WAL LOCATION: 0/2000028\n");
  EXPECT_NE(fed.sink.find("backup_label"), nullptr);
}

TEST(Chunker, LeavesOutWhatNoRestoreMayCreateAndNamesIt) {
  Fed fed(TarWriter()
              .file("strange\\name", Bytes(700))
              .link("pg_wal/elsewhere", "/etc")
              .link("pg_tblspc/16400", "/srv/space")
              .file("after", as_bytes("x"))
              .finish(),
          100);
  ASSERT_TRUE(fed.status.ok());
  EXPECT_EQ(fed.chunker.skipped(), (std::vector<std::string>{"strange\\name", "pg_wal/elsewhere"}));
  ASSERT_EQ(fed.sink.files.size(), 2u);
  EXPECT_EQ(fed.sink.files[0].type, format::FileType::kSymlink);
  EXPECT_EQ(fed.sink.files[1].path, "after");
  EXPECT_EQ(fed.sink.chunks.size(), 1u);
}

TEST(Chunker, RefusesHostileArchives) {
  Fed upwards(TarWriter().file("../etc/passwd", as_bytes("x")).finish(), 512);
  EXPECT_FALSE(upwards.status.ok());
  Bytes cut = TarWriter().file("base/5/1", Bytes(2000)).finish();
  cut.resize(1500);
  EXPECT_FALSE(Fed(cut, 512).status.ok());
  Fed label(TarWriter().file("backup_label", Bytes(70'000, 'x')).finish(), 512);
  ASSERT_FALSE(label.status.ok());
  EXPECT_EQ(label.status.error().code, ErrorCode::kDamaged);
}

TEST(Chunker, SurvivesArchivesWithRandomDamage) {
  SeededRandom random(7);
  const Bytes tar = TarWriter()
                        .directory("base")
                        .file("base/5/1259", random.bytes(20'000))
                        .link("pg_tblspc/1", "/x")
                        .file("b", random.bytes(100))
                        .finish();
  for (int round = 0; round < 2000; ++round) {
    Bytes damaged = tar;
    for (int i = 0; i < 4; ++i) damaged[random.below(damaged.size())] = static_cast<std::uint8_t>(random.u64());
    Fed fed(damaged, 1 + random.below(3000));
    std::uint64_t bytes = 0;
    for (const RawChunk& chunk : fed.sink.chunks) bytes += chunk.bytes.size();
    EXPECT_LE(bytes, tar.size());
  }
}

TEST(Chunker, TakesFilesThatComeFromElsewhereWithoutKnowingTheirSize) {
  Collected sink;
  Chunker chunker({kChunk, true, 131072}, sink);
  format::FileEntry entry;
  entry.type = format::FileType::kExtraFile;
  entry.path = "etc/postgresql/postgresql.conf";
  ASSERT_TRUE(chunker.begin_file(entry).ok());
  EXPECT_FALSE(chunker.begin_file(entry).ok()) << "not inside another";
  ASSERT_TRUE(chunker.data(Bytes(kChunk - 1)).ok());
  ASSERT_TRUE(chunker.data(Bytes(3)).ok());
  ASSERT_TRUE(chunker.end_file().ok());
  ASSERT_EQ(sink.files.size(), 1u);
  EXPECT_EQ(sink.files[0].size, kChunk + 2);
  EXPECT_EQ(sink.files[0].chunks, 2u);
}

TEST(PageCheck, FindsPagesWhoseChecksumDiffersAndIgnoresNewOnes) {
  Bytes chunk(3 * pg::kPageSize + 100);
  auto make = [&](std::size_t n, std::uint32_t block) {
    std::uint8_t* page = chunk.data() + n * pg::kPageSize;
    ByteView view(page, pg::kPageSize);
    page[12] = 24, page[14] = 0, page[15] = 0x20, page[16] = 0, page[17] = 0x20, page[18] = 4, page[19] = 0x20;
    const std::uint16_t sum = pg::page_checksum(view, block);
    page[8] = static_cast<std::uint8_t>(sum), page[9] = static_cast<std::uint8_t>(sum >> 8);
  };
  make(0, 70);
  make(2, 72);
  PageRun run;
  run.file.relation = 16384;
  run.first_block = 70;
  std::vector<SuspectPage> suspects;
  check_pages(chunk, run, suspects);
  EXPECT_TRUE(suspects.empty());
  chunk[2 * pg::kPageSize + 4000] ^= 1;
  check_pages(chunk, run, suspects);
  ASSERT_EQ(suspects.size(), 1u);
  EXPECT_EQ(suspects[0].page.block, 72u);
  EXPECT_EQ(suspects[0].page.relation, 16384u);
}

}  // namespace
}  // namespace stele::agent
