#include "core/net/message_stream.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <random>

#include "core/net/spawn.h"
#include "tests/support/net/memory_stream.h"

namespace stele::net {
namespace {

namespace asio = boost::asio;

const PeerIdentity kAgent{Role::kAgent, "440000"};
const PeerIdentity kReceiver{Role::kReceiver, "r1"};

MessageLimits limits() { return {{1, 100}, {2, 1 << 20}, {3, 0}}; }

Bytes frame(std::uint8_t type, ByteView body) {
  Bytes out;
  ByteWriter writer(out);
  writer.u32(static_cast<std::uint32_t>(body.size() + 1));
  writer.u8(type);
  writer.raw(body);
  return out;
}

Bytes pattern(std::size_t size) {
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(i * 31 + i / 251);
  return out;
}

/// Runs one coroutine to its end; the test fails when it waits for ever.
template <typename T>
T run(asio::io_context& io, Task<T> task) {
  std::optional<T> out;
  asio::co_spawn(io, as_optional(std::move(task)), [&](std::exception_ptr e, std::optional<T> value) {
    if (e) std::rethrow_exception(e);
    out = std::move(value);
  });
  io.restart();
  io.run();
  if (!out) throw std::runtime_error("the coroutine never ended");
  return std::move(*out);
}

std::optional<Message> next(MessageDecoder& decoder) {
  auto got = decoder.next();
  EXPECT_TRUE(got.ok()) << (got.ok() ? "" : got.error().to_string());
  return got.ok() ? std::move(*got) : std::nullopt;
}

TEST(MessageDecoder, GivesTheSameMessagesHoweverTheBytesAreCut) {
  Bytes wire = frame(1, as_bytes("hello"));
  for (const Bytes& part : {frame(3, {}), frame(2, pattern(300))}) wire.insert(wire.end(), part.begin(), part.end());
  for (std::size_t cut = 0; cut <= wire.size(); ++cut) {
    MessageDecoder decoder(limits());
    std::vector<Message> got;
    for (ByteView part : {ByteView(wire).first(cut), ByteView(wire).subspan(cut)}) {
      decoder.feed(part);
      while (auto message = next(decoder)) got.push_back(std::move(*message));
    }
    ASSERT_EQ(got.size(), 3u) << cut;
    EXPECT_EQ(as_text(got[0].body), "hello");
    EXPECT_EQ(got[1].type, 3);
    EXPECT_TRUE(got[1].body.empty());
    EXPECT_EQ(got[2].body, pattern(300));
    EXPECT_FALSE(decoder.in_message());
  }
}

TEST(MessageDecoder, KnowsWhetherItIsInsideAMessageAfterEveryByte) {
  const Bytes wire = frame(1, as_bytes("hello"));
  MessageDecoder decoder(limits());
  EXPECT_FALSE(decoder.in_message());
  for (std::size_t i = 0; i + 1 < wire.size(); ++i) {
    decoder.feed(ByteView(wire).subspan(i, 1));
    EXPECT_FALSE(next(decoder).has_value());
    EXPECT_TRUE(decoder.in_message()) << i;
  }
  decoder.feed(ByteView(wire).last(1));
  EXPECT_TRUE(next(decoder).has_value());
  EXPECT_FALSE(decoder.in_message());
}

TEST(MessageDecoder, ReadsLargeBodiesInPiecesOfAnySize) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937_64 random(seed);
  const Bytes body = pattern(1 << 20);
  Bytes wire = frame(2, body);
  const Bytes second = frame(2, ByteView(body).first(70'000));
  wire.insert(wire.end(), second.begin(), second.end());
  MessageDecoder decoder(limits());
  std::vector<Message> got;
  for (std::size_t at = 0; at < wire.size();) {
    MutableByteView room = decoder.prepare();
    ASSERT_FALSE(room.empty());
    const std::size_t n = std::min({room.size(), wire.size() - at, std::size_t(1 + random() % 90'000)});
    std::copy_n(wire.begin() + static_cast<std::ptrdiff_t>(at), n, room.begin());
    decoder.commit(n);
    at += n;
    while (auto message = next(decoder)) got.push_back(std::move(*message));
  }
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].body, body);
  EXPECT_EQ(got[1].body.size(), 70'000u);
}

TEST(MessageDecoder, RefusesForbiddenTypesAndLengthsAtTheHeader) {
  const Bytes hostile[] = {Bytes{0, 0, 0, 0, 1},           Bytes{1, 0, 0, 0, 9},          Bytes{102, 0, 0, 0, 1},
                           Bytes{255, 255, 255, 255, 2},   Bytes{2, 0, 0, 0, 3},          Bytes{'G', 'E', 'T', ' ', '/'}};
  for (const Bytes& header : hostile) {
    MessageDecoder decoder(limits());
    decoder.feed(header);
    auto got = decoder.next();
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, ErrorCode::kProtocol);
  }
}

TEST(MessageDecoder, AnAnnouncedLengthAloneCostsNoMemory) {
  MessageLimits huge;
  huge.allow(2, UINT32_MAX - 1);
  MessageDecoder decoder(huge);
  decoder.feed(Bytes{0, 0, 0, 0xf0, 2});
  EXPECT_FALSE(next(decoder).has_value());
  EXPECT_LE(decoder.prepare().size(), 64u * 1024);
}

TEST(MessageDecoder, NewLimitsCountForTheNextMessageEvenInTheSameRead) {
  MessageDecoder decoder({{1, 10}});
  Bytes wire = frame(1, as_bytes("hi"));
  const Bytes second = frame(7, as_bytes("after the greeting"));
  wire.insert(wire.end(), second.begin(), second.end());
  decoder.feed(wire);
  EXPECT_EQ(next(decoder)->type, 1);
  decoder.set_limits({{7, 100}});
  EXPECT_EQ(next(decoder)->type, 7);
}

Task<Result<std::vector<Message>>> read_all(MessageStream& stream) {
  std::vector<Message> out;
  for (;;) {
    Result<Message> message = co_await stream.read();
    if (!message.ok()) {
      if (message.error().code == ErrorCode::kClosed) co_return out;
      co_return message.error();
    }
    out.push_back(std::move(*message));
  }
}

Task<Status> send_three(MessageStream& stream, const Bytes& large) {
  std::vector<ByteView> pieces{as_bytes("hel"), {}, as_bytes("lo")};
  STELE_CO_CHECK(co_await stream.write(1, pieces));
  STELE_CO_CHECK(stream.post(3, {}));
  std::vector<ByteView> whole{ByteView(large)};
  STELE_CO_CHECK(co_await stream.write(2, whole));
  co_await stream.shutdown();
  co_return Status();
}

/// Both ends at once over a line with these properties.
std::pair<Status, Result<std::vector<Message>>> exchange(test::MemoryPipeOptions options, const Bytes& large) {
  asio::io_context io;
  auto [left, right] = test::memory_stream_pair(io.get_executor(), kReceiver, kAgent, options);
  MessageStream sender(std::move(left), limits());
  MessageStream reader(std::move(right), limits());
  std::optional<Status> sent;
  asio::co_spawn(io, as_optional(send_three(sender, large)), [&](std::exception_ptr, std::optional<Status> s) { sent = std::move(s); });
  auto got = run(io, read_all(reader));
  io.restart();
  io.run();
  return {sent ? *sent : Status(Error{ErrorCode::kInternal, "the sender hangs", ""}), std::move(got)};
}

TEST(MessageStream, CarriesMessagesOneByteAtATimeAndThroughASmallPipe) {
  const Bytes large = pattern(20'000);
  for (std::size_t read : {std::size_t(1), std::size_t(7), SIZE_MAX}) {
    for (std::size_t capacity : {std::size_t(1), std::size_t(1000), std::size_t(1 << 20)}) {
      test::MemoryPipeOptions options;
      options.max_read = read;
      options.capacity = capacity;
      auto [sent, got] = exchange(options, large);
      ASSERT_TRUE(sent.ok()) << sent.error().to_string();
      ASSERT_TRUE(got.ok()) << got.error().to_string();
      ASSERT_EQ(got->size(), 3u);
      EXPECT_EQ(as_text((*got)[0].body), "hello");
      EXPECT_EQ((*got)[1].type, 3);
      EXPECT_EQ((*got)[2].body, large);
    }
  }
}

TEST(MessageStream, ACutAfterEveryByteIsClosedBetweenMessagesAndAProtocolErrorInside) {
  const Bytes large = pattern(50);
  const std::set<std::uint64_t> whole{0, 10, 15, 70};
  for (std::uint64_t cut = 0; cut <= 70; ++cut) {
    test::MemoryPipeOptions options;
    options.cut_after = cut;
    auto [sent, got] = exchange(options, large);
    EXPECT_EQ(got.ok(), whole.contains(cut)) << cut;
    if (!got.ok()) EXPECT_EQ(got.error().code, ErrorCode::kProtocol) << cut;
    EXPECT_EQ(sent.ok(), cut == 70) << cut;
  }
}

Task<Status> send_many(MessageStream& stream, std::uint8_t mark, int count) {
  for (int i = 0; i < count; ++i) {
    const Bytes body(1 + static_cast<std::size_t>(i) * 37 % 3000, mark);
    std::vector<ByteView> pieces{ByteView(body).first(body.size() / 2), ByteView(body).subspan(body.size() / 2)};
    STELE_CO_CHECK(co_await stream.write(2, pieces));
  }
  co_return Status();
}

TEST(MessageStream, SeveralSendersNeverMixTheirMessages) {
  asio::io_context io;
  test::MemoryPipeOptions options;
  options.capacity = 512;
  auto [left, right] = test::memory_stream_pair(io.get_executor(), kReceiver, kAgent, options);
  MessageStream sender(std::move(left), limits());
  MessageStream reader(std::move(right), limits());
  int running = 3;
  for (std::uint8_t mark = 1; mark <= 3; ++mark) {
    asio::co_spawn(io, as_optional(send_many(sender, mark, 100)), [&](std::exception_ptr, std::optional<Status> s) {
      EXPECT_TRUE(s && s->ok());
      if (--running == 0) sender.close();
    });
  }
  auto got = run(io, read_all(reader));
  ASSERT_TRUE(got.ok()) << got.error().to_string();
  ASSERT_EQ(got->size(), 300u);
  std::map<std::uint8_t, int> seen;
  for (const Message& message : *got) {
    for (std::uint8_t byte : message.body) ASSERT_EQ(byte, message.body[0]);
    EXPECT_EQ(message.body.size(), 1 + static_cast<std::size_t>(seen[message.body[0]]++) * 37 % 3000) << "in order for each sender";
  }
}

TEST(MessageStream, PostedBytesAreBounded) {
  asio::io_context io;
  test::MemoryPipeOptions options;
  options.capacity = 10;
  auto [left, right] = test::memory_stream_pair(io.get_executor(), kReceiver, kAgent, options);
  MessageStream sender(std::move(left), limits(), 1000);
  Status last;
  int accepted = 0;
  for (; accepted < 100; ++accepted) {
    last = sender.post(1, Bytes(95));
    if (!last.ok()) break;
  }
  EXPECT_EQ(accepted, 10);
  EXPECT_EQ(last.error().code, ErrorCode::kLimit);
  EXPECT_LE(sender.queued_bytes(), 1000u);
  sender.close();
  io.run();
  EXPECT_EQ(sender.queued_bytes(), 0u);
  EXPECT_FALSE(sender.post(1, {}).ok()) << "after the end nothing is taken";
}

TEST(MessageStream, SendingToAPeerThatEndedFailsAndStaysFailed) {
  asio::io_context io;
  auto [left, right] = test::memory_stream_pair(io.get_executor(), kReceiver, kAgent);
  right->close();
  MessageStream sender(std::move(left), limits());
  EXPECT_EQ(run(io, send_many(sender, 1, 1)).error().code, ErrorCode::kClosed);
  EXPECT_EQ(run(io, send_many(sender, 1, 1)).error().code, ErrorCode::kClosed);
}

}  // namespace
}  // namespace stele::net
