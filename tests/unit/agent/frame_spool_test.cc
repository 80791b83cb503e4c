#include "agent/spool/frame_spool.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/fault_file_system.h"
#include "tests/unit/agent/frames.h"

namespace stele::agent {
namespace {

using Held = FrameSpool::Held;

struct FrameSpoolTest : testing::Test {
  test::FaultFileSystem fs{3};
  test::SeededRandom random{4};
  FrameMaker maker;
  std::unique_ptr<FrameSpool> spool;
  std::vector<std::uint64_t> durable;  // sequences told to on_durable
  std::vector<Error> failures;
  FrameSpool::Options options{.directory = "/spool", .max_bytes = 4u << 20, .file_bytes = 1u << 20, .memory_bytes = 48u << 20, .threads = false};

  void SetUp() override { ASSERT_NO_FATAL_FAILURE(open()); }
  void open() {
    spool.reset();
    auto opened = FrameSpool::open(fs, random, options);
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    spool = std::move(*opened);
    FrameSpool::Callbacks callbacks;
    callbacks.on_durable = [this](const SpoolEntry& e) { durable.push_back(e.sequence); };
    callbacks.on_failure = [this](const Error& e) { failures.push_back(e); };
    spool->set_callbacks(std::move(callbacks));
  }
  void sync() {
    while (spool->run_once()) {
    }
  }
  Status add(std::vector<format::Frame> frames) {
    Status taken = spool->append(std::move(frames));
    sync();
    return taken;
  }
  std::vector<SpoolEntry> entries(std::uint64_t after = 0) {
    std::vector<SpoolEntry> out;
    while (true) {
      auto next = spool->next_after(after);
      EXPECT_TRUE(next.ok());
      if (!next.ok() || !*next) return out;
      after = (*next)->sequence;
      out.push_back(**next);
    }
  }
  SpoolEntry entry(std::uint64_t after) { return *spool->next_after(after).value(); }
  FrameSpool::Resume resume(ObjectId object, std::uint32_t frame, Position end) {
    return spool->resume({{maker.stream(), Held{object, frame, end}}});
  }
};

TEST_F(FrameSpoolTest, KeepsFramesAndFactsInOrderOverAReopening) {
  ASSERT_TRUE(add(batch(maker.log(false), maker.log())).ok());
  ASSERT_TRUE(spool->append_fact(maker.fact(), maker.stream()).ok());
  ASSERT_TRUE(add(batch(maker.log())).ok());
  const auto before = entries();
  ASSERT_EQ(before.size(), 4u);
  EXPECT_EQ(before[2].kind, SpoolEntry::Kind::kFact);
  open();
  const auto after = entries();
  ASSERT_EQ(after.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(*after[i].bytes, *before[i].bytes) << i;
    EXPECT_TRUE(after[i].durable);
  }
  EXPECT_EQ(spool->last_frame()->range.end, maker.end());
  EXPECT_EQ(spool->last_frame()->join, before[3].join);
}

TEST_F(FrameSpoolTest, AFrameCanBeSentBeforeItIsDurable) {
  ASSERT_TRUE(spool->append(batch(maker.log())).ok());
  EXPECT_EQ(entries().size(), 1u);
  EXPECT_FALSE(entry(0).durable);
  EXPECT_FALSE(spool->last_durable_frame());
  sync();
  EXPECT_TRUE(entry(0).durable);
  EXPECT_EQ(durable, std::vector<std::uint64_t>{1});
}

TEST_F(FrameSpoolTest, WhatWaitsForASyncGoesTogetherIntoTheNext) {
  ASSERT_TRUE(spool->append(batch(maker.log())).ok());
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(spool->append(batch(maker.log())).ok());
  EXPECT_TRUE(spool->run_once());
  EXPECT_TRUE(spool->run_once());
  EXPECT_FALSE(spool->run_once());
  EXPECT_EQ(durable, (std::vector<std::uint64_t>{1, 11}));
}

TEST_F(FrameSpoolTest, RefusesABatchWithoutASignatureAtItsEnd) {
  EXPECT_EQ(spool->append(batch(maker.log(false))).error().code, ErrorCode::kInternal);
}

// --- where to go on with a receiver (core/protocol/PROTOCOL.md, step 7) ---

TEST_F(FrameSpoolTest, AReceiverWithNothingGetsEverything) {
  ASSERT_TRUE(add(batch(maker.log(), maker.log())).ok());
  const auto r = spool->resume({});
  EXPECT_EQ(r.after, 0u);
  EXPECT_FALSE(r.gap);
  EXPECT_EQ(r.next->range.begin, Position{0x1000000});
}

TEST_F(FrameSpoolTest, AReceiverInTheMiddleOfAnObjectGoesOnBehindItsFrame) {
  ASSERT_TRUE(add(batch(maker.log(), maker.log(), maker.log(), maker.log())).ok());
  const SpoolEntry second = entry(1);
  EXPECT_EQ(resume(second.object, 1, second.range.end).after, 2u);
}

TEST_F(FrameSpoolTest, AReceiverThatHoldsEverythingGetsOnlyWhatIsNew) {
  ASSERT_TRUE(add(batch(maker.log(), maker.log())).ok());
  EXPECT_EQ(resume(entry(0).object, 1, maker.end()).after, 2u);
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());
  EXPECT_EQ(resume(entry(0).object, 3, maker.end()).after, 4u);
}

TEST_F(FrameSpoolTest, TheIndexThatAddsNoPositionIsStillSent) {
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());
  EXPECT_EQ(resume(entry(0).object, 0, maker.end()).after, 1u);
}

