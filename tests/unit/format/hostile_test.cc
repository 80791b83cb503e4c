#include <gtest/gtest.h>

#include "core/format/extension.h"
#include "core/format/object_names.h"
#include "tests/support/format/samples.h"
#include "tests/support/seeded_random.h"

namespace stele::format {
namespace {

using test::FormatKeys;
using test::make_samples;

TEST(FileTable, RefusesPathsThatLeaveTheTarget) {
  for (const char* bad : {"", "/", "/etc/passwd", "..", "../x", "a/../b", "a//b", "./a", "a/.", "a/", "a\\b"}) EXPECT_FALSE(is_safe_relative_path(bad)) << bad;
  EXPECT_FALSE(is_safe_relative_path(std::string_view("a\0b", 3)));
  EXPECT_FALSE(is_safe_relative_path(std::string(1025, 'a')));
  for (const char* good : {"PG_VERSION", "base/5/16384.1", "...", "pg_wal/archive_status", "a/..b"}) EXPECT_TRUE(is_safe_relative_path(good)) << good;
}

TEST(FileTable, RefusesSizesAndModesThatCannotBe) {
  const FileEntry good{FileType::kFile, 0, "base/1", 0600, {}, 5000, 2};
  auto read = [](const FileEntry& e) {
    Bytes bytes;
    encode_file_entry(e, bytes);
    ByteReader r(bytes);
    return read_file_entry(r).ok();
  };
  EXPECT_TRUE(read(good));
  auto changed = [&](auto change) {
    FileEntry e = good;
    change(e);
    return e;
  };
  EXPECT_FALSE(read(changed([](FileEntry& e) { e.chunks = 0; }))) << "bytes from nowhere";
  EXPECT_FALSE(read(changed([](FileEntry& e) { e.chunks = 5001; }))) << "empty chunks";
  EXPECT_FALSE(read(changed([](FileEntry& e) { e.size = ~std::uint64_t{0}; })));
  EXPECT_FALSE(read(changed([](FileEntry& e) { e.mode = 010600; })));
  EXPECT_FALSE(read(changed([](FileEntry& e) { e.type = FileType::kDirectory; }))) << "a directory with content";
  EXPECT_FALSE(read(changed([](FileEntry& e) { e.type = FileType::kSymlink; })));
  EXPECT_FALSE(read(changed([](FileEntry& e) { e.path = "../../root/.ssh/authorized_keys"; })));
}

class Manifests : public testing::Test {
 protected:
  Result<SignedRecord> make(auto change) {
    ManifestReference reference;
    reference.database = {"440000", "registry"};
    reference.lists = {Digest{}};
    reference.chunk_count = 10;
    ManifestSealed sealed;
    change(reference, sealed);
    return make_manifest(reference, sealed, keys.secrets.data, keys.agent, random);
  }
  FormatKeys keys;
  test::SeededRandom random{3};
};

TEST_F(Manifests, AreNeverSealedTwiceUnderOneKey) {
  auto nothing = [](auto&, auto&) {};
  EXPECT_NE(read_manifest(*make(nothing))->reference.object, read_manifest(*make(nothing))->reference.object);
}

TEST_F(Manifests, AreNotMadeWhenNoReaderWouldTakeThem) {
  EXPECT_TRUE(make([](auto&, auto&) {}).ok());
  EXPECT_FALSE(make([](auto& r, auto&) { r.chunk_count = kMaxListNames + 1; }).ok()) << "more chunks than names";
  EXPECT_FALSE(make([](auto& r, auto&) { r.start = {5}; }).ok()) << "stops before it starts";
  EXPECT_FALSE(make([](auto& r, auto&) { r.database.site = "../x"; }).ok());
  EXPECT_FALSE(make([](auto&, auto& s) { s.file_table_first = 11; }).ok());
  EXPECT_FALSE(make([](auto&, auto& s) { s.tablespaces.resize(5000); }).ok());
}

TEST_F(Manifests, AClearPartThatLiesIsRefused) {
  const SignedRecord record = *make([](auto&, auto&) {});
  Manifest manifest = *read_manifest(record);
  EXPECT_TRUE(open_manifest(manifest, keys.suite, keys.secrets.data).ok());
  manifest.reference.chunk_count = 9;
  EXPECT_EQ(open_manifest(manifest, keys.suite, keys.secrets.data).error().code, ErrorCode::kForged);
  Manifest other = *read_manifest(record);
  other.clear.back() ^= 1;
  EXPECT_EQ(open_manifest(other, keys.suite, keys.secrets.data).error().code, ErrorCode::kDamaged);
  EXPECT_EQ(open_manifest(*read_manifest(record), keys.suite, keys.secrets.join).error().code, ErrorCode::kDamaged) << "another data key";
}

/// A pack whose bytes at `offset` were changed and that was signed again by its agent.
Bytes signed_again(const FormatKeys& keys, Bytes pack, std::size_t offset, std::uint8_t with) {
  const std::size_t signature = 2 + keys.suite.sizes().signature;
  pack.resize(pack.size() - signature);
  pack[offset] ^= with;
  const Bytes s = keys.agent.sign("stele/pack/1", crypto::hash(keys.suite, pack).view());
  ByteWriter w(pack);
  w.u16(static_cast<std::uint16_t>(s.size()));
  w.raw(s);
  return pack;
}

TEST(Pack, AnIndexThatLiesIsRefusedThoughItsAgentSignedIt) {
  const FormatKeys keys;
  const Bytes pack = make_samples(keys).at("pack");
  const PackHead head = *parse_pack(pack, &keys.agent.verify_key(), true);
  const std::size_t index = head.entries[0].offset - head.entries.size() * 40;
  EXPECT_TRUE(parse_pack(signed_again(keys, pack, 0, 0), &keys.agent.verify_key(), true).ok());
  for (std::size_t at : {index, index + 32, index + 36, index + 39, std::size_t{8}, std::size_t{12}, std::size_t{15}}) {
    auto lying = parse_pack(signed_again(keys, pack, at, 0x40), &keys.agent.verify_key(), true);
    ASSERT_FALSE(lying.ok()) << at;
    EXPECT_EQ(lying.error().code, ErrorCode::kDamaged) << at;
  }
}

TEST(Pack, ChunksAreOpenedWithOneKeyForEachPack) {
  const FormatKeys keys;
  const Bytes pack = make_samples(keys).at("pack");
  const PackHead head = *parse_pack(pack, nullptr, true);
  ChunkOpener opener(keys.suite, keys.secrets.chunk_name);
  for (int round = 0; round < 3; ++round) {
    for (const PackEntry& e : head.entries) EXPECT_TRUE(opener.open(*parse_chunk(ByteView(pack).subspan(e.offset)), keys.secrets.data).ok());
  }
  EXPECT_EQ(opener.keys_derived(), 1u);
  ChunkOpener other_names(keys.suite, keys.secrets.join);
  EXPECT_EQ(other_names.open(*parse_chunk(ByteView(pack).subspan(head.entries[0].offset)), keys.secrets.data).error().code, ErrorCode::kDamaged);
  ChunkOpener wrong(keys.suite, keys.secrets.chunk_name);
  EXPECT_EQ(wrong.open(*parse_chunk(ByteView(pack).subspan(head.entries[0].offset)), keys.secrets.join).error().code, ErrorCode::kDamaged);
}

TEST(Pack, AChunkSwappedForAnotherIsNoticedByItsName) {
  const FormatKeys keys;
  const Bytes pack = make_samples(keys).at("pack");
  const PackHead head = *parse_pack(pack, nullptr, true);
  ChunkView chunk = *parse_chunk(ByteView(pack).subspan(head.entries[0].offset));
  chunk.header.name = head.entries[1].name;
  ChunkOpener opener(keys.suite, keys.secrets.chunk_name);
  EXPECT_EQ(opener.open(chunk, keys.secrets.data).error().code, ErrorCode::kDamaged);
}

TEST(Epoch, AKeyThatIsNoRecipientIsWrongNotDamage) {
  const FormatKeys keys;
  const EpochRecord epoch = *EpochRecord::read(*parse_record(make_samples(keys).at("epoch")));
  EXPECT_TRUE(open_epoch(epoch, keys.drill).ok());
  EXPECT_EQ(open_epoch(epoch, keys.no_recipient).error().code, ErrorCode::kKeyWrong);
  EpochRecord other = epoch;
  other.commitment.data[0] ^= 1;
  EXPECT_EQ(open_epoch(other, keys.recovery).error().code, ErrorCode::kKeyWrong);
}

TEST(Records, WhatAReaderWouldRefuseIsNotSigned) {
  const FormatKeys keys;
  const RecipientList good{{"440000", "registry"}, 1, {}, {{RecipientKind::kRecovery, Bytes(32), "safe"}}};
  EXPECT_TRUE(good.sign(keys.authority).ok());
  auto refused = [&](auto change) {
    RecipientList list = good;
    change(list);
    auto record = list.sign(keys.authority);
    return !record.ok() && record.error().code == ErrorCode::kInternal;
  };
  EXPECT_TRUE(refused([](auto& l) { l.recipients.clear(); }));
  EXPECT_TRUE(refused([](auto& l) { l.recipients.push_back(l.recipients[0]); })) << "one key twice";
  EXPECT_TRUE(refused([](auto& l) { l.recipients[0].label = "\x1B[2J"; }));
  EXPECT_TRUE(refused([](auto& l) { l.recipients[0].label.assign(65, 'x'); }));
  EXPECT_TRUE(refused([](auto& l) { l.recipients.resize(33, l.recipients[0]); }));
  EXPECT_TRUE(refused([](auto& l) { l.database.database = "a/b"; }));
}

TEST(Records, ANoteBecomesOneLine) {
  const FormatKeys keys;
  Fact fact;
  fact.database = {"440000", "registry"};
  fact.note = "first\nsecond" + std::string(600, 'x');
  const Fact back = *Fact::read(*fact.sign(keys.agent));
  EXPECT_EQ(back.note.substr(0, 12), "first second");
  EXPECT_EQ(back.note.size(), 512u);
}

TEST(Extensions, CriticalOnesMustBeKnownAndOrderIsFixed) {
  auto read = [](std::vector<Extension> extensions) {
    Bytes bytes;
    ByteWriter w(bytes);
    write_extensions(w, extensions);
    ByteReader r(bytes);
    return read_extensions(r, [](const Extension& e) { return e.type == 1; });
  };
  EXPECT_TRUE(read({{1, {}}, {7, {}}}).ok()) << "an unknown one is skipped";
  EXPECT_EQ(read({{7 | kCriticalExtension, {}}}).error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(read({{1, {}}, {1, {}}}).error().code, ErrorCode::kDamaged);
  EXPECT_EQ(read({{7, {}}, {1, {}}}).error().code, ErrorCode::kDamaged);
}

TEST(ObjectNames, OneRunHasOneName) {
  RunName run;
  run.range = {{0x3000000}, {0x3000100}};
  run.stream.data[0] = run.object.data[0] = 0xAB;
  run.last = 10;
  const std::string name = run_name({"440000", "registry"}, run);
  auto parsed = parse_run_name(name);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(run_name({"440000", "registry"}, *parsed), name);
  EXPECT_EQ(database_of(name)->to_string(), "440000/registry");
  std::string upper = name, zero = name, cut = name;
  upper.replace(upper.find("ab"), 2, "AB");
  zero.replace(zero.rfind("-10"), 3, "-010");
  cut.replace(cut.find("0000000003000000"), 1, "");
  for (const std::string& other : {upper, zero, cut, std::string("run"), std::string("a/b.run"), name + "x"}) EXPECT_FALSE(parse_run_name(other)) << other;
}

}  // namespace
}  // namespace stele::format
