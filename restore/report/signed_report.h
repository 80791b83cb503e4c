#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/crypto/key_file.h"
#include "restore/drill/result.h"

namespace stele::restore {

inline constexpr std::size_t kMaxReportBytes = 64 << 20;
inline constexpr std::size_t kMaxSignatureBytes = 4 << 10;

/// The report as data: what the page shows, and the list of all objects. Holds no personal data.
nlohmann::json report_json(const DrillResult& result);

/// The text of NAME.json.sig: the restore host's public key line, and the signature in hexadecimal. It covers the bytes of the JSON file
/// under the domain "stele/drill-report/1".
Result<std::string> sign_report(ByteView json, const crypto::RestoreHostKey& host);
/// kForged unless the key named in the signature signed these bytes, and, where `expected` is given, is that one. Gives the key's line.
Result<crypto::PublicKeyLine> verify_report(ByteView json, std::string_view signature, const crypto::VerifyKey* expected);

/// "SITE-DATABASE-", with which the files of a database begin; and the whole name without ending.
std::string report_prefix(const DatabaseName& database);
std::string report_name(const DrillResult& result);

}  // namespace stele::restore
