#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace stele::workload {

enum class Outcome {
  kAcknowledged,  ///< COMMIT returned, without a warning: it must be in every database restored to a later moment
  kWarned,        ///< COMMIT returned with a warning: durable on the source only, nothing was promised
  kUnknown        ///< the connection broke before the answer
};

/// One line of the acknowledged-commit ledger, which lives outside everything that is destroyed.
struct Entry {
  Outcome outcome = Outcome::kUnknown;
  std::string run;  ///< names one start of the workload; no tab, no line end
  int client = 0;
  std::int64_t sequence = 0;  ///< grows within (run, client)
  std::uint32_t xid = 0;      ///< the transaction's id; 0: not known
  std::string position;       ///< WAL insert position just after the commit, "" when the server was gone
  std::string committed_at;   ///< the server's clock just after the commit, "" when the server was gone
  std::string received_at;    ///< this host's clock when the answer (or its absence) was known, ISO 8601 in UTC
};

/// Tab-separated, with its line end.
std::string to_line(const Entry& entry);
/// kDamaged when the line is something else. A last line without its end is the caller's to drop.
Result<Entry> parse_line(std::string_view line);

/// Appends entries to a file; each is one write(2) with O_APPEND and, with `sync`, is fdatasync'd before append
/// returns. Thread-safe.
class LedgerFile {
 public:
  static Result<LedgerFile> open(const std::string& path, bool sync);
  LedgerFile(LedgerFile&& other) noexcept;
  LedgerFile& operator=(LedgerFile&&) = delete;
  ~LedgerFile();
  Status append(const Entry& entry);

 private:
  LedgerFile(int fd, std::string path, bool sync) : fd_(fd), path_(std::move(path)), sync_(sync) {}
  int fd_;
  std::string path_;
  bool sync_;
};

/// Every whole line of a ledger file; kDamaged at the first line that is not one, kNotFound without a file.
Result<std::vector<Entry>> read_ledger(const std::string& path);

/// A commit's name within the ledger table.
struct CommitName {
  std::string run;
  int client = 0;
  std::int64_t sequence = 0;
  auto operator<=>(const CommitName&) const = default;
};

struct Comparison {
  std::int64_t acknowledged = 0, found = 0, warned = 0, unknown = 0, unknown_and_present = 0;
  std::int64_t after = 0;         ///< acknowledged after the moment that was restored to, so not expected
  std::int64_t not_recorded = 0;  ///< in the database, not in the file
  std::vector<CommitName> missing;
  bool complete() const { return missing.empty() && acknowledged > 0; }
};

/// Compares what was recorded with what a database holds. With `until`, only entries whose position is known and not
/// past it are expected. Pure.
Comparison compare(const std::vector<Entry>& recorded, const std::set<CommitName>& present,
                   std::optional<std::uint64_t> until);

/// "1A/2B" as a number; nullopt when it is not a position.
std::optional<std::uint64_t> position_number(std::string_view text);

}  // namespace stele::workload
