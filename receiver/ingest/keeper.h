#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <variant>

#include "core/io/journal.h"
#include "core/io/journal_writer.h"
#include "core/store/object_store.h"
#include "receiver/ingest/database.h"
#include "receiver/ingest/stream_ingest.h"

namespace stele::receiver {

inline constexpr std::size_t kMaxListBytes = 300 << 10;  ///< a chunk list

struct KeeperOptions {
  std::string receiver;    ///< own name, for facts
  std::string store_root;
  io::JournalOptions journal;
  io::JournalWriter::Options writer;
  SealRules seal;
  std::uint64_t disk_reserve = 0;
  /// For `reindex`: the names, sorted, that the catalog before knew. What of them is missing is told, and every snapshot is checked.
  std::optional<std::vector<std::string>> expected;
  struct Site {
    config::SiteConfig config;
    std::vector<crypto::VerifyKey> authorities;
  };
  std::vector<Site> sites;
};

/// What it works with; all outlive it.
struct KeeperParts {
  io::FileSystem& fs;
  store::ObjectStore& store;
  Catalog& catalog;
  RandomSource& random;
  Clock& clock;
  const crypto::SigningKey& signer;  ///< signs the receiver's own facts
  ReceiverMetrics& metrics;
};

/// Everything a receiver keeps: journal, store, catalog, and what it knows of each database (README.md tells how data passes). No network.
///
/// Thread-safe. Functions that are not marked "never blocks" do disk work: worker threads call them. What was acknowledged is in the
/// journal or in the store; the catalog can be lost.
class Keeper {
 public:
  /// Compares the catalog with the store, loads every database, recovers the journal. Damage is reported and does not stop it.
  static Result<std::unique_ptr<Keeper>> open(KeeperParts parts, KeeperOptions options);
  /// Ends the journal; does not seal.
  ~Keeper();

  /// nullptr when the database is not in the configuration. Never blocks.
  Database* find(const DatabaseName& name);
  std::vector<Database*> databases();
  SiteState* site(const std::string& name);

  // -- Records and streams
  /// Keeps one signed record. Gives its id; kForged, kUnauthorised, kNotFound, kLimit, kDiskFull, ...
  Result<Digest> put_record(Database& database, ByteView bytes);
  protocol::DatabaseState state(Database& database);
  /// Makes `session` the database's writer; an older writer's frames are refused from now on. kSuperseded.
  Result<protocol::StreamState> open_stream(Database& database, const StreamId& stream, Generation generation,
                                            const protocol::InstanceId& instance, std::uint64_t session);
  /// The session ended: nobody writes until the next open_stream. Never blocks.
  void close_stream(Database& database, std::uint64_t session);
  Result<std::uint32_t> reserve_timeline(Database& database, std::uint32_t above);
  /// A signed status message; verified and kept in memory. Never blocks.
  Status put_status(Database& database, ByteView bytes);

  // -- Frames
  /// A judge for one stream of one session.
  StreamIngest make_ingest(Database& database, const StreamId& stream, Generation generation);
  /// Judges one frame. Never blocks.
  Result<IngestVerdict> judge(Database& database, StreamIngest& ingest, format::Frame frame);
  /// Sends accepted frames to the journal; `done` runs exactly once, on the journal's thread, after their fdatasync and registration, or
  /// with the error. kSuperseded: not the writer any more. kLimit: the queue is full, try again soon (`done` is not called). Never blocks.
  Status land(Database& database, std::uint64_t session, const std::vector<format::Frame>& frames, std::function<void(Status)> done);
  /// True while the journal is so full that nobody should send.
  bool under_pressure() const { return journal_->live_bytes() >= journal_->capacity() / 4 * 3; }
  bool journal_failed() const { return journal_->failed(); }
  /// kDiskFull when the reserve of the disk or the site's limit would be touched. Never blocks.
  Status may_store(Database& database, std::uint64_t bytes) const;

  // -- Snapshots
  /// Stores packs behind one barrier; one result for each.
  std::vector<Result<Digest>> put_packs(std::vector<std::pair<Database*, ByteView>> packs);
  Result<Digest> put_list(Database& database, ByteView bytes);
  Result<std::vector<bool>> know_chunks(Database& database, const std::vector<ChunkName>& names);
  /// `instance`: of the agent that sends it. kSuperseded: another agent took over; kGap: the log of [start, stop] is not durable here (yet);
  /// kNotFound: a list is missing.
  Result<std::variant<Digest, protocol::MissingChunks>> commit_snapshot(Database& database, const protocol::InstanceId& instance, ByteView bytes);

