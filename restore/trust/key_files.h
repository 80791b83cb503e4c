#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/config/restore_config.h"
#include "restore/trust/key_ring.h"

namespace stele::restore {

/// Where passphrases come from: the terminal, or a file descriptor with one passphrase a line (the last one serves all further questions).
/// Never an argument, never the environment.
class PassphraseSource {
 public:
  /// fd -1: ask on the terminal.
  explicit PassphraseSource(int fd = -1) : fd_(fd) {}
  bool from_descriptor() const { return fd_ >= 0; }
  /// kKeyMissing when there is no terminal, or the descriptor is empty. Blocks.
  Result<crypto::SecretBytes> ask(std::string_view prompt);
  /// Asks twice on a terminal; kUsage when the two differ or it is empty.
  Result<crypto::SecretBytes> ask_new(std::string_view prompt);

 private:
  int fd_;
  bool read_ = false;
  std::vector<crypto::SecretBytes> lines_;
  std::size_t next_ = 0;
};

/// Public keys of the authorities to believe: those of the configuration, and those inside the recovery key files.
Result<std::vector<crypto::VerifyKey>> load_authorities(const config::RestoreConfig& config);

/// Opens the configured recovery and drill keys. Files without protection need no passphrase. One key is enough: a file that cannot be
/// opened is an error only when none can. `ask` false: only files without protection.
Status load_keys(const config::RestoreConfig& config, PassphraseSource& passphrases, bool ask, KeyRing& ring);

}  // namespace stele::restore