TEST_F(FrameSpoolTest, AReceiverWithAnotherObjectGetsTheFirstThatReachesPastWhatItHolds) {
  ASSERT_TRUE(add(batch(maker.log(), maker.log(), maker.index())).ok());  // 1 to 3
  const Position second = maker.end();
  ASSERT_TRUE(add(batch(maker.log(), maker.log())).ok());                 // 4, 5
  const ObjectId unknown = random.draw<ObjectId>();
  EXPECT_EQ(resume(unknown, 5, second).after, 3u);
  EXPECT_EQ(resume(unknown, 5, second + 1).after, 3u) << "objects overlap";
  EXPECT_EQ(resume(unknown, 5, {second.value - 1}).after, 0u);
  EXPECT_FALSE(resume(unknown, 5, second).gap);
}

TEST_F(FrameSpoolTest, WhatThisProcessDidNotSendIsTakenToBeThereOnlyUpToWhereItBegan) {
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());  // 1, 2
  open();
  maker.restart(maker.end());
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());  // 3, 4
  const Position claimed = maker.end();
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());  // 5, 6
  // It holds log that far, but whose? This host may have been reverted since.
  const Held stranger{random.draw<ObjectId>(), 7, claimed, false};
  EXPECT_EQ(spool->resume({{maker.stream(), stranger}}).after, 2u);
  EXPECT_EQ(spool->resume({{maker.stream(), {stranger.object, 7, claimed, true}}}).after, 4u);
  const SpoolEntry third = entry(2);
  EXPECT_TRUE(spool->holds(third.object, third.number, third.head));
  EXPECT_FALSE(spool->holds(third.object, third.number, entry(0).head));
  EXPECT_FALSE(spool->holds(stranger.object, third.number, third.head));
}

TEST_F(FrameSpoolTest, WhatTheSpoolNoLongerHasIsAGap) {
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());
  ASSERT_TRUE(add(batch(maker.log())).ok());
  spool->release_through(4);
  ASSERT_EQ(spool->first_sequence(), 5u);
  const auto r = resume(random.draw<ObjectId>(), 0, Position{0x1000000} + 500);
  EXPECT_TRUE(r.gap);
  EXPECT_EQ(r.after, 4u);
  EXPECT_FALSE(resume(random.draw<ObjectId>(), 0, r.next->range.begin).gap);
}

