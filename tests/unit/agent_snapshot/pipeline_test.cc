#include "agent/snapshot/pipeline.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "core/crypto/hash.h"
#include "tests/support/seeded_random.h"

namespace stele::agent {
namespace {

using protocol::MessageType;
using test::SeededRandom;

/// A receiver in memory that checks what it gets.
class FakeTarget final : public SnapshotTarget {
 public:
  FakeTarget(std::string name, const crypto::VerifyKey& key) : name_(std::move(name)), key_(key) {}

  const std::string& name() const override { return name_; }
  Result<std::vector<bool>> known(const std::vector<ChunkName>& names) override {
    std::unique_lock lock(mutex_);
    ++queries;
    asked += names.size();
    if (fail_known) return Error{ErrorCode::kTemporary, "gone", ""};
    EXPECT_LE(names.size(), protocol::kMaxQueryNames);
    std::vector<bool> out;
    for (const ChunkName& name : names) out.push_back(chunks.contains(name) || pretend.contains(name));
    return out;
  }
  Status put(const OutgoingObject& object) override {
    std::unique_lock lock(mutex_);
    // A slow receiver: nothing moves until the test says so.
    open_.wait(lock, [&] { return !closed_ || stopped_; });
    if (stopped_) return Error{ErrorCode::kCancelled, "stopped", ""};
    if (puts_left == 0) return Error{ErrorCode::kTemporary, "gone", ""};
    --puts_left;
    if (object.type == MessageType::kPutList) {
      lists[crypto::hash(crypto::default_suite(), object.bytes)] = object.bytes;
      return {};
    }
    auto head = format::parse_pack(object.bytes, &key_, true);
    EXPECT_TRUE(head.ok()) << (head.ok() ? "" : head.error().what);
    EXPECT_EQ(head->entries.size(), object.names.size());
    largest_pack = std::max(largest_pack, object.bytes.size());
    packs++;
    for (const format::PackEntry& entry : head->entries) {
      copies[entry.name]++;
      chunks[entry.name] = to_bytes(ByteView(object.bytes).subspan(entry.offset, entry.size));
    }
    return {};
  }
  void stop() override {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    open_.notify_all();
  }
  void close_gate() {
    std::lock_guard lock(mutex_);
    closed_ = true;
  }
  void open_gate() {
    std::lock_guard lock(mutex_);
    closed_ = false;
    open_.notify_all();
  }

  std::map<ChunkName, Bytes> chunks;
  std::map<ChunkName, int> copies;
  std::set<ChunkName> pretend;  ///< says it has them
  std::map<Digest, Bytes> lists;
  std::size_t packs = 0, queries = 0, asked = 0, largest_pack = 0;
  std::size_t puts_left = SIZE_MAX;
  bool fail_known = false;

 private:
  std::string name_;
  crypto::VerifyKey key_;
  std::mutex mutex_;
  std::condition_variable open_;
  bool closed_ = false, stopped_ = false;
};

struct PipelineTest : testing::Test {
  SeededRandom random{11};
  const crypto::Suite& suite = crypto::default_suite();
  crypto::SigningKey signing = crypto::SigningKey::generate(suite, random);
  format::EpochSecrets secrets{crypto::SecretBytes::random(32, random), crypto::SecretBytes::random(32, random), {}};
  SnapshotProgress progress;
  FakeTarget a{"a", signing.verify_key()}, b{"b", signing.verify_key()};

  SnapshotPipeline::Options options() {
    SnapshotPipeline::Options o;
    o.seal.stream = random.draw<StreamId>();
    o.seal.epoch = random.draw<EpochId>();
    o.seal.generation = {3};
    o.seal.epoch_record = random.bytes(300);
    o.seal.level = 1;
    o.workers = 2;
    o.memory_bytes = 16 << 20;
    return o;
  }
  static Status add(SnapshotPipeline& p, const Bytes& bytes) { return p.add({bytes, std::nullopt}); }

