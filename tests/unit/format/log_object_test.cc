#include "core/format/log_object.h"

#include <gtest/gtest.h>

#include "core/format/run.h"
#include "tests/support/format/samples.h"
#include "tests/support/seeded_random.h"
#include "tests/support/test_suite.h"

namespace stele::format {
namespace {

using test::FormatKeys;
using test::SeededRandom;

std::uint64_t test_seed() {
  static const std::uint64_t seed = [] {
    const char* given = std::getenv("STELE_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  }();
  return seed;
}

class LogObject : public testing::TestWithParam<const crypto::Suite*> {
 protected:
  LogObjectSealer sealer(Position start = {0}) {
    LogObjectSealer::Options o;
    o.suite = GetParam();
    o.start = start;
    o.compression.scope = scope;
    return LogObjectSealer::begin(o, keys.secrets.data, random).value();
  }
  std::vector<Frame> object(std::size_t count) {
    auto s = sealer();
    std::vector<Frame> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(*s.seal_log(random.bytes(100), {}, {}));
    sign_batch(out.back(), keys.agent);
    return out;
  }
  FormatKeys keys{*GetParam()};
  SeededRandom random{test_seed()};
  compress::ContextScope scope = compress::ContextScope::kObject;
};

TEST_P(LogObject, GivesTheLogBackHoweverItWasCut) {
  SCOPED_TRACE(fmt::format("STELE_TEST_SEED={}", test_seed()));
  for (auto each : {compress::ContextScope::kObject, compress::ContextScope::kFrame}) {
    scope = each;
    Bytes log(200'000);
    for (std::size_t i = 0; i < log.size(); ++i) log[i] = static_cast<std::uint8_t>(i % 7 == 0 ? random.below(256) : i >> 8);
    auto s = sealer({0x1000});
    Bytes back;
    std::optional<LogObjectOpener> opener;
    FrameChain chain;
    for (std::size_t at = 0; at < log.size();) {
      const std::size_t take = std::min<std::size_t>(log.size() - at, 1 + random.below(40'000));
      Frame frame = *s.seal_log(ByteView(log).subspan(at, take), {}, {});
      at += take;
      const Frame again = *parse_frame(frame.encode());
      ASSERT_TRUE(chain.accept(again).ok());
      if (!opener) opener.emplace(LogObjectOpener::begin(again.header(), keys.secrets.data).value());
      const Status opened = opener->open_log(again, back);
      ASSERT_TRUE(opened.ok()) << opened.error().to_string() << " scope " << static_cast<int>(each);
    }
    EXPECT_EQ(back, log);
  }
}

TEST_P(LogObject, TheWrongKeyOpensNothing) {
  const auto frames = object(1);
  const auto other = crypto::SecretBytes::random(GetParam()->sizes().key, random);
  auto opener = LogObjectOpener::begin(frames[0].header(), other).value();
  Bytes out;
  EXPECT_EQ(opener.open_log(frames[0], out).error().code, ErrorCode::kDamaged);
  EXPECT_TRUE(out.empty());
}

TEST_P(LogObject, RefusesToSealAfterItsEnd) {
  auto s = sealer();
  ASSERT_TRUE(s.seal_index({}, {}, {}).ok());
  EXPECT_EQ(s.seal_log(Bytes(10), {}, {}).error().code, ErrorCode::kInternal);
  EXPECT_EQ(s.seal_as_of({}, {}).error().code, ErrorCode::kInternal);
}

TEST_P(LogObject, RefusesToSealAfterAnError) {
  auto s = sealer();
  EXPECT_EQ(s.seal_log(Bytes(kMaxFrameRaw + 1), {}, {}).error().code, ErrorCode::kInternal);
  EXPECT_EQ(s.seal_log(Bytes(10), {}, {}).error().code, ErrorCode::kInternal) << "the encoder is not used again";
  auto at_the_end = sealer({~std::uint64_t{0} - 5});
  EXPECT_EQ(at_the_end.seal_log(Bytes(10), {}, {}).error().code, ErrorCode::kInternal) << "positions do not wrap";
}

TEST_P(LogObject, TheFullestIndexBlockFitsIntoAFrame) {
  IndexBlock index;
  index.frames.resize(kMaxObjectFrames);
  index.restore_points.resize(kMaxObjectRestorePoints + 1024, {{}, {}, std::string(64, 'x')});
  auto s = sealer();
  auto frame = s.seal_index(index, {}, {});
  ASSERT_TRUE(frame.ok()) << frame.error().to_string();
  EXPECT_EQ(LogObjectOpener::begin(frame->header(), keys.secrets.data).value().open_index(*frame)->frames.size(), index.frames.size());
}

TEST_P(LogObject, IsFullBeforeItHasTooManyFrames) {
  auto s = sealer();
  while (!s.full()) ASSERT_TRUE(s.seal_as_of({}, {}).ok());
  EXPECT_EQ(s.frames(), kMaxObjectFrames - 1);
  EXPECT_TRUE(s.seal_index({}, {}, {}).ok());
}

TEST_P(LogObject, AChainSeesEveryBreak) {
  const auto a = object(4), b = object(4);
  auto fails = [&](std::initializer_list<const Frame*> frames) {
    FrameChain chain;
    Status ok;
    for (const Frame* f : frames) ok = chain.accept(*f);
    return !ok.ok() && ok.error().code == ErrorCode::kDamaged;
  };
  EXPECT_FALSE(fails({&a[0], &a[1], &a[2]}));
  EXPECT_TRUE(fails({&a[1]})) << "the first is missing";
  EXPECT_TRUE(fails({&a[0], &a[2]})) << "one is missing";
  EXPECT_TRUE(fails({&a[0], &a[1], &a[1]})) << "one twice";
  EXPECT_TRUE(fails({&a[1], &a[0]})) << "out of order";
  EXPECT_TRUE(fails({&a[0], &b[1]})) << "another object";
  EXPECT_TRUE(fails({&a[0], &a[2], &a[1]})) << "a failed chain stays failed";
}

TEST_P(LogObject, OnlyTheAgentsSignatureOverThisChainCounts) {
  auto frames = object(3);
  auto verify = [&](const crypto::VerifyKey& key) {
    FrameChain chain;
    for (const Frame& f : frames) EXPECT_TRUE(chain.accept(f).ok());
    return chain.verify(frames.back(), key);
  };
  EXPECT_TRUE(verify(keys.agent.verify_key()).ok());
  EXPECT_EQ(verify(keys.stranger.verify_key()).error().code, ErrorCode::kForged);
  auto others = object(3);
  frames.back().set_signature(to_bytes(others.back().signature()));
  EXPECT_EQ(verify(keys.agent.verify_key()).error().code, ErrorCode::kForged) << "the signature of another object's frame";
  frames.back().set_signature({});
  EXPECT_EQ(verify(keys.agent.verify_key()).error().code, ErrorCode::kForged);
}

TEST_P(LogObject, ARunWithoutOneOfItsFramesIsDamaged) {
  const auto frames = object(4);
  const Bytes whole = *encode_run(frames, {}, {});
  const RunHead head = *parse_run_head(whole);
  auto read = [&](ByteView bytes) { return read_run(bytes, &keys.agent.verify_key(), [](Frame) { return Status{}; }); };
  EXPECT_TRUE(read(whole).ok());
  std::size_t begin = head.head_size;
  for (const Frame& frame : frames) {
    Bytes without(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(begin));
    begin += frame.encoded_size();
    without.insert(without.end(), whole.begin() + static_cast<std::ptrdiff_t>(begin), whole.end());
    EXPECT_EQ(read(without).error().code, ErrorCode::kDamaged);
  }
  std::vector<Frame> gap{frames[0], frames[2], frames[3]}, unsigned_end{frames[0], frames[1]};
  EXPECT_EQ(encode_run(gap, {}, {}).error().code, ErrorCode::kInternal);
  EXPECT_EQ(encode_run(unsigned_end, {}, {}).error().code, ErrorCode::kInternal);
  EXPECT_TRUE(read(*encode_run({frames[2], frames[3]}, {}, {})).ok()) << "a run may begin in the middle of its object";
}

TEST_P(LogObject, AReceiversHeadThatContradictsTheFramesIsForged) {
  const auto frames = object(2);
  Bytes run = *encode_run(frames, {}, {});
  const std::size_t size = parse_run_head(run)->head_size;
  const std::size_t max_commit = 20 + 32 + 8 + 32 + 32 + 8 + 16 + 64 + 8;
  run[max_commit] ^= 1;
  ByteView check = ByteView(run).first(size - Digest::kSize);
  const Digest right = crypto::hash(*GetParam(), check);
  std::copy(right.data.begin(), right.data.end(), run.begin() + static_cast<std::ptrdiff_t>(size - Digest::kSize));
  ASSERT_TRUE(parse_run_head(run).ok());
  EXPECT_EQ(read_run(run, nullptr, [](Frame) { return Status{}; }).error().code, ErrorCode::kForged);
}

constexpr std::uint64_t kSegment = 1 << 20;

TEST_P(LogObject, JoinTagsAreEqualForEveryCutting) {
  SCOPED_TRACE(fmt::format("STELE_TEST_SEED={}", test_seed()));
  const Bytes log = random.bytes(2 * kSegment + 30'000);
  JoinTagger whole(*GetParam(), keys.secrets.join, {}, kSegment, {0});
  whole.update(log);
  for (int round = 0; round < 5; ++round) {
    JoinTagger cut(*GetParam(), keys.secrets.join, {}, kSegment, {0});
    for (std::size_t at = 0; at < log.size();) {
      const std::size_t take = std::min<std::size_t>(log.size() - at, 1 + random.below(100'000));
      cut.update(ByteView(log).subspan(at, take));
      at += take;
      if (random.below(4) == 0) (void)cut.tag();  // asking changes nothing
    }
    EXPECT_EQ(cut.tag(), whole.tag());
  }
  JoinTagger late(*GetParam(), keys.secrets.join, {}, kSegment, {2 * kSegment});
  late.update(ByteView(log).subspan(2 * kSegment));
  EXPECT_EQ(late.tag(), whole.tag()) << "the segment is enough";
}

TEST_P(LogObject, JoinTagsDifferAfterOneOtherByte) {
  Bytes log = random.bytes(50'000);
  auto tag_of = [&](const StreamId& stream = {}, const crypto::SecretBytes* key = nullptr) {
    JoinTagger t(*GetParam(), key != nullptr ? *key : keys.secrets.join, stream, kSegment, {0});
    t.update(log);
    return t.tag();
  };
  const JoinTag before = tag_of();
  for (std::size_t at : {std::size_t{0}, std::size_t{8191}, std::size_t{8192}, log.size() - 1}) {
    log[at] ^= 1;
    EXPECT_NE(tag_of(), before) << at;
    log[at] ^= 1;
  }
  EXPECT_EQ(tag_of(), before);
  EXPECT_NE(tag_of(random.draw<StreamId>()), before);
  EXPECT_NE(tag_of({}, &keys.secrets.data), before);
}

TEST_P(LogObject, AtABoundaryTheWholeSegmentBeforeCounts) {
  Bytes log = random.bytes(kSegment);
  auto tag_of = [&] {
    JoinTagger t(*GetParam(), keys.secrets.join, {}, kSegment, {0});
    t.update(log);
    return t.tag();
  };
  const JoinTag before = tag_of();
  log[0] ^= 1;
  EXPECT_NE(tag_of(), before) << "a fork exactly on a boundary is seen";
  JoinTagger blind(*GetParam(), keys.secrets.join, {}, kSegment, {kSegment});
  EXPECT_NE(blind.tag(), before) << "who has not read the segment before cannot know the tag";
}

INSTANTIATE_TEST_SUITE_P(Suites, LogObject, testing::ValuesIn(test::both_suites()), test::suite_test_name);

}  // namespace
}  // namespace stele::format
