#pragma once

#include <string>
#include <string_view>

#include "core/crypto/key_file.h"

namespace stele::crypto {

/// The one line that key files and public lines are (KEYFILE.md): "stele-KIND-SORT:1:" and the lower-case hexadecimal
/// of a body, whose last eight bytes are a checksum over the prefix and the rest of the body.
enum class KeyTextSort { kKey, kPublic };

struct KeyText {
  KeyKind kind;
  std::string prefix;  ///< including the last colon
  SecretBytes body;    ///< without checksum
};

std::string key_text_prefix(KeyKind kind, KeyTextSort sort);

/// Without a newline. `body` is without checksum.
SecretBytes encode_key_text(KeyKind kind, KeyTextSort sort, ByteView body);
/// kDamaged unless `text` is exactly what encode_key_text gives; kUnsupported for another version.
Result<KeyText> decode_key_text(KeyTextSort sort, ByteView text);

/// kConfig unless 0 to kMaxKeyLabelBytes printable ASCII characters.
Status check_key_label(std::string_view label);

}  // namespace stele::crypto
