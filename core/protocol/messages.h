#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/identity.h"
#include "core/base/result.h"

namespace stele::protocol {

/// The protocol's versions that this program speaks. PROTOCOL.md tells what happens, step by step.
inline constexpr std::uint32_t kMinVersion = 1, kMaxVersion = 1;

/// u8 type of a framed message (core/net/message_stream.h frames them). Numbers are part of the protocol.
enum class MessageType : std::uint8_t {
  kHello = 1,
  kHelloReply = 2,
  kFailure = 3,   ///< answers a request that failed; answers anything else by ending the session
  kPing = 4,      ///< empty; either side
  kPong = 5,      ///< empty

  kPutRecord = 10,     ///< raw: one signed record (enrolment, recipients, branch, epoch, fact, withdrawal) -> kStored
  kStored = 11,
  kQueryDatabase = 12, ///< -> kDatabaseState
  kDatabaseState = 13,
  kOpenStream = 14,    ///< -> kStreamOpened
  kStreamOpened = 15,
  kFrame = 16,         ///< raw: one frame; answered, later and for many at once, by kAck
  kAck = 17,
  kCredit = 18,        ///< more bytes of frames or packs may be sent
  kStatus = 19,        ///< raw: one signed status record; not answered

  kQueryChunks = 20,   ///< raw: chunk names, 32 bytes each -> kChunksKnown
  kChunksKnown = 21,   ///< raw: one bit for each name, first name in the lowest bit
  kPutPack = 22,       ///< raw: one pack -> kStored (durable)
  kPutList = 23,       ///< raw: one chunk list -> kStored
  kCommitSnapshot = 24,  ///< raw: one manifest record -> kStored, or kMissingChunks
  kMissingChunks = 25,

  kListObjects = 30,   ///< -> kObjectList
  kObjectList = 31,
  kReadObject = 32,    ///< -> kObjectData
  kObjectData = 33,    ///< raw
  kSealRuns = 34,      ///< seals what the journal holds of a database, so that the listing shows it -> kSealed
  kSealed = 35,
  kReserveTimeline = 36,  ///< -> kReservedTimeline
  kReservedTimeline = 37,
};

std::string_view message_name(MessageType type);

/// What a connection is for. One connection does one thing: the log never waits behind a snapshot.
enum class Purpose : std::uint32_t { kLog = 1, kSnapshot = 2, kRead = 3 };

struct MessageLimit {
  MessageType type;
  std::uint32_t max_body;
};
/// The messages that a receiver accepts on a connection of this purpose after kHello, with their largest bodies.
std::vector<MessageLimit> receiver_accepts(Purpose purpose);
/// Before the purpose is known: only kHello.
std::vector<MessageLimit> receiver_accepts_first();
/// What the client side (agent, restore) accepts.
std::vector<MessageLimit> client_accepts(Purpose purpose);

inline constexpr std::uint32_t kMaxControl = 64 << 10;
inline constexpr std::uint32_t kMaxRead = 4 << 20;          ///< bytes of one kReadObject
inline constexpr std::size_t kMaxQueryNames = 4096;         ///< names of one kQueryChunks
inline constexpr std::uint32_t kMaxListEntries = 256;
inline constexpr std::size_t kMaxUnsignedBytes = 4 << 20;  ///< frames sent since the last signed one of a stream

using InstanceId = FixedBytes<16, struct InstanceIdTag>;  ///< random, drawn at each start of an agent

struct Hello {
  std::uint32_t min_version = kMinVersion, max_version = kMaxVersion;
  std::string software;
  Purpose purpose = Purpose::kLog;
  InstanceId instance;
};
struct HelloReply {
  std::uint32_t version = 1;
  std::string receiver, software;
  std::uint64_t credit_bytes = 0;
  std::uint32_t heartbeat_seconds = 0;  ///< either side sends something at least this often; three times as long is silence
};

/// What a receiver durably holds of a stream.
struct StreamState {
  StreamId stream;
  Position stored_begin;     ///< where the contiguous range that ends at durable_end begins
  Position durable_end;      ///< zero: nothing
  ObjectId object;           ///< the last frame: its object, number, chain head and join tag
  std::uint32_t frame = 0;
  bool object_finished = false;
  Digest head;
  JoinTag join;
  Generation generation;     ///< of that frame
};
struct DatabaseState {
  Generation highest_generation;
  std::vector<StreamState> streams;  ///< the newest 64
  Digest latest_manifest;            ///< hash of the newest manifest record, zero: none
  std::vector<std::uint32_t> reserved_timelines;
};
struct OpenStream {
  DatabaseName database;
  StreamId stream;
  Generation generation;
};
/// Everything up to this frame of this object is durable at the receiver.
struct Ack {
  ObjectId object;
  std::uint32_t frame = 0;
  Position end;
  Digest head;
};
struct MissingChunks {
  std::vector<ChunkName> names;  ///< the first ones, at most 1024
  std::uint64_t total = 0;
};
struct ListObjects {
  std::string prefix, start_after;
  std::uint32_t limit = kMaxListEntries;
};
struct ObjectList {
  struct Entry {
    std::string name;
    std::uint64_t size = 0;
  };
  std::vector<Entry> objects;
  bool more = false;
};
struct ReadObject {
  std::string name;
  std::uint64_t offset = 0;
  std::uint32_t length = 0;
};
struct ReserveTimeline {
  DatabaseName database;
  std::uint32_t above = 0;  ///< the new number is larger than this
};

// Each body to bytes and back; read functions give kProtocol for anything malformed, out of range or of a wrong size.
Bytes encode(const Hello&);
Result<Hello> read_hello(ByteView body);
Bytes encode(const HelloReply&);
Result<HelloReply> read_hello_reply(ByteView body);
Bytes encode(const Error&);               ///< kFailure; `what` and `hint` are cut to 1 KiB
Error read_failure(ByteView body);        ///< the peer's error, marked "receiver: ..."; an unknown code becomes kProtocol
Bytes encode_database(const DatabaseName&);
Result<DatabaseName> read_database(ByteView body);  ///< kQueryDatabase and kSealRuns
Bytes encode(const DatabaseState&);
Result<DatabaseState> read_database_state(ByteView body);
Bytes encode(const OpenStream&);
Result<OpenStream> read_open_stream(ByteView body);
Bytes encode(const StreamState&);         ///< kStreamOpened
Result<StreamState> read_stream_opened(ByteView body);
Bytes encode(const Ack&);
Result<Ack> read_ack(ByteView body);
Bytes encode_credit(std::uint64_t bytes);
Result<std::uint64_t> read_credit(ByteView body);
Bytes encode_stored(const Digest& id);
Result<Digest> read_stored(ByteView body);
Bytes encode(const MissingChunks&);
Result<MissingChunks> read_missing_chunks(ByteView body);
Bytes encode(const ListObjects&);
Result<ListObjects> read_list_objects(ByteView body);
Bytes encode(const ObjectList&);
Result<ObjectList> read_object_list(ByteView body);
Bytes encode(const ReadObject&);
Result<ReadObject> read_read_object(ByteView body);
Bytes encode(const ReserveTimeline&);
Result<ReserveTimeline> read_reserve_timeline(ByteView body);
Bytes encode_reserved_timeline(std::uint32_t timeline);
Result<std::uint32_t> read_reserved_timeline(ByteView body);
Bytes encode_sealed(std::uint32_t runs);
Result<std::uint32_t> read_sealed(ByteView body);

}  // namespace stele::protocol
