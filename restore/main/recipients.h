#pragma once

#include <string>
#include <vector>

#include "core/crypto/key_file.h"
#include "core/format/trust_records.h"
#include "restore/trust/key_files.h"

namespace stele::restore {

/// Public key files (recovery.pub, drill.pub) as the recipients of a list. kUsage for a key given twice, too many, or no recovery key.
Result<std::vector<format::Recipient>> read_recipients(const std::vector<std::string>& paths);
std::size_t count_recovery(const std::vector<format::Recipient>& recipients);

/// Opens authority.key, asking for its passphrase.
Result<crypto::AuthorityKey> open_authority_key(const std::string& path, PassphraseSource& passphrases);

}  // namespace stele::restore