TEST_F(FrameSpoolTest, AnIdleObjectThatTheReceiverDoesNotHoldIsSentFromItsFirstFrame) {
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());  // 1, 2: held
  const SpoolEntry last = entry(1);
  ASSERT_TRUE(add(batch(maker.as_of())).ok());               // 3: another object, no position added
  EXPECT_EQ(resume(last.object, 1, maker.end()).after, 2u);
  EXPECT_EQ(resume(random.draw<ObjectId>(), 1, maker.end()).after, 2u);
  // Or the as-of's object would be continued in its middle.
  ASSERT_TRUE(add(batch(maker.as_of(), maker.as_of())).ok());
  EXPECT_EQ(resume(last.object, 1, maker.end()).after, 2u);
}

TEST_F(FrameSpoolTest, FactsBeforeTheCursorAreNamedAgain) {
  ASSERT_TRUE(spool->append_fact(maker.fact(), maker.stream()).ok());
  ASSERT_TRUE(add(batch(maker.log())).ok());
  ASSERT_TRUE(spool->append_fact(maker.fact(), maker.stream()).ok());
  sync();
  const auto all = resume(entry(1).object, 0, maker.end());
  EXPECT_EQ(all.after, 3u);
  EXPECT_EQ(all.facts, (std::vector<std::uint64_t>{1, 3}));
  EXPECT_EQ(spool->resume({}).facts, (std::vector<std::uint64_t>{1}));
}

TEST_F(FrameSpoolTest, EveryStreamIsResumedByItself) {
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());
  const StreamId old = maker.stream();
  const SpoolEntry old_last = entry(1);
  const Position old_end = maker.end();
  maker.restart({0x2000000}, true);
  ASSERT_TRUE(add(batch(maker.log())).ok());
  EXPECT_EQ(spool->resume({{old, {old_last.object, 1, old_end}}}).after, 2u);
  EXPECT_EQ(spool->resume({{maker.stream(), {entry(2).object, 0, maker.end()}}}).after, 0u) << "the old stream is still owed";
}

// --- releasing ---

TEST_F(FrameSpoolTest, ReleasesWholeObjectsAndKeepsTheLast) {
  ASSERT_TRUE(add(batch(maker.log(), maker.log(), maker.index())).ok());
  ASSERT_TRUE(add(batch(maker.log(), maker.log())).ok());
  spool->release_through(2);
  EXPECT_EQ(spool->first_sequence(), 1u) << "not a part of an object";
  spool->release_through(5);
  EXPECT_EQ(spool->first_sequence(), 4u) << "the last object stays";
  open();
  EXPECT_EQ(spool->last_frame()->range.end, maker.end());
}

TEST_F(FrameSpoolTest, AFactBetweenTwoFramesOfAnObjectDoesNotCutIt) {
  ASSERT_TRUE(add(batch(maker.log())).ok());
  ASSERT_TRUE(spool->append_fact(maker.fact(), maker.stream()).ok());
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());
  ASSERT_TRUE(add(batch(maker.log())).ok());
  spool->release_through(2);
  EXPECT_EQ(spool->first_sequence(), 1u);
  spool->release_through(4);
  EXPECT_EQ(spool->first_sequence(), 5u);
}

TEST_F(FrameSpoolTest, TheEndOfTheLogSurvivesACrashWhateverWasReleased) {
  ASSERT_TRUE(add(batch(maker.log(), maker.index())).ok());
  const Position end = maker.end();
  ASSERT_TRUE(spool->append(batch(maker.log())).ok());  // sent and held by the receivers, not durable here
  spool->release_through(3);
  fs.fail_operation(1, EIO, true);
  spool.reset();
  fs.crash(test::FaultFileSystem::Crash::kDropUnsynced);
  open();
  ASSERT_TRUE(spool->last_frame());
  EXPECT_EQ(spool->last_frame()->range.end, end);
}

