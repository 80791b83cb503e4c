#pragma once

#include <memory>

#include "agent/snapshot/bandwidth.h"
#include "core/net/byte_stream.h"

namespace stele::agent {

/// A stream that writes in slices, each when the bandwidth allows it: so a pack of 8 MiB never stands as a whole
/// between the change log and the line. Everything else is the inner stream's.
std::unique_ptr<net::ByteStream> make_paced_stream(std::unique_ptr<net::ByteStream> inner,
                                                   std::shared_ptr<SharedBandwidth> bandwidth);

}  // namespace stele::agent
