#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace stele::receiver {

/// One change of a batch.
struct Change {
  enum class Kind { kPut, kAppend, kRemove };
  Kind kind = Kind::kPut;
  std::string key, value;
};

/// The seam for the catalog's engine: an ordered map of bytes. Thread-safe; calls block on a disk. Not durable by itself: what was lost
/// by a crash is found again when the catalog is compared with the store at start.
class KeyValues {
 public:
  virtual ~KeyValues() = default;
  /// All or nothing. kAppend adds the value's bytes to the end of what is there.
  virtual Status write(const std::vector<Change>& changes) = 0;
  virtual Result<std::vector<std::optional<std::string>>> get(const std::vector<std::string>& keys) = 0;
  /// In the order of keys, those that begin with `prefix` and are larger than `after`; until `visit` returns false.
  virtual Status scan(std::string_view prefix, std::string_view after,
                      const std::function<bool(std::string_view key, std::string_view value)>& visit) = 0;
};

}  // namespace stele::receiver
