#include "agent/stream/receiver_claims.h"

#include <algorithm>

namespace stele::agent {

void ReceiverClaims::begin_stream(const StreamId& stream) {
  stream_ = stream;
  known_end_ = {};
  inherited_ = false;
}

void ReceiverClaims::continue_stream(const StreamId& stream, Position known_end) {
  if (stream == stream_) return;
  stream_ = stream;
  known_end_ = known_end;
  inherited_ = true;
}

void ReceiverClaims::tell(const std::string& receiver, const HeldLog& held) {
  Told& told = told_[held.stream][receiver];
  if (told.held != held) told.state = State::kOpen;
  told.held = held;
  told.superseded = false;
}

void ReceiverClaims::supersede(const std::string& receiver, const StreamId& stream) {
  auto found = told_.find(stream);
  if (found == told_.end()) return;
  if (auto told = found->second.find(receiver); told != found->second.end()) told->second.superseded = true;
}

std::vector<ReceiverClaims::Claim> ReceiverClaims::open() const {
  std::vector<Claim> out;
  auto found = told_.find(stream_);
  if (!inherited_ || found == told_.end()) return out;
  for (const auto& [receiver, told] : found->second) {
    if (told.state == State::kOpen && !told.superseded && told.held.end > known_end_ && told.held.join) out.push_back({receiver, told.held});
  }
  return out;
}

void ReceiverClaims::confirm(const Claim& claim) { settle(claim, State::kConfirmed); }
void ReceiverClaims::set_aside(const Claim& claim) { settle(claim, State::kSetAside); }

void ReceiverClaims::settle(const Claim& claim, State state) {
  auto& told = told_[claim.held.stream];
  if (auto found = told.find(claim.receiver); found != told.end() && found->second.held == claim.held) found->second.state = state;
}

std::optional<Position> ReceiverClaims::counted(const std::string& receiver) const {
  auto found = told_.find(stream_);
  if (found == told_.end()) return std::nullopt;
  auto entry = found->second.find(receiver);
  if (entry == found->second.end() || entry->second.superseded) return std::nullopt;
  const Told& told = entry->second;
  return told.state == State::kConfirmed ? told.held.end : std::min(told.held.end, known_end_);
}

std::vector<std::string> ReceiverClaims::receivers() const {
  std::vector<std::string> out;
  if (auto found = told_.find(stream_); found != told_.end()) {
    for (const auto& [receiver, told] : found->second) {
      if (!told.superseded) out.push_back(receiver);
    }
  }
  return out;
}

}  // namespace stele::agent
