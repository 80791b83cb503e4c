#include <fmt/format.h>

#include "core/config/log.h"
#include "receiver/session/session.h"

namespace stele::receiver {

using net::Task;
using protocol::MessageType;

namespace {

constexpr std::chrono::seconds kHelloDeadline{10};

net::MessageLimits limits_of(const std::vector<protocol::MessageLimit>& list) {
  net::MessageLimits limits;
  for (const protocol::MessageLimit& l : list) limits.allow(static_cast<std::uint8_t>(l.type), l.max_body);
  return limits;
}

Status check_purpose(const net::PeerIdentity& peer, protocol::Purpose purpose) {
  const bool reads = purpose == protocol::Purpose::kRead;
  if (reads ? peer.role == net::Role::kOperator : peer.role == net::Role::kAgent) return {};
  return Error{ErrorCode::kUnauthorised,
               fmt::format("{}: a certificate of this role may not {}", peer.to_string(), reads ? "read" : "write"),
               reads ? "use an operator's certificate" : "use the agent's certificate"};
}

struct Greeted {
  protocol::Hello hello;
};

Task<Result<Greeted>> greet(SessionContext& context, net::MessageStream& stream) {
  STELE_CO_TRY(net::Message first, co_await stream.read(net::deadline_in(kHelloDeadline)));
  if (static_cast<MessageType>(first.type) != MessageType::kHello) co_return Error{ErrorCode::kProtocol, "the first message is not a hello", ""};
  Greeted out;
  STELE_CO_TRY(out.hello, protocol::read_hello(first.body));
  if (out.hello.min_version > protocol::kMaxVersion || out.hello.max_version < protocol::kMinVersion) {
    co_return Error{ErrorCode::kUnsupported,
                    fmt::format("the peer speaks versions {} to {}, this receiver {} to {}", out.hello.min_version, out.hello.max_version,
                                protocol::kMinVersion, protocol::kMaxVersion),
                    "update the older program"};
  }
  STELE_CO_CHECK(check_purpose(stream.peer(), out.hello.purpose));
  protocol::HelloReply reply;
  reply.version = std::min(out.hello.max_version, protocol::kMaxVersion);
  reply.receiver = context.receiver;
  reply.software = "stele-receiver " STELE_VERSION;
  reply.credit_bytes = out.hello.purpose == protocol::Purpose::kLog        ? context.log_credit
                       : out.hello.purpose == protocol::Purpose::kSnapshot ? context.snapshot_credit
                                                                           : 0;
  reply.heartbeat_seconds = context.heartbeat_seconds;
  stream.set_limits(limits_of(protocol::receiver_accepts(out.hello.purpose)));
  STELE_CO_CHECK(stream.post(static_cast<std::uint8_t>(MessageType::kHelloReply), protocol::encode(reply)));
  co_return out;
}

/// Counts a site's connection for as long as it lives.
class SiteSlot {
 public:
  Status enter(SiteState& site) {
    std::lock_guard lock(site.mutex);
    STELE_CHECK(site.quota.may_connect());
    site_ = &site;
    return {};
  }
  ~SiteSlot() {
    if (site_ == nullptr) return;
    std::lock_guard lock(site_->mutex);
    site_->quota.disconnected();
  }

 private:
  SiteState* site_ = nullptr;
};

void log_end(const net::PeerIdentity& peer, const std::string& address, const Error& why) {
  if (why.code == ErrorCode::kClosed || why.code == ErrorCode::kCancelled) {
    log::debug("session ended", {{"peer", peer}, {"address", address}, {"why", why.what}});
  } else {
    log::warning("session ended", {{"peer", peer}, {"address", address}, {"why", why.what}, {"code", error_name(why.code)}});
  }
}

}  // namespace

Task<void> serve_session(SessionContext& context, std::unique_ptr<net::ByteStream> byte_stream) {
  auto activity = std::make_shared<net::Activity>();
  const net::PeerIdentity peer = byte_stream->peer();
  const std::string address = byte_stream->peer_address();
  auto stream = std::make_unique<net::MessageStream>(std::make_unique<net::ActivityStream>(std::move(byte_stream), activity),
                                                     limits_of(protocol::receiver_accepts_first()), std::size_t{4} << 20);
  SiteSlot slot;
  Status admitted;
  if (peer.role == net::Role::kAgent) {
    SiteState* site = context.keeper.site(peer.name);
    admitted = site != nullptr ? slot.enter(*site)
                               : Status(Error{ErrorCode::kUnauthorised, fmt::format("site {}: the receiver does not serve it", peer.name),
                                              "add a [[site]] to receiver.toml"});
  }
  Result<Greeted> greeted = admitted.ok() ? co_await greet(context, *stream) : Result<Greeted>(admitted.error());
  if (!greeted.ok()) {
    context.metrics.refused(greeted.error().code);
    log_end(peer, address, greeted.error());
    (void)stream->post(static_cast<std::uint8_t>(MessageType::kFailure), protocol::encode(greeted.error()));
    co_await stream->shutdown();
    co_return;
  }
  std::shared_ptr<Session> session;
  switch (greeted->hello.purpose) {
    case protocol::Purpose::kLog: session = make_log_session(context, std::move(stream), activity, greeted->hello.instance); break;
    case protocol::Purpose::kSnapshot: session = make_snapshot_session(context, std::move(stream), activity, greeted->hello.instance); break;
    case protocol::Purpose::kRead: session = make_read_session(context, std::move(stream), activity); break;
  }
  context.metrics.connections.add(1);
  const Status why = co_await session->run();
  context.metrics.connections.add(-1);
  const ErrorCode code = why.error().code;
  if (code != ErrorCode::kClosed && code != ErrorCode::kCancelled) context.metrics.refused(code);
  log_end(peer, address, why.error());
}

}  // namespace stele::receiver
