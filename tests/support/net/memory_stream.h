#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <utility>

#include "core/net/byte_stream.h"

namespace stele::test {

/// How one direction of a memory pair behaves.
struct MemoryPipeOptions {
  std::uint64_t cut_after = UINT64_MAX;   ///< the line is cut once so many bytes were carried
  std::size_t max_read = SIZE_MAX;        ///< a read gives at most so many bytes; 1 = one byte at a time
  std::size_t capacity = 1 << 20;         ///< a writer waits while so many bytes are unread
};

/// Two connected streams without a network. Both live on `executor`; use it single-threaded or as a strand.
/// first.peer() is `peer_of_first`, and the other way round.
std::pair<std::unique_ptr<net::ByteStream>, std::unique_ptr<net::ByteStream>> memory_stream_pair(
    boost::asio::any_io_executor executor, net::PeerIdentity peer_of_first, net::PeerIdentity peer_of_second,
    MemoryPipeOptions first_to_second = {}, MemoryPipeOptions second_to_first = {});

}  // namespace stele::test
