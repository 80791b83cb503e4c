#include "core/format/object_key.h"

#include "core/crypto/kdf.h"
#include "core/crypto/padding.h"

namespace stele::format {

namespace {
constexpr std::string_view kLabel = "stele/object/1";
}

Result<crypto::Sealer> object_sealer(const crypto::Suite& suite, const crypto::SecretBytes& data_key, const ObjectId& object) {
  STELE_TRY(crypto::SecretBytes key, crypto::derive_key(suite, data_key, kLabel, object.view()));
  return crypto::Sealer::create(suite, std::move(key));
}

Result<crypto::Opener> object_opener(const crypto::Suite& suite, const crypto::SecretBytes& data_key, const ObjectId& object) {
  STELE_TRY(crypto::SecretBytes key, crypto::derive_key(suite, data_key, kLabel, object.view()));
  return crypto::Opener::create(suite, key);
}

void pad_to_size_class(Bytes& plain) { plain.resize(crypto::padded_size(plain.size())); }

}  // namespace stele::format