  // -- Reading
  /// `site`: "*" or the only site whose objects may be seen. kUnauthorised.
  Result<protocol::ObjectList> list_objects(std::string_view site, const protocol::ListObjects& request);
  Result<Bytes> read_object(std::string_view site, const protocol::ReadObject& request);

  // -- Sealing
  /// Makes runs of what is due. For a background thread, about once a second.
  Status seal_due();
  /// Makes runs of everything acknowledged. Gives how many.
  Result<std::uint32_t> seal_all(Database& database);
  Status seal_everything();
  /// No frame lands from now on; what was queued is written. Before the last seal_everything().
  void stop_landing() { writer_->stop(); }
  /// A finished or large run waits: seal_due() should come soon. Set once, before use; called on any thread, must not block.
  void on_due(std::function<void()> poke) { poke_ = std::move(poke); }

  /// Refreshes free space and gauges. For the same background thread.
  void refresh_gauges();
  std::uint64_t free_bytes() const { return free_bytes_.load(); }
  std::uint64_t damages() const { return damages_.load(); }
  io::Journal& journal() { return *journal_; }

 private:
  struct Found;  // a frame of the journal at start
  /// An object that is missing from the store, or cannot be read there.
  struct Problem {
    std::string object;
    Error error;
    bool missing = false;
  };
  Keeper(KeeperParts parts, KeeperOptions options) : parts_(parts), options_(std::move(options)) {}
  Result<std::vector<Problem>> reconcile();
  Status index_missing(const store::ObjectInfo& object, std::vector<Problem>& problems);
  Status tell(const std::vector<Problem>& problems);
  Status mark_snapshots(Database& database, const std::vector<ChunkName>* lost);
  Status load_records(Database& database, const std::set<std::string>& missing);
  Status load_log(Database& database, const std::set<std::string>& missing);
  Status recover_journal();
  void take_recovered(std::vector<Found> found, std::vector<io::RecordId>& release);
  Database& database_of(const DatabaseName& name);
  /// A fact that this receiver signs, as an object of the database. At start, or with seal_mutex_ held.
  Status put_fact(const DatabaseName& database, format::Fact fact);
  /// Says it everywhere. After success it is durably in the ledger: only then may what it is about be released or forgotten. At start, or
  /// with seal_mutex_ held.
  Status report_damage(const DatabaseName& database, const Error& error, const StreamId& stream, PositionRange range);
  void landed(Database& database, const std::vector<format::Frame>& frames, const std::vector<std::uint32_t>& sizes, Timestamp received,
              const std::vector<io::RecordId>& ids);
  struct SealedRun;
  struct Sealing;
  Status read_run(Database& database, Sealing& sealing);
  Status set_aside(Database& database, Sealing& sealing, const std::vector<format::Frame>& frames, const Error& why);
  Status settle(Database& database, Sealing& sealing, SealedRun& part);
  Status store_runs(Database& database, std::vector<Sealing>& group);
  Status report_lost(Database& database, const Sealing& sealing);
  Status finish(Database& database, std::vector<Sealing>& group, std::uint32_t& count);
  Result<std::uint32_t> seal(Database& database, bool everything);
  void index_again();
  /// The object is durable in the store: the catalog learns it, and the site has more bytes when it did not know it.
  Status index(Database& database, const std::string& name, ByteView bytes);
  Status store_object(Database& database, const std::string& name, ByteView bytes);
  Status may_add_object(Database& database);
  void refresh_database(Database& database);
  void refresh_status(Database& database, Timestamp now);
  Status may_commit(Database& database, const format::SignedRecord& record, const format::ManifestReference& reference,
                    const protocol::InstanceId& instance);
  Status check_chunks(Database& database, const format::ManifestReference& reference, protocol::MissingChunks& missing);

  KeeperParts parts_;
  KeeperOptions options_;
  std::map<std::string, std::unique_ptr<SiteState>> sites_;
  std::mutex databases_mutex_;
  std::map<DatabaseName, std::unique_ptr<Database>> databases_;
  std::map<DatabaseName, bool> configured_;
  std::unique_ptr<io::Journal> journal_;
  std::unique_ptr<io::JournalWriter> writer_;
  std::mutex seal_mutex_;
  std::vector<std::pair<Database*, std::string>> unindexed_;  ///< objects that the catalog could not take; under seal_mutex_
  std::function<void()> poke_;
  std::atomic<std::uint64_t> free_bytes_{0};
  std::atomic<std::uint64_t> damages_{0};
  std::atomic<std::uint64_t> fact_serial_{0};
};

}  // namespace stele::receiver
