#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/crypto/key_file.h"
#include "core/format/epoch.h"

namespace stele::restore {

/// The recovery and drill keys at hand, and what they opened. Thread-safe.
class KeyRing {
 public:
  KeyRing() = default;
  void add(crypto::RecoveryKey key) { keys_.push_back(std::move(key)); }
  bool empty() const { return keys_.empty(); }
  const std::vector<crypto::RecoveryKey>& keys() const { return keys_; }

  /// The epoch's secrets, opened once. The record has been verified before. kKeyMissing without keys, kKeyWrong when none of them opens it.
  Result<std::shared_ptr<const format::EpochSecrets>> open(const EpochId& id, const format::EpochRecord& record);

 private:
  std::vector<crypto::RecoveryKey> keys_;
  std::mutex mutex_;
  std::map<EpochId, std::shared_ptr<const format::EpochSecrets>> opened_;
};

}  // namespace stele::restore
