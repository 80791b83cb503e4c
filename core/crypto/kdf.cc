#include "core/crypto/kdf.h"

#include "core/crypto/hash.h"
#include "core/crypto/library.h"

namespace stele::crypto {

Result<SecretBytes> hkdf(const Suite& suite, ByteView secret, ByteView salt, ByteView info, std::size_t length) {
  const std::size_t hash_size = suite.sizes().hash;
  require(hash_size <= kMaxHash, "hash size");
  if (length > 255 * hash_size) return Error{ErrorCode::kInternal, "HKDF: more bytes asked for than it can give", ""};
  // RFC 5869 section 2.2: no salt means one of zeros.
  const Bytes zeros(hash_size, 0);
  // On the stack and wiped: locked memory costs system calls, which is too much for what lives a microsecond.
  std::array<std::uint8_t, kMaxHash> pseudorandom_memory, block_memory;
  const auto pseudorandom = MutableByteView(pseudorandom_memory).first(hash_size);
  const auto block = MutableByteView(block_memory).first(hash_size);
  KeyedHasher(suite, salt.empty() ? ByteView(zeros) : salt).update(secret).finish_into(pseudorandom);

  KeyedHasher expand(suite, ByteView(pseudorandom));
  SecretBytes out(length);
  std::uint8_t number = 0;
  for (std::size_t done = 0; done < length;) {
    if (done != 0) expand.update(block);
    ++number;
    expand.update(info).update({&number, 1}).finish_into(block);
    const std::size_t size = std::min(hash_size, length - done);
    std::copy_n(block.begin(), size, out.mutable_view().subspan(done).begin());
    done += size;
  }
  wipe(pseudorandom);
  wipe(block);
  return out;
}

namespace {

Result<SecretBytes> derive(const Suite& suite, const SecretBytes& key, std::string_view label, ByteView context,
                           std::size_t length) {
  if (label.empty() || label.size() > 255) return Error{ErrorCode::kInternal, "derive_key: bad label", ""};
  Bytes info;
  ByteWriter writer(info);
  writer.u8(static_cast<std::uint8_t>(label.size()));
  writer.raw(label);
  writer.raw(context);
  return hkdf(suite, key.view(), {}, info, length);
}

}  // namespace

Result<SecretBytes> derive_key(const Suite& suite, const SecretBytes& key, std::string_view label, ByteView context) {
  return derive(suite, key, label, context, suite.sizes().key);
}

Result<Digest> key_commitment(const Suite& suite, const SecretBytes& epoch_key) {
  STELE_TRY(SecretBytes bytes, derive(suite, epoch_key, "commit", {}, Digest::kSize));
  return Digest::from(bytes.view());
}

Status check_key_commitment(const Suite& suite, const SecretBytes& epoch_key, const Digest& commitment) {
  STELE_TRY(Digest actual, key_commitment(suite, epoch_key));
  if (!equal_constant_time(actual.view(), commitment.view())) {
    return Error{ErrorCode::kKeyWrong, "the data key is not the one that the epoch record commits to",
                 "the recovery key belongs to another site or epoch"};
  }
  return {};
}

}  // namespace stele::crypto
