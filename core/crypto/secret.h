#pragma once

#include <cstddef>

#include "core/base/bytes.h"
#include "core/base/random.h"

namespace stele::crypto {

/// Bytes that must not leak: in locked memory between guard pages (libsodium's sodium_malloc: at least four pages each,
/// so for keys, not for data), wiped when destroyed, moved but never copied by accident. There is no way to print one.
/// One owner at a time; reading from several threads is allowed.
class SecretBytes {
 public:
  SecretBytes() = default;                 ///< empty
  explicit SecretBytes(std::size_t size);  ///< zeros; throws std::bad_alloc like a container when there is no memory
  static SecretBytes copy_of(ByteView bytes);
  static SecretBytes random(std::size_t size, RandomSource& source);
  ~SecretBytes();

  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;

  /// A second copy, where one is really wanted.
  SecretBytes clone() const { return copy_of(view()); }
  ByteView view() const { return {data_, size_}; }
  MutableByteView mutable_view() { return {data_, size_}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Overwrites memory in a way the compiler does not remove.
void wipe(MutableByteView bytes);

/// Takes the same time wherever the bytes differ. Different sizes are unequal at once: sizes are not secret.
bool equal_constant_time(ByteView a, ByteView b);

}  // namespace stele::crypto
