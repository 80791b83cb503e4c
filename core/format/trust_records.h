#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/time.h"
#include "core/format/record.h"

namespace stele::format {

/// What an agent asks an authority to sign: who it is. Signed by the agent's own key, which proves that it has it.
struct EnrolmentRequest {
  DatabaseName database;
  Bytes agent_key;  ///< public signing key
  Timestamp created;

  Result<SignedRecord> sign(const crypto::SigningKey& agent) const;
  static Result<EnrolmentRequest> read(const SignedRecord& record);
};

/// "This key may write this database from this generation on." Signed by an authority; TRUST section 1.
struct Enrolment {
  DatabaseName database;
  Bytes agent_key;
  Generation first_generation;
  std::uint64_t serial = 0;  ///< a later enrolment of one database has a higher serial
  /// The last chain head that the authority had seen when it signed, or nothing ("unknown").
  struct Head {
    StreamId stream;
    Position end;
    Digest head;
  };
  std::optional<Head> accepted_head;
  Timestamp issued;

  Result<SignedRecord> sign(const crypto::SigningKey& authority) const;
  static Result<Enrolment> read(const SignedRecord& record);
};

/// "Signatures of this enrolment do not count after this position." Signed by an authority.
struct Withdrawal {
  DatabaseName database;
  Digest enrolment;
  StreamId stream;     ///< the stream the position is in; zero withdraws the enrolment for every stream begun later than `issued`
  Position not_after;
  Timestamp issued;

  Result<SignedRecord> sign(const crypto::SigningKey& authority) const;
  static Result<Withdrawal> read(const SignedRecord& record);
};

enum class RecipientKind : std::uint8_t { kRecovery = 1, kDrill = 2 };

struct Recipient {
  RecipientKind kind = RecipientKind::kRecovery;
  Bytes public_key;
  std::string label;  ///< for people; one line of at most 64 bytes
  bool operator==(const Recipient&) const = default;
};

inline constexpr std::size_t kMaxRecipients = 32;
inline constexpr std::size_t kMaxRecipientLabel = 64;

/// "Data of this database is sealed to these keys." Signed by an authority.
struct RecipientList {
  DatabaseName database;
  std::uint64_t serial = 0;
  Timestamp issued;
  std::vector<Recipient> recipients;

  Result<SignedRecord> sign(const crypto::SigningKey& authority) const;
  static Result<RecipientList> read(const SignedRecord& record);
};

/// True where `authorities` holds a key that signed the record.
Status verify_by_any(const SignedRecord& record, const std::vector<crypto::VerifyKey>& authorities);

}  // namespace stele::format
