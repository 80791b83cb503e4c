#pragma once

#include "agent/stream/log_streamer.h"

namespace stele::agent {

constexpr auto kConnectDeadline = std::chrono::seconds(5);
constexpr auto kQueryDeadline = std::chrono::seconds(10);
constexpr auto kSettleDeadline = std::chrono::seconds(10);
constexpr auto kCompareDeadline = std::chrono::seconds(60);  // one WAL segment

/// The branch that is being streamed.
struct LogStreamer::Branch {
  format::BranchRecord record;
  format::SignedRecord signed_record;
  StreamId stream;
  Position begin;                  ///< first position of new frames on this connection
  Position overlap;                ///< where streaming starts
  std::optional<JoinTag> expected; ///< join tag at `begin`
  StreamId expected_of;            ///< as the log of this stream
  std::uint32_t ask_timeline = 0;
  NewEpoch epoch;
  Timestamp epoch_created;
  Instant epoch_begun{};           ///< the same moment, by the clock that nobody sets
  bool has_epoch = false;
};

}  // namespace stele::agent
