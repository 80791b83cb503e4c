#pragma once

#include "core/crypto/suite.h"

namespace stele::crypto {

/// AES-256-GCM, SHA-256, HMAC-SHA-256 (OpenSSL); Ed25519, X25519 sealed boxes (libsodium).
const Suite& suite1();

}  // namespace stele::crypto
