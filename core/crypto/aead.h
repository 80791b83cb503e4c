#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "core/crypto/secret.h"
#include "core/crypto/suite.h"

namespace stele::crypto {

/// Limits of one key: frames or chunks, and bytes in one of them.
inline constexpr std::uint64_t kMaxSealsPerKey = std::uint64_t{1} << 32;
inline constexpr std::size_t kMaxSealBytes = std::size_t{1} << 30;

/// Seals the frames of one object, or the chunks of one pack, under the object's key. The nonce is a counter that
/// starts at 0 and only this class moves (little-endian in the first 8 bytes of the nonce, the rest zero). It cannot be
/// copied or rewound, and after any error it refuses further use: the caller drops it and draws a new object id. One
/// thread at a time.
class Sealer {
 public:
  /// The key is used only here and freed with the object. kInternal when it has not the suite's key size.
  static Result<Sealer> create(const Suite& suite, SecretBytes object_key);

  Sealer(Sealer&& other) noexcept;
  Sealer& operator=(Sealer&&) = delete;
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  /// The counter that the next seal will use: it belongs into the clear header, which is the associated data.
  std::uint64_t next_counter() const { return counter_; }

  /// Appends ciphertext and tag to `out`; gives the counter used. The associated data is the whole clear header.
  Result<std::uint64_t> seal(ByteView aad, ByteView plaintext, Bytes& out);
  /// The same without a copy: the parts (data, padding) are sealed one after the other into `ciphertext` (exactly as
  /// long as the parts) and `tag` (exactly the suite's tag). `ciphertext` may be the memory of a single part, else must
  /// not overlap.
  Result<std::uint64_t> seal(ByteView aad, std::span<const ByteView> parts, MutableByteView ciphertext,
                             MutableByteView tag);

 private:
  Sealer(const Suite& suite, std::unique_ptr<AeadState> state) : suite_(&suite), state_(std::move(state)) {}
  const Suite* suite_;
  std::unique_ptr<AeadState> state_;  ///< null after an error
  std::uint64_t counter_ = 0;
};

/// Opens what a Sealer of the same key sealed, in any order. One thread at a time.
class Opener {
 public:
  static Result<Opener> create(const Suite& suite, const SecretBytes& object_key);

  /// `sealed` is ciphertext and tag. kDamaged when anything differs: bytes, tag, counter, associated data or key (a
  /// wrong epoch key was already refused by its commitment).
  Result<Bytes> open(std::uint64_t counter, ByteView aad, ByteView sealed);
  /// The same into memory of exactly sealed.size() - tag bytes; wiped when it fails.
  Status open_into(std::uint64_t counter, ByteView aad, ByteView sealed, MutableByteView plaintext);

 private:
  Opener(const Suite& suite, std::unique_ptr<AeadState> state) : suite_(&suite), state_(std::move(state)) {}
  const Suite* suite_;
  std::unique_ptr<AeadState> state_;
};

}  // namespace stele::crypto
