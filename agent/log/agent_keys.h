#pragma once

#include <filesystem>

#include "core/crypto/key_file.h"
#include "core/format/epoch.h"

namespace stele::agent {

/// The agent's keys and the authority's records about it, checked against each other: enrolment and recipients are for this database, the
/// enrolment names this signing key, both are signed by one authority. Immutable; any thread.
struct AgentKeys {
  crypto::AgentKey key;
  format::SignedRecord enrolment_record;
  format::Enrolment enrolment;
  format::SignedRecord recipients_record;
  format::RecipientList recipients;
  Digest enrolment_id;
  Digest recipients_id;

  /// kKeyMissing, kConfig (modes), kDamaged, kForged, kUnauthorised, each naming the file.
  static Result<AgentKeys> load(const DatabaseName& database, const std::filesystem::path& key_file,
                                const std::filesystem::path& enrolment_file, const std::filesystem::path& recipients_file);
};

/// A new epoch of a stream: fresh data key, sealed to the recipients, signed.
struct NewEpoch {
  EpochId id;
  format::SignedRecord record;
  crypto::SecretBytes data_key;
};
Result<NewEpoch> make_epoch(const AgentKeys& keys, const DatabaseName& database, const StreamId& stream, Generation generation, Timestamp now,
                            RandomSource& random);

}  // namespace stele::agent
