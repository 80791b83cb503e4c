#pragma once

#include <string_view>

#include "core/base/identity.h"
#include "core/crypto/secret.h"
#include "core/crypto/suite.h"

namespace stele::crypto {

/// HKDF (RFC 5869) over the suite's keyed hash. `length` is at most 255 times the suite's hash size, else kInternal.
Result<SecretBytes> hkdf(const Suite& suite, ByteView secret, ByteView salt, ByteView info, std::size_t length);

/// A key for one purpose: HKDF without salt, info = u8 size of label, label, context. The label is 1 to 255 bytes
/// (kInternal otherwise). Gives a key of the suite's key size.
/// Example: `derive_key(suite, epoch_key, "stele object", object_id.view())`.
Result<SecretBytes> derive_key(const Suite& suite, const SecretBytes& key, std::string_view label, ByteView context);

/// What an epoch record says of its key: 32 bytes of HKDF(epoch key, "commit"). Two keys never share one, so a wrong
/// key is told apart from damaged bytes (TRUST section 2).
Result<Digest> key_commitment(const Suite& suite, const SecretBytes& epoch_key);
/// kKeyWrong when the key is not the committed one. Constant time.
Status check_key_commitment(const Suite& suite, const SecretBytes& epoch_key, const Digest& commitment);

}  // namespace stele::crypto
