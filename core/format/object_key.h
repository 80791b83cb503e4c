#pragma once

#include "core/base/identity.h"
#include "core/crypto/aead.h"

namespace stele::format {

/// The key of one object, pack or manifest: KDF(epoch's data key, "stele/object/1", object id). TRUST section 2.
Result<crypto::Sealer> object_sealer(const crypto::Suite& suite, const crypto::SecretBytes& data_key, const ObjectId& object);
Result<crypto::Opener> object_opener(const crypto::Suite& suite, const crypto::SecretBytes& data_key, const ObjectId& object);

/// Appends zeros up to the next size class (core/crypto/padding.h).
void pad_to_size_class(Bytes& plain);

}  // namespace stele::format
