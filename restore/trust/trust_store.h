#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/format/branch.h"
#include "core/format/epoch.h"
#include "core/format/fact.h"
#include "core/format/trust_records.h"
#include "core/store/object_store.h"

namespace stele::restore {

/// Something in a store that does not count, with the reason. Never dropped silently: every command shows them.
struct Problem {
  std::string object;  ///< its name in the store, or the receiver's
  Error error;
  bool hides_newer = false;  ///< not about what is here: log behind all of it may exist, which nobody gave
};

/// An agent that the authority enrolled for this database.
struct EnrolledAgent {
  Digest id;  ///< of the enrolment record
  format::Enrolment enrolment;
  crypto::VerifyKey key;
  std::vector<format::Withdrawal> withdrawals;
};

/// Who may be believed about one database: authority -> enrolment -> branch and epoch records (TRUST.md section 1). What a store or a
/// receiver says about itself counts for nothing. Immutable after load; any thread.
class TrustStore {
 public:
  /// Reads enrolments, withdrawals, recipient lists, branches and epochs. What no given authority stands behind goes to `problems`.
  /// kConfig without an authority; errors of the reader. Finding nothing trustworthy is no error here: see `require_any`.
  static Result<TrustStore> load(store::ObjectReader& objects, const DatabaseName& database, const std::vector<crypto::VerifyKey>& authorities,
                                 std::vector<Problem>& problems);

  /// kForged when the database has records but none that an authority stands behind.
  Status require_any() const;

  const EnrolledAgent* agent(const Digest& enrolment) const;
  const std::map<StreamId, format::BranchRecord>& branches() const { return branches_; }
  const format::BranchRecord* branch(const StreamId& stream) const;
  /// With the boxes of resealed keys behind their own.
  const std::map<EpochId, format::EpochRecord>& epochs() const { return epochs_; }
  const format::EpochRecord* epoch(const EpochId& id) const;
  const std::vector<format::RecipientList>& recipient_lists() const { return recipient_lists_; }

  /// An epoch record found as a copy inside another object, with the boxes of resealed keys. kForged unless its bytes are what `id` says and an
  /// enrolled key signed them.
  Result<format::EpochRecord> verify_copied_epoch(ByteView record, const EpochId& id) const;

  /// The key that must have signed bytes of this stream, generation and epoch that end at `end`. kForged: no such key, a generation below the
  /// enrolment's, an epoch of another stream, or a withdrawal.
  Result<const EnrolledAgent*> signer(const StreamId& stream, Generation generation, const format::EpochRecord& epoch, Position end) const;
  /// True when an enrolled agent of this database signed the record.
  bool signed_by_agent(const format::SignedRecord& record) const;

 private:
  Result<format::EpochRecord> verify_epoch(ByteView record, const EpochId& id) const;
  void add_resealed(const EpochId& id, format::EpochRecord& record) const;
  explicit TrustStore(DatabaseName database) : database_(std::move(database)) {}
  Result<const EnrolledAgent*> believe(const format::SignedRecord& record, const Digest& enrolment, Generation generation) const;
  DatabaseName database_;
  std::map<Digest, EnrolledAgent> agents_;
  std::map<StreamId, format::BranchRecord> branches_;
  std::map<EpochId, format::EpochRecord> epochs_;
  std::map<EpochId, std::vector<format::EpochRecord::SealedKey>> resealed_;  ///< boxes beside those of the epoch records
  std::map<Digest, format::RecipientList> lists_by_id_;
  std::vector<format::RecipientList> recipient_lists_;
  std::size_t records_seen_ = 0;
};

}  // namespace stele::restore
