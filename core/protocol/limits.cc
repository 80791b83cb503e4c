#include "core/protocol/messages.h"

namespace stele::protocol {

namespace {
// The largest raw bodies; each is also checked against its own format's limit.
constexpr std::uint32_t kMaxManifest = 8 << 20, kMaxRecord = 256 << 10, kMaxFrame = (1 << 20) + (4 << 10), kMaxPack = 20 << 20, kMaxList = 300 << 10;
constexpr std::uint32_t kNames = kMaxQueryNames * 32;
}  // namespace

std::string_view message_name(MessageType type) {
  switch (type) {
    case MessageType::kHello: return "hello";
    case MessageType::kHelloReply: return "hello reply";
    case MessageType::kFailure: return "failure";
    case MessageType::kPing: return "ping";
    case MessageType::kPong: return "pong";
    case MessageType::kPutRecord: return "put record";
    case MessageType::kStored: return "stored";
    case MessageType::kQueryDatabase: return "query database";
    case MessageType::kDatabaseState: return "database state";
    case MessageType::kOpenStream: return "open stream";
    case MessageType::kStreamOpened: return "stream opened";
    case MessageType::kFrame: return "frame";
    case MessageType::kAck: return "acknowledgement";
    case MessageType::kCredit: return "credit";
    case MessageType::kStatus: return "status";
    case MessageType::kQueryChunks: return "query chunks";
    case MessageType::kChunksKnown: return "chunks known";
    case MessageType::kPutPack: return "put pack";
    case MessageType::kPutList: return "put list";
    case MessageType::kCommitSnapshot: return "commit snapshot";
    case MessageType::kMissingChunks: return "missing chunks";
    case MessageType::kListObjects: return "list objects";
    case MessageType::kObjectList: return "object list";
    case MessageType::kReadObject: return "read object";
    case MessageType::kObjectData: return "object data";
    case MessageType::kSealRuns: return "seal runs";
    case MessageType::kSealed: return "sealed";
    case MessageType::kReserveTimeline: return "reserve timeline";
    case MessageType::kReservedTimeline: return "reserved timeline";
  }
  return "unknown";
}

std::vector<MessageLimit> receiver_accepts_first() { return {{MessageType::kHello, kMaxControl}}; }

std::vector<MessageLimit> receiver_accepts(Purpose purpose) {
  using enum MessageType;
  std::vector<MessageLimit> out = {{kPing, 0}, {kPong, 0}, {kFailure, kMaxControl}, {kQueryDatabase, kMaxControl}};
  auto add = [&](std::initializer_list<MessageLimit> more) { out.insert(out.end(), more); };
  switch (purpose) {
    case Purpose::kLog:
      add({{kPutRecord, kMaxRecord}, {kOpenStream, kMaxControl}, {kFrame, kMaxFrame}, {kStatus, kMaxControl}});
      break;
    case Purpose::kSnapshot:
      add({{kPutRecord, kMaxRecord}, {kQueryChunks, kNames}, {kPutPack, kMaxPack}, {kPutList, kMaxList}, {kCommitSnapshot, kMaxManifest}});
      break;
    case Purpose::kRead:
      add({{kListObjects, kMaxControl}, {kReadObject, kMaxControl}, {kSealRuns, kMaxControl}, {kReserveTimeline, kMaxControl}, {kPutRecord, kMaxRecord}});
      break;
  }
  return out;
}

std::vector<MessageLimit> client_accepts(Purpose purpose) {
  using enum MessageType;
  std::vector<MessageLimit> out = {{kHelloReply, kMaxControl}, {kFailure, kMaxControl}, {kPing, 0}, {kPong, 0}, {kDatabaseState, kMaxControl}};
  auto add = [&](std::initializer_list<MessageLimit> more) { out.insert(out.end(), more); };
  switch (purpose) {
    case Purpose::kLog:
      add({{kStored, kMaxControl}, {kStreamOpened, kMaxControl}, {kAck, kMaxControl}, {kCredit, kMaxControl}});
      break;
    case Purpose::kSnapshot:
      add({{kStored, kMaxControl}, {kChunksKnown, kMaxQueryNames / 8}, {kMissingChunks, kMaxControl}, {kCredit, kMaxControl}});
      break;
    case Purpose::kRead:
      add({{kStored, kMaxControl}, {kObjectList, kMaxRead}, {kObjectData, kMaxRead}, {kSealed, kMaxControl}, {kReservedTimeline, kMaxControl}});
      break;
  }
  return out;
}

}  // namespace stele::protocol
