#pragma once

#include <memory>

#include "core/base/identity.h"
#include "core/crypto/secret.h"
#include "core/crypto/suite.h"

namespace stele::crypto {

/// The suite's hash of stored bytes, fed in pieces. `finish` gives the first 32 bytes and starts again. One thread at a
/// time.
class Hasher {
 public:
  explicit Hasher(const Suite& suite);
  Hasher& update(ByteView bytes);
  Digest finish();

 private:
  const Suite* suite_;
  std::unique_ptr<HashState> state_;
};

/// The suite's keyed hash (HMAC), fed in pieces: chunk names, join tags. Keeps the key between uses: one object, many
/// names. The key lives in the library's context and is wiped with it. One thread at a time.
class KeyedHasher {
 public:
  KeyedHasher(const Suite& suite, ByteView key);
  KeyedHasher(const Suite& suite, const SecretBytes& key) : KeyedHasher(suite, key.view()) {}
  KeyedHasher& update(ByteView bytes);
  /// The first 32 bytes as an identity, then starts again with the same key: `finish<ChunkName>()`.
  template <typename Id = Digest>
  Id finish() {
    static_assert(Id::kSize <= 32);
    Id id;
    finish_into(id.view());
    return id;
  }
  /// The first out.size() bytes, at most the suite's hash size.
  void finish_into(MutableByteView out);

 private:
  const Suite* suite_;
  std::unique_ptr<HashState> state_;
};

Digest hash(const Suite& suite, ByteView bytes);
template <typename Id = Digest>
Id keyed_hash(const Suite& suite, const SecretBytes& key, ByteView bytes) {
  return KeyedHasher(suite, key).update(bytes).template finish<Id>();
}
/// SHA-256 whatever the suite: only for what is not protected by a suite, such as the checksum of a key file.
Digest sha256(ByteView bytes);

}  // namespace stele::crypto
