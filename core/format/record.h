#pragma once

#include <string_view>

#include "core/base/bytes.h"
#include "core/base/identity.h"
#include "core/crypto/sign.h"
#include "core/crypto/suite.h"

namespace stele::format {

/// What a signed record is about. The numbers are part of the format.
enum class RecordKind : std::uint16_t {
  kEnrolment = 1,
  kRecipientList = 2,
  kBranch = 3,
  kEpoch = 4,
  kManifest = 5,
  kFact = 6,
  kStatus = 7,
  kWithdrawal = 8,
  kEnrolmentRequest = 9,
  kDrill = 10,
  kResealedKeys = 11,
};

std::string_view record_kind_name(RecordKind kind);

/// The longest record of any kind; checked before anything is allocated for it.
inline constexpr std::size_t kMaxRecordBytes = 8 << 20;

/// A small signed object: FORMATS.md section 2. The signature covers the stored bytes, never a re-serialised form,
/// so the bytes are kept beside what was read from them.
struct SignedRecord {
  RecordKind kind{};
  crypto::SuiteId suite = crypto::SuiteId::kAes256GcmSha256;
  Bytes body;       ///< the kind's own layout
  Bytes bytes;      ///< the whole record as stored
  Bytes signer;     ///< public key that the record names; believed only after verify_record against a trusted key
  std::size_t signed_size = 0;
  Bytes signature;

  /// Hash of the whole record, signature included: its identity in the store.
  Digest id() const;
};

/// Wraps `body` and signs it. The domain tag of the signature names the kind.
Result<SignedRecord> sign_record(RecordKind kind, ByteView body, const crypto::SigningKey& key);

/// Reads the envelope; kDamaged on another layout, kUnsupported on another version, suite or a critical extension. Verifies nothing.
Result<SignedRecord> parse_record(ByteView bytes);
/// The same, and the kind must be the one expected.
Result<SignedRecord> parse_record(ByteView bytes, RecordKind expected);

/// kForged unless `key` signed exactly these bytes.
Status verify_record(const SignedRecord& record, const crypto::VerifyKey& key);

}  // namespace stele::format
