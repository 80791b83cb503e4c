#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "core/net/tls.h"
#include "core/protocol/messages.h"
#include "core/store/object_store.h"

namespace stele::client {

/// The store of a running receiver, read with an operator's certificate: the same interface as a store directory. Blocking; runs its
/// own network thread; thread-safe: calls from several threads go over several connections at once.
///
/// A broken line is connected anew within `patience` for each call; after it kTemporary. kUnauthorised, kNotFound, kDamaged
/// and whatever else the receiver answers come back at once.
class RemoteReader final : public store::ObjectReader {
 public:
  struct Options {
    std::string address;   ///< "host:port"
    std::string receiver;  ///< the name that its certificate must carry
    std::shared_ptr<net::TlsContext> tls;
    std::size_t connections = 4;  ///< at most so many at one time
    std::chrono::milliseconds patience{60'000};
    std::string software = "stele " STELE_VERSION;
    const std::atomic<bool>* cancelled = nullptr;  ///< true: every call ends within 100 ms with kCancelled; outlives the reader
  };
  /// Connects once, so that a wrong address or certificate shows here.
  static Result<std::unique_ptr<RemoteReader>> open(Options options);
  ~RemoteReader() override;

  /// Only objects that the certificate may read; "" lists all of those.
  Result<std::vector<store::ObjectInfo>> list(std::string_view prefix) override;
  Result<Bytes> read(std::string_view name, std::uint64_t offset, std::size_t length) override;
  Result<std::uint64_t> size(std::string_view name) override;

  /// Seals what the receiver's journal holds of a database, so that a following list() reaches the last acknowledged byte.
  /// Gives the number of new runs.
  Result<std::uint32_t> seal_runs(const DatabaseName& database);
  /// A timeline number larger than `above` and than any the receiver has seen or given away; durably noted there.
  Result<std::uint32_t> reserve_timeline(const DatabaseName& database, std::uint32_t above);
  /// Appends what an operator may (PROTOCOL.md, step 14): a drill record, or what an authority signed about keys. Gives its id when it is
  /// durable; repeating one is harmless. kUnauthorised for any other record.
  Result<Digest> put_record(ByteView record);
  Result<protocol::DatabaseState> query_database(const DatabaseName& database);
  /// As its certificate says.
  const std::string& receiver() const;

 private:
  struct Impl;
  explicit RemoteReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stele::client
