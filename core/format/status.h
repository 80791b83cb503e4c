#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/base/time.h"
#include "core/format/record.h"

namespace stele::format {

/// The agent's view of itself, sent every few seconds, kept and exported by receivers for its site. Typed and extensible: a field is
/// a number (seconds, bytes, positions, 0 or 1) under a name of the metric catalogue without its prefix, such as "spool_bytes".
struct StatusMessage {
  DatabaseName database;
  StreamId stream;
  Generation generation;
  Timestamp time;
  std::map<std::string, double> fields;       ///< names [a-z0-9_]{1,64}; at most 256
  std::map<std::string, std::string> labels;  ///< short words: version, slot state; at most 64, values up to 128 bytes

  Result<SignedRecord> sign(const crypto::SigningKey& agent) const;
  static Result<StatusMessage> read(const SignedRecord& record);
};

}  // namespace stele::format
