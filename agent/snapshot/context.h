#pragma once

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <string>
#include <vector>

#include "agent/postgres/address.h"
#include "agent/snapshot/bandwidth.h"
#include "agent/snapshot/page_images.h"
#include "core/base/random.h"
#include "core/crypto/sign.h"
#include "core/format/epoch.h"
#include "core/net/tls.h"
#include "core/protocol/messages.h"

namespace stele::agent {

struct SnapshotReceiver {
  std::string name;     ///< in its certificate
  std::string address;  ///< "host:port"
};

/// Everything that one try of a snapshot needs and that may differ at the next one: the agent gives it when a try
/// begins.
struct SnapshotContext {
  DatabaseName database;
  StreamId stream;
  std::uint64_t system_identifier = 0;
  std::uint32_t timeline = 0;
  Position log_begin;  ///< where the stream's log begins; a snapshot that starts earlier could never be restored. Zero:
                       ///< not known
  Generation generation;
  EpochId epoch;
  std::shared_ptr<const format::EpochSecrets> secrets;  ///< of that epoch; data and chunk_name are used
  Bytes enrolment, recipients, branch, epoch_record;    ///< signed records as stored
  std::shared_ptr<const crypto::SigningKey> signing;
  protocol::InstanceId instance;

  ServerAddress server;  ///< the primary, or the standby named for snapshots
  bool is_standby = false;

  std::vector<SnapshotReceiver> receivers;
  std::size_t quorum = 1;  ///< receivers that must commit the snapshot for it to count
  std::shared_ptr<net::TlsContext> tls;
  std::shared_ptr<net::SessionRegistry> sessions;
  boost::asio::any_io_executor pool;  ///< where the network runs; never blocked by the snapshot

  std::shared_ptr<SharedBandwidth> bandwidth;
  std::shared_ptr<PageImages> page_images;  ///< fed by the log thread; null: no suspect page can be cleared
};

}  // namespace stele::agent