  /// Everything that the lists name, read back from one receiver.
  Result<std::vector<Bytes>> read_back(FakeTarget& target, const SnapshotPipeline::Outcome& outcome) {
    format::ChunkOpener opener(suite, secrets.chunk_name);
    std::vector<Bytes> out;
    for (const Digest& digest : outcome.lists) {
      STELE_TRY(const format::ChunkList list, format::ChunkList::decode(target.lists[digest]));
      for (const ChunkName& name : list.names) {
        if (!target.chunks.contains(name)) return Error{ErrorCode::kNotFound, "chunk " + name.short_hex(), ""};
        STELE_TRY(const format::ChunkView view, format::parse_chunk(target.chunks[name]));
        STELE_TRY(Bytes raw, opener.open(view, secrets.data));
        out.push_back(std::move(raw));
      }
    }
    return out;
  }
};

TEST_F(PipelineTest, EverythingComesBackInTheOrderOfTheFilesWithTheTableLast) {
  std::vector<Bytes> expected;
  SnapshotPipeline p(options(), secrets, signing, {&a}, random, progress);
  for (int i = 0; i < 300; ++i) {
    Bytes chunk = random.bytes(1 + random.below(60'000));
    if (i % 3 == 0) std::fill(chunk.begin(), chunk.end(), static_cast<std::uint8_t>(i));
    expected.push_back(chunk);
    ASSERT_TRUE(add(p, chunk).ok());
    if (i == 100) ASSERT_TRUE(p.add_table(to_bytes(as_bytes("table 1"))).ok());
  }
  ASSERT_TRUE(p.add_table(to_bytes(as_bytes("table 2"))).ok());
  auto outcome = p.finish();
  ASSERT_TRUE(outcome.ok()) << outcome.error().what;
  expected.push_back(to_bytes(as_bytes("table 1")));
  expected.push_back(to_bytes(as_bytes("table 2")));
  EXPECT_EQ(outcome->chunk_count, 302u);
  EXPECT_EQ(outcome->table_first, 300u);
  ASSERT_EQ(outcome->complete.size(), 1u);
  auto back = read_back(a, *outcome);
  ASSERT_TRUE(back.ok()) << back.error().what;
  EXPECT_EQ(*back, expected);
  EXPECT_EQ(progress.buffered_bytes, 0u) << "all memory was given back";
}

TEST_F(PipelineTest, ASecondSnapshotSendsOnlyWhatChanged) {
  std::vector<Bytes> chunks;
  for (int i = 0; i < 100; ++i) chunks.push_back(random.bytes(20'000));
  {
    SnapshotPipeline first(options(), secrets, signing, {&a}, random, progress);
    for (const Bytes& c : chunks) ASSERT_TRUE(add(first, c).ok());
    ASSERT_TRUE(first.finish().ok());
  }
  chunks[42][7] ^= 1;
  progress.reset();
  SnapshotPipeline second(options(), secrets, signing, {&a}, random, progress);
  for (const Bytes& c : chunks) ASSERT_TRUE(add(second, c).ok());
  auto outcome = second.finish();
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(progress.new_chunks, 1u);
  EXPECT_EQ(*read_back(a, *outcome), chunks);
}

TEST_F(PipelineTest, AChunkThatOccursOftenIsAskedForAndSentOnce) {
  SnapshotPipeline p(options(), secrets, signing, {&a}, random, progress);
  const Bytes zeros(30'000);
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(add(p, zeros).ok());
  auto outcome = p.finish();
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(a.asked, 1u);
  EXPECT_EQ(a.copies.begin()->second, 1);
  EXPECT_EQ(outcome->chunk_count, 500u);
}

TEST_F(PipelineTest, AFullSnapshotDoesNotAskAndSendsEverything) {
  std::vector<Bytes> chunks;
  for (int i = 0; i < 50; ++i) chunks.push_back(random.bytes(20'000));
  for (int round = 1; round <= 2; ++round) {
    auto o = options();
    o.full = true;
    SnapshotPipeline p(std::move(o), secrets, signing, {&a}, random, progress);
    for (const Bytes& c : chunks) ASSERT_TRUE(add(p, c).ok());
    ASSERT_TRUE(p.finish().ok());
    for (const auto& [name, copies] : a.copies) EXPECT_EQ(copies, round);
  }
  EXPECT_EQ(a.queries, 0u);
}

TEST_F(PipelineTest, WhatAReceiverWronglyClaimedIsSentWhenDistrusted) {
  const Bytes chunk = random.bytes(1000);
  const ChunkName name = format::ChunkNamer(suite, secrets.chunk_name).name(chunk);
  a.pretend.insert(name);
  auto o = options();
  o.distrusted.insert(name);
  SnapshotPipeline p(std::move(o), secrets, signing, {&a}, random, progress);
  ASSERT_TRUE(add(p, chunk).ok());
  ASSERT_TRUE(p.finish().ok());
  EXPECT_TRUE(a.chunks.contains(name));
}

TEST_F(PipelineTest, EachReceiverGetsWhatItLacksAndAChunkIsSealedOnce) {
  std::vector<Bytes> chunks;
  for (int i = 0; i < 90; ++i) chunks.push_back(random.bytes(10'000));
  format::ChunkNamer namer(suite, secrets.chunk_name);
  std::set<ChunkName> a_has, b_has;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    if (i % 3 == 0) a.pretend.insert(namer.name(chunks[i]));
    if (i % 3 == 1) b.pretend.insert(namer.name(chunks[i]));
  }
  auto o = options();
  o.quorum = 2;
  SnapshotPipeline p(std::move(o), secrets, signing, {&a, &b}, random, progress);
  for (const Bytes& c : chunks) ASSERT_TRUE(add(p, c).ok());
  auto outcome = p.finish();
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->complete.size(), 2u);
  EXPECT_EQ(progress.new_chunks, 90u);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const ChunkName name = namer.name(chunks[i]);
    EXPECT_EQ(a.chunks.contains(name), i % 3 != 0);
    EXPECT_EQ(b.chunks.contains(name), i % 3 != 1);
    if (i % 3 == 2) EXPECT_EQ(a.chunks[name], b.chunks[name]) << "the same ciphertext";
  }
  EXPECT_EQ(a.lists, b.lists);
}

TEST_F(PipelineTest, AReceiverThatFailsIsLeftOutWhileTheQuorumRemains) {
  b.puts_left = 1;
  auto o = options();
  o.pack_bytes = 256 << 10;
  std::vector<Bytes> chunks;
  SnapshotPipeline p(std::move(o), secrets, signing, {&a, &b}, random, progress);
  for (int i = 0; i < 100; ++i) {
    chunks.push_back(random.bytes(50'000));
    ASSERT_TRUE(add(p, chunks.back()).ok());
  }
  auto outcome = p.finish();
  ASSERT_TRUE(outcome.ok()) << outcome.error().what;
  ASSERT_EQ(outcome->complete.size(), 1u);
  EXPECT_EQ(outcome->complete[0], &a);
  ASSERT_EQ(outcome->left_out.size(), 1u);
  EXPECT_EQ(outcome->left_out[0].first, "b");
  EXPECT_EQ(*read_back(a, *outcome), chunks);
}

TEST_F(PipelineTest, FailsWhenFewerReceiversThanTheQuorumRemain) {
  for (bool at_lookup : {true, false}) {
    FakeTarget c{"c", signing.verify_key()};
    c.fail_known = at_lookup;
    c.puts_left = at_lookup ? SIZE_MAX : 0;
    auto o = options();
    o.pack_bytes = 256 << 10;
    SnapshotPipeline p(std::move(o), secrets, signing, {&c}, random, progress);
    Status status;
    for (int i = 0; i < 2000 && status.ok(); ++i) status = add(p, random.bytes(50'000));
    auto outcome = p.finish();
    ASSERT_FALSE(outcome.ok());
    EXPECT_EQ(outcome.error().code, ErrorCode::kTemporary);
    EXPECT_NE(outcome.error().what.find("receiver c"), std::string::npos);
  }
}

TEST_F(PipelineTest, MemoryIsBoundedWhileAReceiverStandsStill) {
  auto o = options();
  const std::uint64_t limit = o.memory_bytes;
  a.close_gate();
  SnapshotPipeline p(std::move(o), secrets, signing, {&a}, random, progress);
  std::atomic<int> added{0};
  std::thread reader([&] {
    SeededRandom own(5);
    for (int i = 0; i < 1000; ++i) {
      if (!add(p, own.bytes(64 << 10)).ok()) return;
      ++added;
    }
  });
  // Everything that has room is full.
  while (progress.buffered_bytes < 6 << 20) std::this_thread::yield();
  EXPECT_LT(added, 1000);
  a.open_gate();
  reader.join();
  ASSERT_TRUE(p.finish().ok());
  EXPECT_EQ(added, 1000);
  EXPECT_LE(progress.peak_buffered_bytes, limit);
  EXPECT_EQ(progress.buffered_bytes, 0u);
}

TEST_F(PipelineTest, AbortEndsAReaderThatWaitsForRoom) {
  a.close_gate();
  SnapshotPipeline p(options(), secrets, signing, {&a}, random, progress);
  Status status;
  std::thread reader([&] {
    SeededRandom own(5);
    while (status.ok()) status = add(p, own.bytes(64 << 10));
  });
  p.abort({ErrorCode::kCancelled, "enough", ""});
  reader.join();
  EXPECT_EQ(status.error().what, "enough");
  auto outcome = p.finish();
  ASSERT_FALSE(outcome.ok());
  EXPECT_EQ(outcome.error().what, "enough");
}

TEST_F(PipelineTest, PacksStayUnderTheirLimitForTinyAndForLargestChunks) {
  {
    SnapshotPipeline p(options(), secrets, signing, {&a}, random, progress);
    for (int i = 0; i < 40'000; ++i) ASSERT_TRUE(add(p, random.bytes(9)).ok());
    ASSERT_TRUE(p.finish().ok());
  }
  auto o = options();
  o.memory_bytes = 128 << 20;
  SnapshotPipeline p(std::move(o), secrets, signing, {&a}, random, progress);
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(add(p, random.bytes(format::kMaxChunkRaw)).ok());
  ASSERT_TRUE(p.finish().ok());
  EXPECT_LE(a.largest_pack, format::kMaxPackBytes);
  EXPECT_EQ(a.chunks.size(), 40'012u);
}

TEST_F(PipelineTest, CollectsSuspectPages) {
  SnapshotPipeline p(options(), secrets, signing, {&a}, random, progress);
  PageRun run;
  run.file.relation = 16384;
  run.first_block = 8;
  Bytes chunk(4 * 8192);
  chunk[8192 + 5000] = 1;  // neither new nor a page
  ASSERT_TRUE(p.add({chunk, run}).ok());
  auto outcome = p.finish();
  ASSERT_TRUE(outcome.ok());
  ASSERT_EQ(outcome->suspects.size(), 1u);
  EXPECT_EQ(outcome->suspects[0].page.block, 9u);
  EXPECT_EQ(progress.suspect_pages, 1u);
}

}  // namespace
}  // namespace stele::agent
