#include "restore/trust/key_ring.h"

#include <fmt/format.h>

namespace stele::restore {

Result<std::shared_ptr<const format::EpochSecrets>> KeyRing::open(const EpochId& id, const format::EpochRecord& record) {
  std::lock_guard lock(mutex_);
  if (auto found = opened_.find(id); found != opened_.end()) return found->second;
  if (keys_.empty()) return Error{ErrorCode::kKeyMissing, fmt::format("epoch {} cannot be opened without a key", id.short_hex()), "configure [keys] recovery_keys"};
  std::optional<Error> refused;
  for (const crypto::RecoveryKey& key : keys_) {
    auto secrets = format::open_epoch(record, key.pair);
    if (secrets.ok()) {
      KeyProof& proof = proofs_[to_bytes(key.pair.public_key().bytes())];
      proof.label = key.label;
      proof.public_key = to_bytes(key.pair.public_key().bytes());
      proof.newest_epoch = std::max(proof.newest_epoch, record.created);
      auto shared = std::make_shared<const format::EpochSecrets>(std::move(*secrets));
      opened_.emplace(id, shared);
      return std::shared_ptr<const format::EpochSecrets>(shared);
    }
    refused = secrets.error().in(fmt::format("epoch {} of {}", id.short_hex(), record.database.to_string()));
  }
  return *refused;
}

std::vector<KeyProof> KeyRing::proofs() const {
  std::lock_guard lock(mutex_);
  std::vector<KeyProof> out;
  for (const auto& [key, proof] : proofs_) out.push_back(proof);
  return out;
}

}  // namespace stele::restore
