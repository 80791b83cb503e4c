#include "core/protocol/messages.h"

#include <gtest/gtest.h>

#include "core/protocol/control.pb.h"
#include "tests/support/seeded_random.h"

namespace stele::protocol {
namespace {

template <typename Pb>
Bytes wire(const Pb& pb) {
  return to_bytes(as_bytes(pb.SerializeAsString()));
}

using test::SeededRandom;

TEST(Messages, ComeBackAsTheyWere) {
  SeededRandom random(1);
  Hello hello{1, 3, "stele-agent 0.1", Purpose::kSnapshot, random.draw<InstanceId>()};
  const Hello h = *read_hello(encode(hello));
  EXPECT_EQ(h.software, hello.software);
  EXPECT_EQ(h.purpose, hello.purpose);
  EXPECT_EQ(h.instance, hello.instance);
  EXPECT_EQ(h.max_version, 3u);
  const HelloReply reply = *read_hello_reply(encode(HelloReply{1, "beijing", "stele-receiver", 99, 10}));
  EXPECT_EQ(reply.receiver, "beijing");
  EXPECT_EQ(reply.credit_bytes, 99u);
  EXPECT_EQ(read_database(encode_database({"440000", "registry"}))->to_string(), "440000/registry");
  StreamState s;
  s.stream = random.draw<StreamId>();
  s.stored_begin = {5};
  s.durable_end = {~std::uint64_t{0}};
  s.object = random.draw<ObjectId>();
  s.frame = 7;
  s.object_finished = true;
  s.head = random.draw<Digest>();
  s.join = random.draw<JoinTag>();
  s.generation = {9};
  const StreamState back = *read_stream_opened(encode(s));
  EXPECT_TRUE(back.stream == s.stream && back.durable_end == s.durable_end && back.object == s.object && back.frame == 7 && back.object_finished &&
              back.head == s.head && back.join == s.join && back.generation == s.generation && back.stored_begin == s.stored_begin);
  EXPECT_TRUE(read_stream_opened(encode(StreamState{})).ok()) << "nothing is held";
  const DatabaseState state = *read_database_state(encode(DatabaseState{{4}, {s, s}, random.draw<Digest>(), {2, 3}}));
  EXPECT_EQ(state.streams.size(), 2u);
  EXPECT_EQ(state.reserved_timelines, (std::vector<std::uint32_t>{2, 3}));
  EXPECT_EQ(read_open_stream(encode(OpenStream{{"440000", "registry"}, s.stream, {9}}))->stream, s.stream);
  EXPECT_EQ(read_ack(encode(Ack{s.object, 7, {8}, s.head}))->head, s.head);
  EXPECT_EQ(*read_credit(encode_credit(77)), 77u);
  EXPECT_EQ(*read_stored(encode_stored(s.head)), s.head);
  EXPECT_EQ(read_missing_chunks(encode(MissingChunks{{random.draw<ChunkName>()}, 5}))->total, 5u);
  EXPECT_EQ(read_list_objects(encode(ListObjects{"440000/", "440000/registry/a", 9999}))->limit, kMaxListEntries);
  EXPECT_EQ(read_object_list(encode(ObjectList{{{"440000/registry/epoch/ab.rec", 3}}, true}))->objects[0].size, 3u);
  EXPECT_EQ(read_read_object(encode(ReadObject{"440000/x", 5, 6}))->offset, 5u);
  EXPECT_EQ(read_reserve_timeline(encode(ReserveTimeline{{"440000", "registry"}, 4}))->above, 4u);
  EXPECT_EQ(*read_reserved_timeline(encode_reserved_timeline(5)), 5u);
  EXPECT_EQ(*read_sealed(encode_sealed(6)), 6u);
}

TEST(Messages, AFailureKeepsItsCodeAndIsShownClean) {
  const Error e = read_failure(encode(Error{ErrorCode::kSuperseded, "another\nagent \xE5\x9C\xA8\xFF", "look\x1B[2J"}));
  EXPECT_EQ(e.code, ErrorCode::kSuperseded);
  EXPECT_EQ(e.what, "receiver: another agent \xE5\x9C\xA8?");
  EXPECT_EQ(e.hint, "look [2J");
  EXPECT_LE(read_failure(encode(Error{ErrorCode::kIo, std::string(5000, 'x'), ""})).what.size(), 1100u);
  std::string cut(1023, 'x');
  EXPECT_EQ(read_failure(encode(Error{ErrorCode::kIo, cut + "\xE5\x9C\xA8", ""})).what, "receiver: " + cut) << "never cut within a character";
  pb::Failure unknown;
  unknown.set_code(4711);
  EXPECT_EQ(read_failure(wire(unknown)).code, ErrorCode::kProtocol);
}

TEST(Messages, MalformedOnesAreRefused) {
  auto refused = [](const auto& result) { return !result.ok() && result.error().code == ErrorCode::kProtocol; };
  EXPECT_TRUE(refused(read_hello({}))) << "no purpose";
  pb::Hello hello;
  hello.set_min_version(2);
  hello.set_max_version(1);
  hello.set_purpose(1);
  hello.set_instance(std::string(16, 'i'));
  EXPECT_TRUE(refused(read_hello(wire(hello))));
  hello.set_max_version(2);
  EXPECT_TRUE(read_hello(wire(hello)).ok());
  hello.set_instance("short");
  EXPECT_TRUE(refused(read_hello(wire(hello))));
  pb::Ack ack;
  EXPECT_TRUE(refused(read_ack(wire(ack)))) << "an id that is left out is no id of zeros";
  EXPECT_TRUE(refused(read_stored({})));
  EXPECT_TRUE(refused(read_stream_opened({})));
  StreamState backwards;
  backwards.stored_begin = {2};
  EXPECT_TRUE(refused(read_stream_opened(encode(backwards))));
  EXPECT_TRUE(refused(read_database(encode_database({"440000", "../x"}))));
  EXPECT_TRUE(refused(read_read_object(encode(ReadObject{"a", 0, kMaxRead + 1}))));
  EXPECT_TRUE(refused(read_read_object(encode(ReadObject{"a", ~std::uint64_t{0}, 1})))) << "offset and length would overflow";
  EXPECT_TRUE(refused(read_reserved_timeline(encode_reserved_timeline(0))));
  EXPECT_TRUE(refused(read_list_objects(encode(ListObjects{"", "", 0}))));
  EXPECT_TRUE(refused(read_credit(Bytes(kMaxControl + 1)))) << "over 64 KiB";
}

TEST(Messages, AFullPageOfTheLongestNamesIsRead) {
  ObjectList page;
  for (std::uint32_t i = 0; i < kMaxListEntries; ++i) {
    std::string name = "440000";
    while (name.size() < 500) name += "/" + std::string(80, static_cast<char>('a' + i % 26));
    name.resize(512, 'x');
    page.objects.push_back({name, i});
  }
  auto back = read_object_list(encode(page));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->objects.size(), page.objects.size());
}

TEST(Messages, NamesOfObjectsAreSafeAsPaths) {
  for (const char* bad : {"", "/a", "a//b", "../a", "a/../b", "a/..", "./a", "a/", "a b", "a\nb", "a\\b"}) {
    EXPECT_FALSE(read_object_list(encode(ObjectList{{{bad, 1}}, false})).ok()) << bad;
    EXPECT_FALSE(read_read_object(encode(ReadObject{bad, 0, 1})).ok()) << bad;
  }
  for (const char* good : {"", "440000", "440000/", "440000/registry/log/"}) EXPECT_TRUE(read_list_objects(encode(ListObjects{good, good, 1})).ok()) << good;
  EXPECT_FALSE(read_list_objects(encode(ListObjects{"../", "", 1})).ok());
}

TEST(Messages, EveryPurposeHasItsMessagesAndNoOthers) {
  auto allows = [](const std::vector<MessageLimit>& limits, MessageType type) {
    return std::any_of(limits.begin(), limits.end(), [&](const MessageLimit& l) { return l.type == type; });
  };
  EXPECT_EQ(receiver_accepts_first().size(), 1u);
  EXPECT_TRUE(allows(receiver_accepts(Purpose::kLog), MessageType::kFrame));
  EXPECT_FALSE(allows(receiver_accepts(Purpose::kLog), MessageType::kReadObject)) << "an agent cannot read back";
  EXPECT_FALSE(allows(receiver_accepts(Purpose::kSnapshot), MessageType::kReadObject));
  for (MessageType type : {MessageType::kFrame, MessageType::kPutPack, MessageType::kPutList, MessageType::kCommitSnapshot, MessageType::kOpenStream}) {
    EXPECT_FALSE(allows(receiver_accepts(Purpose::kRead), type)) << "an operator writes no data";
  }
  // Which records it may append, the receiver says by their kind (ReceiverTest).
  EXPECT_TRUE(allows(receiver_accepts(Purpose::kRead), MessageType::kPutRecord));
}

}  // namespace
}  // namespace stele::protocol
