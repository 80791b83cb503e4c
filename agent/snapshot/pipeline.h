#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "agent/snapshot/chunker.h"
#include "agent/snapshot/names.h"
#include "agent/snapshot/progress.h"
#include "agent/snapshot/target.h"
#include "core/base/random.h"
#include "core/format/chunk_seal.h"

namespace stele::agent {

/// Chunks in, lists out: names, asks the receivers, compresses, seals, packs and sends, on its own threads and in
/// bounded memory.
///
/// One thread (the reader of the server) calls add(), add_table() and finish(). A chunk that several receivers lack is
/// sealed once; a receiver gets the packs whose chunks it lacks. A receiver that fails is left out as long as `quorum`
/// others remain.
class SnapshotPipeline {
 public:
  struct Options {
    format::PackSealer::Options seal;  ///< suite, stream, generation, epoch, level
    std::size_t workers = 1;           ///< threads that compress and seal; as many name chunks
    std::uint64_t memory_bytes = 128 << 20;
    std::size_t pack_bytes = 8 << 20;  ///< sealed bytes of a pack, at most; smaller while the line is slow
    bool full = false;                 ///< the receivers are not asked: everything is sent
    std::set<ChunkName> distrusted;    ///< sent whatever the receivers say
    std::size_t quorum = 1;
  };
  /// What it was given: keys and targets outlive it.
  SnapshotPipeline(Options options, const format::EpochSecrets& secrets, const crypto::SigningKey& signing,
                   std::vector<SnapshotTarget*> targets, RandomSource& random, SnapshotProgress& progress);
  /// Gives up what is under way.
  ~SnapshotPipeline();

  /// The next chunk of the files. Waits while memory is full: that is the back-pressure on the server.
  Status add(RawChunk chunk);
  /// The next chunk of the file table; its name comes behind those of all files.
  Status add_table(Bytes bytes);

  struct Outcome {
    std::vector<Digest> lists;
    std::uint64_t chunk_count = 0;
    std::uint64_t table_first = 0;          ///< number of the file table's first chunk
    std::vector<SuspectPage> suspects;      ///< at most kMaxSuspects
    std::uint64_t more_suspects = 0;        ///< beyond them
    std::vector<SnapshotTarget*> complete;  ///< receivers that hold everything, at least `quorum`
    std::vector<std::pair<std::string, Error>> left_out;
  };
  /// No more chunks: waits until everything is durable at the receivers.
  Result<Outcome> finish();
  /// Ends everything soon with this error. Any thread.
  void abort(const Error& why);

  static constexpr std::size_t kMaxSuspects = 65'536;

 private:
  using Mask = std::uint64_t;  ///< one bit for each target
  struct Item {
    std::uint64_t index = 0;
    bool table = false;
    RawChunk chunk;
    ChunkName name;
    Mask lacking = 0;
    std::size_t charged = 0;
  };
  struct Building;
  struct Lane {  ///< one target
    SnapshotTarget* target = nullptr;
    std::deque<std::shared_ptr<const OutgoingObject>> queue;
    std::optional<Error> failure;
  };

  Status put_in(Item item);
  void name_loop();
  void seal_loop();
  void send_loop(std::size_t lane);
  Status name_batch(std::vector<Item>& batch, format::ChunkNamer& namer);
  Status look_up(std::vector<Item>& batch);
  Status seal(Item& item, std::map<Mask, std::unique_ptr<Building>>& building, std::size_t& building_bytes);
  Status flush(Mask lacking, Building& building, std::size_t& building_bytes);
  Status submit(OutgoingObject object, Mask targets);
  void target_failed(std::size_t lane, const Error& error);
  void release_raw(std::size_t bytes);
  void release_sealed(std::size_t bytes);
  void note_buffered(std::int64_t change);
  void note_speed(std::size_t bytes, Duration took);
  Status status_locked() const;
  Mask live_locked() const;
  void join(std::vector<std::thread>& threads);

  const Options options_;
  const format::EpochSecrets& secrets_;
  const crypto::SigningKey& signing_;
  RandomSource& random_;
  SnapshotProgress& progress_;
  std::size_t workers_, batch_bytes_, max_pack_;
  std::uint64_t raw_limit_, sealed_limit_;
  std::atomic<std::size_t> pack_target_;

  mutable std::mutex mutex_;
  std::condition_variable room_, named_work_, seal_work_, send_work_;
  std::optional<Error> failure_;
  std::vector<Lane> lanes_;
  std::deque<Item> to_name_, to_seal_;
  bool no_more_raw_ = false, no_more_named_ = false, no_more_sealed_ = false;
  std::uint64_t raw_bytes_ = 0, sealed_bytes_ = 0;
  std::uint64_t next_index_ = 0;
  NameOrder order_;
  std::vector<ChunkName> table_names_;
  RecentNames recent_;
  std::vector<Digest> lists_;
  std::vector<SuspectPage> suspects_;
  std::uint64_t more_suspects_ = 0;

  std::vector<std::thread> namers_, sealers_, senders_;
};

}  // namespace stele::agent
