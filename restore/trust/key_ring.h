#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/crypto/key_file.h"
#include "core/format/epoch.h"

namespace stele::restore {

/// A key that opened something here.
struct KeyProof {
  std::string label;
  Bytes public_key;
  Timestamp newest_epoch;  ///< when the newest epoch that it opened began
};

/// The recovery and drill keys at hand, and what they opened. Thread-safe.
class KeyRing {
 public:
  KeyRing() = default;
  void add(crypto::RecoveryKey key) { keys_.push_back(std::move(key)); }
  bool empty() const { return keys_.empty(); }
  const std::vector<crypto::RecoveryKey>& keys() const { return keys_; }

  /// The epoch's secrets, opened once. The record has been verified before. kKeyMissing without keys, kKeyWrong when none of them opens it.
  Result<std::shared_ptr<const format::EpochSecrets>> open(const EpochId& id, const format::EpochRecord& record);
  /// The keys that opened an epoch since the beginning.
  std::vector<KeyProof> proofs() const;

 private:
  std::vector<crypto::RecoveryKey> keys_;
  mutable std::mutex mutex_;
  std::map<EpochId, std::shared_ptr<const format::EpochSecrets>> opened_;
  std::map<Bytes, KeyProof> proofs_;  ///< by public key
};

}  // namespace stele::restore
