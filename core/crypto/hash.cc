#include "core/crypto/hash.h"

#include "core/crypto/library.h"
#include "core/crypto/suite1.h"

namespace stele::crypto {

namespace {

/// The first out.size() bytes of a hash.
void finish_cut(HashState& state, std::size_t hash_size, MutableByteView out) {
  std::array<std::uint8_t, kMaxHash> full;
  require(hash_size <= full.size() && out.size() <= hash_size, "hash size");
  state.finish(MutableByteView(full).first(hash_size));
  std::copy_n(full.begin(), out.size(), out.begin());
  wipe(full);
}

}  // namespace

Hasher::Hasher(const Suite& suite) : suite_(&suite), state_(suite.new_hash()) {}

Hasher& Hasher::update(ByteView bytes) {
  state_->update(bytes);
  return *this;
}

Digest Hasher::finish() {
  Digest out;
  finish_cut(*state_, suite_->sizes().hash, out.view());
  return out;
}

KeyedHasher::KeyedHasher(const Suite& suite, ByteView key) : suite_(&suite), state_(suite.new_keyed_hash(key)) {}

KeyedHasher& KeyedHasher::update(ByteView bytes) {
  state_->update(bytes);
  return *this;
}

void KeyedHasher::finish_into(MutableByteView out) {
  finish_cut(*state_, suite_->sizes().hash, out);
}

Digest hash(const Suite& suite, ByteView bytes) {
  return Hasher(suite).update(bytes).finish();
}

Digest sha256(ByteView bytes) {
  return hash(suite1(), bytes);
}

}  // namespace stele::crypto
