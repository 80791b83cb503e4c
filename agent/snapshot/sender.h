#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <span>

#include "agent/snapshot/context.h"
#include "agent/snapshot/progress.h"
#include "agent/snapshot/target.h"
#include "core/client/receiver_connection.h"

namespace stele::agent {

/// One receiver over its own connection, paced. After a broken line it connects again and goes on; what arrived is not
/// sent again. When nothing succeeded for `patience` it gives up with kTemporary. What a retry cannot mend (not
/// authorised, superseded, refused bytes, a limit) comes back at once. Thread-safe; the calls block, so never call them
/// on the network's threads.
class SnapshotSender final : public SnapshotTarget {
 public:
  struct Timing {
    Duration patience = std::chrono::minutes(5);
    Duration connect_patience = std::chrono::minutes(5);  ///< before the first connection
    Duration first_pause = std::chrono::milliseconds(200);
    Duration longest_pause = std::chrono::seconds(10);
    Duration request = std::chrono::seconds(60);   ///< answers that need no bulk bytes
    Duration transfer = std::chrono::minutes(15);  ///< a pack: credit, line and disk together
  };
  /// Makes the stream to the receiver; tests give their own.
  using Connect = std::function<net::Task<Result<std::unique_ptr<net::ByteStream>>>()>;

  /// `context` outlives it.
  SnapshotSender(const SnapshotContext& context, SnapshotReceiver receiver, Timing timing, SnapshotProgress& progress,
                 Connect connect = {});
  ~SnapshotSender() override;

  /// The receiver is not believed about chunks (a full snapshot, or it lacked some at a commit): after a broken line everything that was
  /// not answered is sent again. Before the first put().
  void distrust() { distrusted_ = true; }
  /// Connects and introduces the agent; gives what the receiver holds of the database.
  Result<protocol::DatabaseState> database_state();

  const std::string& name() const override { return receiver_.name; }
  Result<std::vector<bool>> known(const std::vector<ChunkName>& names) override;
  Status put(const OutgoingObject& object) override;
  /// The manifest. Nothing: committed. Else what the receiver lacks. kGap: its log does not reach the snapshot's stop
  /// yet.
  Result<std::optional<protocol::MissingChunks>> commit(const Bytes& manifest);
  void stop() override;

 private:
  using Connection = std::shared_ptr<client::ReceiverConnection>;
  Result<Connection> connection();
  net::Task<Result<Connection>> open();
  net::Task<Status> introduce(Connection connection);
  Result<std::vector<bool>> ask(const Connection& connection, std::span<const ChunkName> names);
  template <typename T>
  Result<T> run(net::Task<Result<T>> task);
  void set_pending(Connection connection);
  enum class OnLimit { kFail, kWait };  ///< a limit that passes with time is waited for
  template <typename Call>
  auto with_retries(OnLimit on_limit, Call call) -> decltype(call(std::declval<Connection>(), 0));
  void drop(const Connection& broken);

  const SnapshotContext& context_;
  const SnapshotReceiver receiver_;
  const Timing timing_;
  SnapshotProgress& progress_;
  Connect connect_;

  std::mutex connecting_;  ///< held while a connection is made
  std::mutex mutex_;
  std::condition_variable wake_;
  Connection connection_;
  protocol::DatabaseState state_;
  std::optional<Instant> failing_since_;
  Connection pending_;  ///< being introduced
  bool connected_before_ = false;
  bool distrusted_ = false;
  std::atomic<bool> stopped_{false};
};

}  // namespace stele::agent