TEST_F(FrameSpoolTest, TheRestOfAReleasedObjectIsNeverSentFromItsMiddle) {
  // An object over two journal files; the first file is used again, the second is read at the next start.
  options.file_bytes = 256u << 10;
  options.max_bytes = 1u << 20;
  open();
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(add(batch(maker.log(true, 60'000))).ok());
  ASSERT_TRUE(add(batch(maker.index())).ok());
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(add(batch(maker.log(true, 60'000))).ok());
    if (i % 3 == 2) ASSERT_TRUE(add(batch(maker.index())).ok());
    spool->release_through(entries().back().sequence);
  }
  for (int i = 0; i < 6; ++i) {
    ASSERT_TRUE(add(batch(maker.log(true, 60'000))).ok());
    spool->release_through(entries().back().sequence);
  }
  open();
  const auto r = spool->resume({});
  if (r.next) EXPECT_EQ(r.next->number, 0u);
  const auto first = entries().front();
  const auto held = resume(first.object, first.number, first.range.end);
  EXPECT_EQ(held.after, first.sequence) << "who holds its first part goes on in it";
}

TEST_F(FrameSpoolTest, EvictedEntriesAreReadBackFromTheDisk) {
  options.memory_bytes = 3000;
  open();
  std::vector<Bytes> sent;
  for (int i = 0; i < 30; ++i) {
    format::Frame frame = maker.log();
    sent.push_back(frame.encode());
    ASSERT_TRUE(add(batch(std::move(frame))).ok());
  }
  const auto all = entries();
  ASSERT_EQ(all.size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(*all[i].bytes, sent[i]) << i;
}

// --- the disk fails or is full ---

TEST_F(FrameSpoolTest, AFailedBatchLosesExactlyWhatWasNotDurable) {
  ASSERT_TRUE(add(batch(maker.log())).ok());
  const Position safe = maker.end();
  fs.fail_operation(1, EIO);
  ASSERT_TRUE(spool->append(batch(maker.log())).ok());
  ASSERT_TRUE(spool->append(batch(maker.log())).ok());  // waits behind the one that fails
  ASSERT_TRUE(spool->append_fact(maker.fact(), maker.stream()).ok());
  sync();
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(spool->last_frame()->range.end, safe);
  ASSERT_EQ(entries().size(), 2u);
  EXPECT_EQ(entries()[1].kind, SpoolEntry::Kind::kFact) << "a fact exists nowhere else";
  // What continues the lost chain is refused, also when it begins an object behind the hole.
  EXPECT_EQ(spool->append(batch(maker.log())).error().code, ErrorCode::kIo);
  maker.new_object();
  EXPECT_EQ(spool->append(batch(maker.log())).error().code, ErrorCode::kIo);
  // Read and sealed again from the durable end, it goes to a new file.
  spool->retry();
  sync();
  maker.restart(safe);
  ASSERT_TRUE(add(batch(maker.log())).ok());
  EXPECT_EQ(spool->last_durable_frame()->range.end, maker.end());
  open();
  EXPECT_EQ(entries().size(), 3u);
}

TEST_F(FrameSpoolTest, AFirstBatchThatFailsLeavesNoHoleBehind) {
  fs.fail_operation(1, EIO);
  ASSERT_TRUE(spool->append(batch(maker.log(), maker.index())).ok());
  sync();
  ASSERT_EQ(failures.size(), 1u);
  EXPECT_EQ(spool->append(batch(maker.log())).error().code, ErrorCode::kIo) << "begins behind what was lost";
  maker.restart({0x1000000});
  EXPECT_TRUE(add(batch(maker.log())).ok());
}

TEST_F(FrameSpoolTest, AFullDiskHoldsWithoutLosingAndGoesOnWhenThereIsRoom) {
  options.file_bytes = 256u << 10;
  options.max_bytes = 512u << 10;
  open();
  std::vector<Bytes> taken;
  Status last;
  std::vector<format::Frame> refused;
  for (int i = 0; i < 100 && last.ok(); ++i) {
    format::Frame frame = i % 2 == 0 ? maker.log(true, 30'000) : maker.index();
    Bytes bytes = frame.encode();
    refused = batch(frame);
    last = add(batch(std::move(frame)));
    if (last.ok()) taken.push_back(std::move(bytes));
  }
  ASSERT_FALSE(last.ok());
  EXPECT_EQ(last.error().code, ErrorCode::kLimit);
  EXPECT_TRUE(spool->stalled());
  EXPECT_TRUE(failures.empty());
  EXPECT_EQ(entries().size(), taken.size()) << "also what found no room can be sent";
  ASSERT_TRUE(spool->append_fact(maker.fact(), maker.stream()).ok()) << "facts are always taken";
  spool->release_through(spool->last_durable_frame()->sequence);
  spool->retry();
  sync();
  EXPECT_FALSE(spool->stalled());
  ASSERT_TRUE(add(std::move(refused)).ok());
  EXPECT_EQ(spool->unsynced(), 0u);
}

TEST_F(FrameSpoolTest, ASpoolFullOfTinyFramesStaysFullUntilABatchFoundRoom) {
  options.file_bytes = 256u << 10;
  options.max_bytes = 1u << 20;
  open();
  Status last;
  while (last.ok()) last = add(batch(maker.log(true, 100)));
  ASSERT_EQ(last.error().code, ErrorCode::kLimit);
  ASSERT_LT(spool->bytes(), options.max_bytes / 4) << "each batch takes whole blocks of the journal";
  EXPECT_GT(spool->disk_bytes(), options.max_bytes / 2);
  for (int i = 0; i < 3; ++i) {
    spool->retry();
    EXPECT_TRUE(spool->stalled()) << "an attempt under way is not room";
    EXPECT_FALSE(spool->has_room());
    sync();
    EXPECT_TRUE(spool->stalled());
  }
  open();
  EXPECT_FALSE(spool->has_room()) << "nor is a restart";
  const std::uint64_t everything = spool->last_frame()->sequence;
  maker.restart(spool->last_frame()->range.end);
  ASSERT_TRUE(add(batch(maker.log(true, 100))).ok()) << "found out by trying";
  ASSERT_TRUE(spool->stalled());
  spool->release_through(everything);
  spool->retry();
  sync();
  spool->release_through(everything + 1);
  EXPECT_FALSE(spool->stalled());
  EXPECT_TRUE(spool->has_room());
}

TEST_F(FrameSpoolTest, WhatTheReceiversHoldOfTheLastObjectGoesFromASpoolThatIsMoreThanHalfUsed) {
  options.file_bytes = 256u << 10;
  options.max_bytes = 1u << 20;
  open();
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(add(batch(maker.log(true, 100))).ok());
  ASSERT_FALSE(spool->has_room());
  spool->release_through(spool->last_frame()->sequence);
  EXPECT_TRUE(spool->has_room());
  EXPECT_EQ(resume(entry(0).object, entry(0).number, maker.end()).after, spool->last_frame()->sequence);
}

TEST_F(FrameSpoolTest, AnObjectLargerThanTheWholeSpoolPasses) {
  options.file_bytes = 256u << 10;
  options.max_bytes = 512u << 10;
  open();
  for (int i = 0; i < 60; ++i) {
    format::Frame frame = maker.log(true, 30'000);
    Status taken = add(batch(frame));
    for (int tries = 0; !taken.ok() && tries < 3; ++tries) {
      ASSERT_EQ(taken.error().code, ErrorCode::kLimit);
      spool->release_through(entries().back().sequence);  // the receivers hold everything
      spool->retry();
      sync();
      taken = add(batch(frame));
    }
    ASSERT_TRUE(taken.ok()) << i << ": " << taken.error().to_string();
  }
  open();
  ASSERT_TRUE(spool->last_frame());
}

TEST_F(FrameSpoolTest, WithoutADiskMemoryIsTheLimit) {
  options.directory.clear();
  options.max_bytes = 5000;
  open();
  ASSERT_TRUE(spool->append(batch(maker.log(), maker.index())).ok());
  EXPECT_EQ(durable, std::vector<std::uint64_t>{2});
  Status last;
  for (int i = 0; i < 10 && last.ok(); ++i) last = spool->append(batch(maker.log()));
  ASSERT_EQ(last.error().code, ErrorCode::kLimit);
  spool->release_through(2);
  maker.restart(spool->last_frame()->range.end);
  EXPECT_TRUE(spool->append(batch(maker.log())).ok());
}

TEST_F(FrameSpoolTest, WithoutADiskTheLimitOfADiskIsNotTheLimitOfTheMemory) {
  options.directory.clear();
  options.max_bytes = 8ull << 30;
  open();
  Status last;
  while (last.ok()) last = spool->append(batch(maker.log(true, 200'000)));
  EXPECT_EQ(last.error().code, ErrorCode::kLimit);
  EXPECT_LE(spool->bytes(), FrameSpool::kMaxInMemory);
  EXPECT_EQ(spool->capacity(), FrameSpool::kMaxInMemory);
}

TEST_F(FrameSpoolTest, RotInTheSpoolIsSaidAndNotSkipped) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(add(batch(maker.log())).ok());
  spool.reset();
  const auto files = fs.list_directory("/spool").value();
  for (const auto& file : files) fs.flip("/spool/" + file.name, 9000);
  auto opened = FrameSpool::open(fs, random, options);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code, ErrorCode::kDamaged);
  EXPECT_FALSE(opened.error().hint.empty());
}

struct FrameSpoolCrash : FrameSpoolTest, testing::WithParamInterface<test::FaultFileSystem::Crash> {};

TEST_P(FrameSpoolCrash, EverythingThatWasReportedDurableIsThereAfterACrashAtEveryStep) {
  std::uint64_t steps = 0;
  for (std::uint64_t step = 1;; ++step) {
    SCOPED_TRACE(step);
    spool.reset();
    options.directory = fmt::format("/spool{}", step);
    FrameMaker maker(step);
    durable.clear();
    failures.clear();
    std::vector<Bytes> appended;  // by sequence
    ASSERT_NO_FATAL_FAILURE(open());
    fs.fail_operation(step, EIO, true);
    for (int i = 0; i < 6 && failures.empty(); ++i) {
      auto frames = i % 3 == 2 ? batch(maker.log(false), maker.index()) : batch(maker.log(false), maker.log());
      std::vector<Bytes> bytes;
      for (const auto& f : frames) bytes.push_back(f.encode());
      if (!spool->append(std::move(frames)).ok()) break;
      appended.insert(appended.end(), bytes.begin(), bytes.end());
      if (i % 2 == 1) sync();
    }
    sync();
    const bool happened = fs.failure_happened();
    const std::uint64_t reported = durable.empty() ? 0 : durable.back();
    fs.crash(GetParam());
    ASSERT_NO_FATAL_FAILURE(open());
    const auto found = entries();
    ASSERT_GE(found.size(), reported);
    for (std::size_t i = 0; i < found.size(); ++i) ASSERT_EQ(*found[i].bytes, appended[i]) << i;
    if (!found.empty()) EXPECT_TRUE(found.back().is_signed);
    // And the spool works again from its end.
    maker.restart(found.empty() ? Position{0x1000000} : found.back().range.end);
    ASSERT_TRUE(add(batch(maker.log())).ok());
    steps = step;
    if (!happened) break;
  }
  EXPECT_GT(steps, 5u);
}
INSTANTIATE_TEST_SUITE_P(Crashes, FrameSpoolCrash,
                         testing::Values(test::FaultFileSystem::Crash::kDropUnsynced, test::FaultFileSystem::Crash::kKeepSome,
                                         test::FaultFileSystem::Crash::kProcessOnly));

}  // namespace
}  // namespace stele::agent
