#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/crypto/key_file.h"
#include "core/format/chunk_seal.h"
#include "core/format/epoch.h"
#include "core/format/branch.h"
#include "core/format/fact.h"
#include "core/format/log_object.h"
#include "core/format/manifest.h"
#include "core/store/local_store.h"
#include "tests/support/seeded_random.h"

namespace stele::test {

/// A file for a snapshot.
struct SnapshotFile {
  format::FileEntry entry;  ///< size and chunks are filled
  Bytes bytes;
};
SnapshotFile plain_file(std::string path, Bytes bytes, std::uint32_t tablespace = 0);
SnapshotFile directory_entry(std::string path, std::uint32_t tablespace = 0);

/// What a snapshot is made of.
struct SnapshotSpec {
  StreamId stream;
  Position start, stop;
  Timestamp finished;
  std::uint64_t system_identifier = 0;
  std::uint32_t server_version = 150020;
  std::string backup_label = "START WAL LOCATION: 0/1000028 (file 000000010000000000000001)\n";
  std::vector<SnapshotFile> files;
  std::vector<format::TablespaceEntry> tablespaces;
  std::vector<format::NamedText> texts;
  std::uint32_t damaged_pages = 0;
  bool put_packs = true;  ///< false: a snapshot whose chunks are lost
};

/// Makes a small honest store in a directory, as agents and a receiver would, without either: keys, enrolment, epoch, branches, runs,
/// packs, manifests, and frames that are only in the journal. Everything fails the test by an exception (std::runtime_error) with the
/// reason. Repeatable from its seed.
class StoreBuilder {
 public:
  StoreBuilder(std::string root, std::uint64_t seed = 1, DatabaseName database = {"440000", "registry"});

  /// Enrolment, recipient list. Called by the constructor; again for another agent key.
  void enrol();
  /// A branch with its first epoch.
  StreamId branch(std::uint32_t timeline, std::uint64_t lineage, std::uint64_t segment_size, std::optional<StreamId> parent = {}, Position fork = {});
  /// One object with the bytes from `begin` on, in runs of `frames_per_run` frames of 64 KiB (0: one run). Commit times are given for the
  /// whole object. `in_journal`: the last run's frames go to the journal instead.
  ObjectId log(const StreamId& stream, Position begin, ByteView bytes, Timestamp min_commit, Timestamp max_commit, Timestamp server_time,
               std::size_t frames_per_run = 0, bool in_journal = false);
  SnapshotId snapshot(SnapshotSpec spec);
  void fact(const StreamId& stream, format::FactKind kind, Position begin, Position end, std::uint64_t value = 0);
  void withdraw(const StreamId& stream, Position not_after);

  /// Writes restore.toml and the recovery key file (without a passphrase: kind drill) beside the store, and gives the configuration's path.
  std::string write_config(const std::string& directory, const std::string& bin_directory = "");

  const std::string& root() const { return root_; }
  const DatabaseName& database() const { return database_; }
  store::LocalStore& store() { return *store_; }
  /// The path of an object's file.
  std::string file_of(const std::string& name) const { return root_ + "/objects/" + name; }
  std::vector<std::string> names(const std::string& folder);
  const crypto::VerifyKey& authority_key() const { return authority_.verify_key(); }
  crypto::RecoveryKey recovery_key();

  SeededRandom random;
  /// What the next records are signed with; replace them to forge.
  crypto::SigningKey authority_, agent_;

 private:
  struct Epoch {
    EpochId id;
    Bytes record;
    format::EpochSecrets secrets;
  };
  void put(const std::string& name, ByteView bytes);
  Epoch& epoch_of(const StreamId& stream) { return epochs_.at(stream); }

  std::string root_;
  DatabaseName database_;
  io::PosixFileSystem fs_;
  std::unique_ptr<store::LocalStore> store_;
  crypto::RecipientKeyPair recipient_;
  crypto::SecretBytes chunk_name_key_, join_key_;
  Digest enrolment_, recipient_list_id_, last_manifest_;
  format::RecipientList recipients_;
  Generation generation_{1};
  std::map<StreamId, format::BranchRecord> branches_;
  std::map<StreamId, Epoch> epochs_;
  std::map<StreamId, std::unique_ptr<format::JoinTagger>> taggers_;
  std::uint64_t facts_ = 0;
};

}  // namespace stele::test
