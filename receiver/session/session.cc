#include "receiver/session/session.h"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/config/log.h"
#include "core/format/drill_record.h"

namespace stele::receiver {

namespace asio = boost::asio;
using net::Task;
using protocol::MessageType;

Session::Session(SessionContext& context, std::unique_ptr<net::MessageStream> stream, std::shared_ptr<net::Activity> activity)
    : context_(context), stream_(std::move(stream)), activity_(std::move(activity)), beat_(stream_->executor()), pause_(stream_->executor()) {}

Task<Status> Session::run() {
  auto self = shared_from_this();
  asio::co_spawn(stream_->executor(), heartbeat(), [self](std::exception_ptr e) {
    if (e) self->end_with(Error{ErrorCode::kInternal, "heartbeat: an exception left it", ""});
  });
  const auto silence = std::chrono::seconds(3) * context_.heartbeat_seconds;
  Status why;
  while (why.ok()) {
    Result<net::Message> message = co_await stream_->read(activity_->received + silence);
    if (!message.ok()) {
      if (message.error().code == ErrorCode::kTimeout && std::chrono::steady_clock::now() < activity_->received + silence) continue;
      why = message.error();
      break;
    }
    switch (static_cast<MessageType>(message->type)) {
      case MessageType::kPing: why = stream_->post(static_cast<std::uint8_t>(MessageType::kPong), {}); break;
      case MessageType::kPong: break;
      case MessageType::kFailure: why = protocol::read_failure(message->body).in("the peer ends the session"); break;
      default: why = co_await handle(std::move(*message)); break;
    }
    if (told_) why = *told_;
  }
  over_ = true;
  beat_.cancel();
  ended();
  const ErrorCode code = why.error().code;
  if (!told_ && code != ErrorCode::kClosed && code != ErrorCode::kCancelled) {
    (void)stream_->post(static_cast<std::uint8_t>(MessageType::kFailure), protocol::encode(why.error()));
  }
  co_await stream_->shutdown();
  co_return why;
}

void Session::end_with(const Error& why) {
  asio::post(stream_->executor(), [self = shared_from_this(), why] {
    if (self->over_ || self->told_) return;
    self->told_ = why;
    self->give_up();
    (void)self->stream_->post(static_cast<std::uint8_t>(MessageType::kFailure), protocol::encode(why));
    asio::co_spawn(self->stream_->executor(), self->stream_->shutdown(), [self](std::exception_ptr) {});
  });
}

void Session::give_up() {
  given_up_ = true;
  pause_.cancel();
}

Task<void> Session::heartbeat() {
  auto self = shared_from_this();
  const auto beat = std::chrono::seconds(context_.heartbeat_seconds);
  while (!over_) {
    beat_.expires_after(beat / 2);
    (void)co_await beat_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (over_) break;
    if (std::chrono::steady_clock::now() - activity_->sent < beat / 2 || stream_->queued_bytes() != 0) continue;
    // A line that is closed shows in the reader too, but a session that waits within handle() does not read.
    if (!stream_->post(static_cast<std::uint8_t>(MessageType::kPing), {}).ok()) give_up();
  }
}

std::shared_ptr<Session::Slot> Session::reserve_slot() {
  slots_.push_back(std::make_shared<Slot>());
  return slots_.back();
}

void Session::fill(const std::shared_ptr<Slot>& slot, MessageType type, Bytes body) {
  slot->done = true;
  slot->type = type;
  slot->body = std::move(body);
  flush_slots();
}

void Session::fill(const std::shared_ptr<Slot>& slot, const Error& failure) {
  context_.metrics.refused(failure.code);
  fill(slot, MessageType::kFailure, protocol::encode(failure));
}

void Session::flush_slots() {
  while (!slots_.empty() && slots_.front()->done) {
    if (Status sent = post(slots_.front()->type, std::move(slots_.front()->body)); !sent.ok()) end_with(sent.error());
    slots_.pop_front();
  }
}

Status Session::post(MessageType type, Bytes body) { return stream_->post(static_cast<std::uint8_t>(type), std::move(body)); }

Status Session::take_credit(std::uint64_t bytes, std::uint64_t window) {
  credit_out_ += bytes;
  // One message larger than the whole window may come when nothing else is under way.
  if (credit_out_ <= window || credit_out_ == bytes) return {};
  return Error{ErrorCode::kProtocol, fmt::format("{} bytes were sent without credit", credit_out_ - window), ""};
}

void Session::give_credit(std::uint64_t bytes, std::uint64_t window, std::uint64_t largest) {
  credit_back_ += bytes;
  // One message for many, as long as what is held back keeps no permitted message waiting.
  const bool may_hold = window / 8 + largest <= window;
  if (credit_back_ < window / 8 && (may_hold || credit_back_ != credit_out_)) return;
  credit_out_ -= std::min(credit_out_, credit_back_);
  if (Status sent = post(MessageType::kCredit, protocol::encode_credit(credit_back_)); !sent.ok()) end_with(sent.error());
  credit_back_ = 0;
}

Task<void> Session::pause(std::chrono::nanoseconds how_long) {
  if (over()) co_return;
  pause_.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(how_long));
  (void)co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
}

Task<void> Session::pace(SiteState& site, std::uint64_t bytes) {
  std::chrono::nanoseconds delay;
  {
    std::lock_guard lock(site.mutex);
    delay = site.quota.take_bytes(bytes, context_.clock.steady_now());
  }
  if (delay.count() > 0) co_await pause(delay);
}

Result<Digest> Session::put_agent_record(Database& database, ByteView bytes) {
  STELE_TRY(const format::SignedRecord record, format::parse_record(bytes));
  if (record.kind == format::RecordKind::kDrill) return Error{ErrorCode::kUnauthorised, "a drill record from an agent", "only an operator's certificate appends those"};
  return context_.keeper.put_record(database, bytes);
}

Result<Database*> Session::own_database(const DatabaseName& name) {
  const net::PeerIdentity& peer = stream_->peer();
  if (peer.role == net::Role::kAgent ? peer.name != name.site : !peer.may_read_site(name.site)) {
    return Error{ErrorCode::kUnauthorised, fmt::format("{}: the certificate {} is not for this site", name.to_string(), peer.to_string()), ""};
  }
  Database* database = context_.keeper.find(name);
  if (database == nullptr) {
    return Error{ErrorCode::kUnauthorised, fmt::format("{}: the receiver does not serve this database", name.to_string()),
                 "add it to [[site]] databases in receiver.toml"};
  }
  return database;
}

}  // namespace stele::receiver
