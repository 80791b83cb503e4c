#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/client/remote_reader.h"
#include "core/config/cli.h"
#include "core/config/restore_config.h"
#include "core/io/file_system.h"
#include "core/recovery/plan.h"
#include "restore/catalog/store_catalog.h"
#include "restore/trust/key_files.h"

namespace CLI {
class App;
}

namespace stele::restore {

inline constexpr std::string_view kProgram = "stele-restore";

/// Options of every command that reads a store.
struct StoreOptions {
  std::string database;  ///< SITE/DATABASE; empty: the only one
  int passphrase_fd = -1;
  bool accept_older = false;
};
void add_store_options(CLI::App& command, StoreOptions& options);

/// What a command works on: configuration, store and keys. One thread opens it; readers are thread-safe afterwards.
class Context {
 public:
  /// `cancelled` (optional, outlives it): true ends whatever waits for a receiver soon, with kCancelled.
  static Result<std::unique_ptr<Context>> open(const cli::Common& common, const StoreOptions& options, const std::atomic<bool>* cancelled = nullptr);

  const config::RestoreConfig& config() const { return config_; }
  store::ObjectReader& objects() { return *objects_; }
  const std::string& journal_directory() const { return journal_directory_; }
  const std::vector<crypto::VerifyKey>& authorities() const { return authorities_; }
  io::FileSystem& fs() { return fs_; }
  Clock& clock() { return clock_; }
  KeyRing& keys() { return keys_; }
  PassphraseSource& passphrases() { return passphrases_; }
  std::size_t workers() const;
  /// Opens the configured key files; `ask` false: only those without a passphrase (or whose passphrase comes from a descriptor).
  Status load_keys(bool ask);

  /// The databases of the store.
  Result<std::vector<DatabaseName>> databases();
  /// The one that the options name, or the only one; kUsage when there are several.
  Result<DatabaseName> database();
  /// Loads a database, with the receivers' journals sealed first. A receiver that did not answer or could not seal is a problem of the catalog
  /// that `hides_newer`.
  Result<std::unique_ptr<StoreCatalog>> load(const DatabaseName& database);
  /// kTemporary when a configured receiver is not open.
  Status check_all_answer() const;
  /// Appends records that an authority signed, by their names, to every configured receiver (all of them must answer) or to the store directory
  /// (which no receiver may be using: kTemporary). A receiver that does not hold what a record is about (kNotFound) needs none of it. Stops at
  /// the first that is refused; repeating is harmless.
  Status append(const std::vector<std::pair<std::string, Bytes>>& records);
  /// The next timeline number at every receiver (reserved there durably) or from what the store knows: numbers that must look taken.
  Result<std::vector<std::uint32_t>> reserve_timeline(const StoreCatalog& catalog, const recovery::Plan& plan);

  /// Appends a drill record at every receiver of the configuration; gives the names of those that have it. kUsage for a store directory,
  /// which is only read; else the last error when none has it.
  Result<std::vector<std::string>> append_record(ByteView record);

  /// The newest ends seen here before (TRUST.md section 3): kGap naming what is missing when this store ends earlier, unless it is accepted.
  Status check_known_heads(const StoreCatalog& catalog);

 private:
  Context() = default;
  /// Opens the receivers that are not open; the last error when none is.
  Status connect();
  config::RestoreConfig config_;
  StoreOptions options_;
  const std::atomic<bool>* cancelled_ = nullptr;
  io::PosixFileSystem fs_;
  SystemClock clock_;
  std::shared_ptr<net::TlsContext> tls_;
  std::vector<std::unique_ptr<client::RemoteReader>> receivers_;
  std::vector<Problem> away_;  ///< receivers that did not answer when they were asked last
  Instant connected_;          ///< when that was
  std::unique_ptr<store::ObjectReader> objects_;
  UnionReader* union_ = nullptr;  ///< objects_, of receivers
  std::string journal_directory_;
  std::vector<crypto::VerifyKey> authorities_;
  PassphraseSource passphrases_;
  KeyRing keys_;
};

/// A progress line that several threads may move.
class SharedProgress {
 public:
  SharedProgress(std::string label, std::uint64_t total, Clock& clock, bool json) : progress_(std::move(label), total, clock, json) {}
  void operator()(std::uint64_t done) {
    std::lock_guard lock(mutex_);
    if (done > done_) progress_.update(done_ = done);
  }

 private:
  std::mutex mutex_;
  std::uint64_t done_ = 0;
  cli::Progress progress_;
};

}  // namespace stele::restore
