#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/format/branch.h"
#include "core/format/drill_record.h"
#include "core/format/epoch.h"
#include "core/format/fact.h"
#include "core/format/frame.h"
#include "core/format/trust_records.h"

namespace stele::receiver {

/// What a record is to become, when it may be kept.
struct RecordVerdict {
  std::string object_name;  ///< in the store
  bool known = false;       ///< it is held already
  /// An epoch whose recipients are not those of the newest list: kept, but somebody must look. Empty: all is well.
  std::string alarm;
};

/// A drill's record. Its signature is of the key that it names, and an operator of the site brought it: whether that key is a restore
/// host's, the reader must know.
struct HeldDrill {
  Digest id;
  format::DrillRecord record;
  Bytes signer;
};

/// The signed records of one database: who may write it, to whom it is sealed, which branches and epochs there are. Decides what may be
/// added; knows no disk. The owner guards it.
class TrustBook {
 public:
  /// `authorities`: keys that the configuration trusts for the site.
  TrustBook(DatabaseName database, std::vector<crypto::VerifyKey> authorities)
      : database_(std::move(database)), authorities_(std::move(authorities)) {}

  /// May this record be kept? Changes nothing. kForged, kUnauthorised (another database, not the enrolled key, withdrawn), kNotFound
  /// (something it refers to is not held yet), kProtocol for a kind that is not put this way.
  Result<RecordVerdict> judge(const format::SignedRecord& record) const;
  /// It is durable now (or was found in the store). What cannot be read or verified is refused as by judge(), with one exception: a record
  /// of an enrolment that was withdrawn or replaced since is still added.
  Status add(const format::SignedRecord& record);

  /// The key of the enrolment under which this frame was sealed, for a live session.
  Result<const crypto::VerifyKey*> key_for_writing(const format::FrameHeader& frame) const;
  /// The same for what was stored before: withdrawn and replaced enrolments count.
  Result<const crypto::VerifyKey*> key_for_stored(const EpochId& epoch) const;
  /// kNotFound: the epoch is not held; kUnauthorised: it is of another stream, or its enrolment is not held.
  Status check_epoch(const EpochId& epoch, const StreamId& stream) const;
  /// The newest enrolment's key, for manifests, packs and status; kUnauthorised where there is none or it is withdrawn.
  Result<const crypto::VerifyKey*> current_key() const;
  /// kUnauthorised unless this generation may open a stream of the database.
  Status may_open(const StreamId& stream, Generation generation) const;

  const Bytes* epoch_record(const EpochId& epoch) const;  ///< stored bytes, nullptr when not held
  const format::BranchRecord* branch(const StreamId& stream) const;
  std::vector<const format::BranchRecord*> branches() const;
  std::uint32_t highest_timeline() const;
  /// What is wrong with the recipients of the newest epoch, as of now; empty: nothing, or there is no epoch.
  std::string newest_epoch_alarm() const;
  const std::vector<format::Fact>& facts() const { return facts_; }
  /// True when the ledger says the same already, whenever it was told.
  bool holds_fact(const format::Fact& fact) const;
  /// The newest thousand by their end, oldest first. Nothing here depends on them.
  const std::vector<std::shared_ptr<const HeldDrill>>& drills() const { return drills_; }
  std::size_t enrolments() const { return enrolments_.size(); }
  std::size_t withdrawals() const { return withdrawals_.size(); }
  std::size_t epochs() const { return epochs_.size(); }

 private:
  struct Enrolled {
    Digest id;
    format::Enrolment record;
    crypto::VerifyKey key;
    std::optional<format::Withdrawal> withdrawal;
  };
  struct Epoch {
    format::EpochRecord record;
    Bytes bytes;
  };
  Result<RecordVerdict> judge_as(const format::SignedRecord& record, bool stored) const;
  Status check_database(const format::SignedRecord& record, const DatabaseName& named) const;
  Result<const Enrolled*> current() const;
  Result<const Enrolled*> enrolment_for(const Digest& id, const format::SignedRecord& record, bool stored) const;
  void add_drill(const format::SignedRecord& record, format::DrillRecord drill);
  std::string recipients_alarm(const format::EpochRecord& epoch) const;

  DatabaseName database_;
  std::vector<crypto::VerifyKey> authorities_;
  std::map<Digest, Enrolled> enrolments_;
  std::map<Digest, format::Withdrawal> withdrawals_;
  std::map<Digest, format::RecipientList> lists_;
  std::map<StreamId, format::BranchRecord> branches_;
  std::map<EpochId, Epoch> epochs_;
  std::map<Digest, std::string> known_appended_;  ///< facts and resealed keys
  std::vector<format::Fact> facts_;
  std::vector<std::shared_ptr<const HeldDrill>> drills_;
};

}  // namespace stele::receiver
