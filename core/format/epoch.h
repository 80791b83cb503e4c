#pragma once

#include <vector>

#include "core/base/random.h"
#include "core/base/time.h"
#include "core/crypto/seal.h"
#include "core/crypto/secret.h"
#include "core/format/trust_records.h"

namespace stele::format {

/// The secrets of one epoch, sealed to every recipient. `data` opens this epoch's objects; the other two are the enrolment's
/// and travel along so that a restore host can recompute chunk names and join tags.
struct EpochSecrets {
  crypto::SecretBytes data;
  crypto::SecretBytes chunk_name;
  crypto::SecretBytes join;
};

/// The life of one data key: to whom it is sealed, and a commitment that tells a wrong key from damage (TRUST section 2).
struct EpochRecord {
  crypto::SuiteId suite = crypto::SuiteId::kAes256GcmSha256;  ///< the signed record's: of the data key and of what it seals
  DatabaseName database;
  StreamId stream;
  Generation generation;
  Digest enrolment;
  Digest recipient_list;
  Timestamp created;
  Digest commitment;
  struct SealedKey {
    Recipient recipient;
    Bytes sealed;
  };
  std::vector<SealedKey> keys;

  static Result<EpochRecord> read(const SignedRecord& record);
  Result<SignedRecord> sign(const crypto::SigningKey& agent) const;
};

inline EpochId epoch_id(const SignedRecord& record) { return EpochId{record.id().data}; }

/// Seals `secrets` to every recipient of the list and gives the record, unsigned. `base` has the other fields filled.
Result<EpochRecord> seal_epoch(EpochRecord base, const RecipientList& list, const EpochSecrets& secrets, const crypto::Suite& suite,
                               RandomSource& random);

/// Opens the record with a recovery or drill key. kKeyWrong where the key is no recipient, or opens to another commitment.
Result<EpochSecrets> open_epoch(const EpochRecord& record, const crypto::RecipientKeyPair& key);

}  // namespace stele::format
