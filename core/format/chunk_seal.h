#pragma once

#include <list>

#include "core/base/random.h"
#include "core/compress/chunk.h"
#include "core/crypto/hash.h"
#include "core/format/object_key.h"
#include "core/format/pack.h"

namespace stele::format {

/// Names chunks: keyed hash of suite, size and plaintext under the enrolment's chunk-name key. The stream is no part of it, so that
/// a new branch of the same enrolment finds the old branch's chunks. One thread.
class ChunkNamer {
 public:
  ChunkNamer(const crypto::Suite& suite, const crypto::SecretBytes& chunk_name_key);
  ChunkName name(ByteView raw);

 private:
  crypto::KeyedHasher hasher_;
};

/// Seals chunks for one pack: compresses each alone, encrypts under the pack's key. After an error it is destroyed. One thread: a pack belongs to one worker.
class PackSealer {
 public:
  struct Options {
    const crypto::Suite* suite = &crypto::default_suite();
    StreamId stream;
    Generation generation;
    EpochId epoch;
    Bytes epoch_record;
    int level = 3;
  };
  static Result<PackSealer> begin(Options options, const crypto::SecretBytes& data_key, RandomSource& random);

  /// Adds one chunk; its name was computed before the lookup.
  Status add(const ChunkName& name, ByteView raw);
  std::size_t stored_bytes() const { return stored_bytes_; }
  std::size_t chunks() const { return chunks_.size(); }
  const ObjectId& pack() const { return head_.pack; }
  /// The whole pack. Nothing can be added afterwards.
  Result<Bytes> finish(const crypto::SigningKey& agent);

 private:
  PackSealer(Options options, ObjectId pack, crypto::Sealer sealer, compress::ChunkCompressor compressor);
  Options options_;
  PackHead head_;
  crypto::Sealer sealer_;
  compress::ChunkCompressor compressor_;
  std::vector<Bytes> chunks_;
  std::size_t stored_bytes_ = 0;
  Bytes compressed_, plain_;
};

/// Opens chunks and recomputes their names. Deriving an object's key costs as much as opening a small chunk, and its context is locked
/// memory: those of the last `keep` packs are kept, so chunks read in the order of a snapshot derive one key for each pack. One thread.
class ChunkOpener {
 public:
  ChunkOpener(const crypto::Suite& suite, const crypto::SecretBytes& chunk_name_key, std::size_t keep = 8);

  /// `data_key` is that of chunk.header.epoch. kDamaged where tag, size or name differ.
  Result<Bytes> open(const ChunkView& chunk, const crypto::SecretBytes& data_key);
  std::uint64_t keys_derived() const { return derived_; }

 private:
  struct Kept {
    EpochId epoch;
    ObjectId object;
    crypto::SuiteId suite;
    crypto::Opener opener;
  };
  Result<crypto::Opener*> opener_for(const ChunkHeader& header, const crypto::SecretBytes& data_key);
  ChunkNamer namer_;
  compress::ChunkDecompressor decompressor_;
  std::size_t keep_;
  std::list<Kept> kept_;  ///< the newest first
  std::uint64_t derived_ = 0;
};

}  // namespace stele::format
