#pragma once

#include <memory>

#include "core/format/manifest.h"
#include "core/format/run.h"
#include "core/io/file_system.h"
#include "core/recovery/facts.h"
#include "restore/catalog/overlay_reader.h"
#include "restore/trust/trust_store.h"

namespace stele::restore {

/// One database as a store holds it: facts for planning, and what is needed to read the objects behind them. Only what the authority
/// stands behind becomes a fact; everything else is a problem. Headers of runs are claims until the frames are read (LogReader compares).
/// Immutable after load; any thread may read.
class StoreCatalog {
 public:
  struct Options {
    std::vector<crypto::VerifyKey> authorities;
    std::size_t workers = 2;
    io::FileSystem* fs = nullptr;   ///< with `journal_directory`: frames behind the last sealed run are read from there
    std::string journal_directory;  ///< empty: none (a bucket, a receiver that has sealed)
  };
  /// `objects` must outlive the catalog. kNotFound when the store has nothing of this database; kForged when nothing of it is signed by
  /// an authority.
  static Result<std::unique_ptr<StoreCatalog>> load(store::ObjectReader& objects, const DatabaseName& database, Options options);

  const DatabaseName& database() const { return facts_.database; }
  const recovery::Facts& facts() const { return facts_; }
  const TrustStore& trust() const { return trust_; }
  const std::vector<Problem>& problems() const { return problems_; }
  /// What whoever opened the store knows besides. Before the catalog is shared.
  void add_problems(const std::vector<Problem>& more) { problems_.insert(problems_.end(), more.begin(), more.end()); }
  /// The store and the journal's frames as runs.
  store::ObjectReader& objects() const { return *objects_; }

  /// What a run's head says; index as in facts().runs. Verified against its name and the trust store.
  const format::RunHead& run_head(std::size_t run) const { return run_heads_[run]; }
  const EnrolledAgent& run_signer(std::size_t run) const { return *run_signers_[run]; }
  /// Verified; null for an unknown one.
  const format::EpochRecord* epoch(const EpochId& id) const;
  /// The manifest of a snapshot of facts().snapshots, verified.
  const format::Manifest& manifest(const SnapshotId& id) const { return manifests_.at(id); }
  const format::BranchRecord* branch(const StreamId& stream) const { return trust_.branch(stream); }
  const EnrolledAgent* branch_signer(const StreamId& stream) const;

 private:
  explicit StoreCatalog(TrustStore trust) : trust_(std::move(trust)) {}
  Status read_runs(const std::vector<store::ObjectInfo>& runs, std::size_t workers);
  Status read_manifests();
  Status read_ledger();
  Result<const EnrolledAgent*> check_run(const format::RunHead& head, const std::string& name);
  Status problem(const std::string& object, const Error& error);

  TrustStore trust_;
  recovery::Facts facts_;
  std::vector<Problem> problems_;
  std::unique_ptr<OverlayReader> objects_;
  std::vector<format::RunHead> run_heads_;
  std::vector<const EnrolledAgent*> run_signers_;
  std::map<EpochId, format::EpochRecord> copied_epochs_;  ///< found only inside runs
  std::map<SnapshotId, format::Manifest> manifests_;
};

/// Databases that have objects in the store or frames in the journal (empty: none), sorted.
Result<std::vector<DatabaseName>> find_databases(store::ObjectReader& objects, io::FileSystem* fs, const std::string& journal_directory);

}  // namespace stele::restore
