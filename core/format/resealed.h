#pragma once

#include "core/format/epoch.h"

namespace stele::format {

/// An epoch's keys sealed once more, to recipients that came later: no data is touched, and the epoch record stays as it is. Signed by an
/// authority, with the recipient list that allows it (TRUST section 1).
struct ResealedKeys {
  crypto::SuiteId suite = crypto::SuiteId::kAes256GcmSha256;  ///< the signed record's
  DatabaseName database;
  EpochId epoch;
  Digest recipient_list;
  Timestamp created;
  std::vector<EpochRecord::SealedKey> keys;

  Result<SignedRecord> sign(const crypto::SigningKey& authority) const;
  static Result<ResealedKeys> read(const SignedRecord& record);
};

/// Its name in a store: "SITE/DATABASE/resealed/ID.rec".
std::string resealed_name(const DatabaseName& database, const Digest& id);

/// Seals `secrets` of the epoch to every recipient of the list to whom `record` is not sealed yet. `keys` is empty when it is to all.
Result<ResealedKeys> reseal_epoch(const EpochId& epoch, const EpochRecord& record, const Digest& list_id, const RecipientList& list,
                                  const EpochSecrets& secrets, RandomSource& random);

}  // namespace stele::format
