#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/identity.h"
#include "core/base/time.h"

namespace stele::restore {

enum class CheckResult {
  kPassed,
  kFailed,
  kSkipped,  ///< could not be made for a reason of the source's; never counts as passed
};
/// "passed", "failed", "skipped".
std::string_view check_result_name(CheckResult result);

/// One thing that was looked at in the copy. Texts hold no rows and no values of columns.
struct Check {
  std::string name;      ///< stable: "recovery_end", "amcheck", "counts", "page_checksums", "assertion:01_member.sql", "wiped"
  std::string title_zh, title_en;
  CheckResult result = CheckResult::kFailed;
  std::string detail;    ///< what was measured or what is wrong, one line
  double seconds = 0;
  std::string detail_zh; ///< the same in Chinese, where there is one
};

/// A table (or with an empty `table` a whole database) that is not as the snapshot's sealed counts say.
struct CountDeviation {
  enum class Problem {
    kDatabaseMissing,
    kFewerRelations,  ///< of the database
    kTableMissing,
    kFewerRows,
    kNotCounted,      ///< the copy refused to count it
  };
  Problem problem = Problem::kNotCounted;
  std::string database, schema, table;  ///< made one line of UTF-8 each
  std::uint64_t sealed = 0, found = 0;  ///< rows; of kFewerRelations relations
};
/// "database_missing", "fewer_relations", "table_missing", "fewer_rows", "not_counted".
std::string_view count_problem_name(CountDeviation::Problem problem);

/// What was counted in the copy against what the agent sealed when the snapshot began. Names of tables, never a value.
struct CountComparison {
  struct Database {
    std::string name;
    bool sealed = false;  ///< false: the snapshot has no counts of it
    std::uint64_t relations_sealed = 0, relations_found = 0;
    std::uint64_t tables = 0, compared = 0;  ///< tables that the agent saw; those of them that were compared
    std::uint64_t rows_sealed = 0, rows_found = 0;  ///< of the compared tables whose number of rows was known
    std::uint64_t deviating = 0;
  };
  bool sealed = false;  ///< false: the snapshot holds no counts at all
  int tolerance_percent = 0;
  std::vector<Database> databases;
  std::vector<CountDeviation> deviations;  ///< at most kMaxShown
  static constexpr std::size_t kMaxShown = 100;
};

/// The phases of a drill, in order; their sum is the RTO.
enum class Phase { kPlan, kFetch, kWrite, kReplay, kStart, kChecks };
inline constexpr std::array<Phase, 6> kPhases = {Phase::kPlan, Phase::kFetch, Phase::kWrite, Phase::kReplay, Phase::kStart, Phase::kChecks};
/// "plan", "fetch", "write", "replay", "start", "checks".
std::string_view phase_name(Phase phase);

/// What was seen of the place while the copy ran.
struct IsolationProof {
  bool own_network = false;     ///< the server's network namespace is not this program's
  std::string interfaces;       ///< names of the interfaces in it
  int routes = -1;              ///< IPv4 and IPv6 routes other than of loopback; -1: not seen
  std::string user;
  std::vector<std::pair<std::string, std::string>> settings;  ///< as the server itself says
};

/// What was left when everything was removed.
struct WipeProof {
  std::uint64_t files = 0, bytes = 0;  ///< removed
  bool nothing_left = false;           ///< no name below the drill directory but the lock
  int processes_left = -1;             ///< in the copy's network namespace; -1: not looked
};

struct ProvenKey {
  std::string name;  ///< its label, or the beginning of its public key
  Digest public_key_hash;
  Timestamp newest_epoch;
};

/// Everything about one drill. Filled step by step: what was not reached keeps its empty value.
struct DrillResult {
  std::string id;          ///< 32 hexadecimal digits
  DatabaseName database;
  std::string source;      ///< "receiver guangzhou-1", or the store directory
  Timestamp started, finished;  ///< this host's clock
  bool ran = false;        ///< the copy was started, and every check was made
  std::string problem;     ///< why it did not run; empty: it ran
  std::string problem_code;

  std::string asked;       ///< target as it was given: "latest", "random", "time ..."
  std::string target;      ///< what it became: "time 2026-11-23T15:33:45Z"
  std::optional<std::uint64_t> seed;  ///< of a random target
  std::string again;       ///< options that repeat it
  StreamId stream;
  SnapshotId snapshot;
  Timestamp snapshot_finished;
  std::string reaches_lsn;
  Timestamp reaches;           ///< the source's clock at the end of recovery, where known
  Timestamp window_from, window_to;  ///< what could be restored when the drill began
  Timestamp disaster;          ///< from when on the source counts as lost
  Timestamp last_commit;       ///< the last transaction in the copy
  std::uint64_t file_bytes = 0, log_bytes = 0, stored_bytes = 0, files = 0, bytes_needed = 0;
  std::uint64_t system_identifier = 0;
  std::vector<std::string> notes;

  std::array<double, kPhases.size()> phase_seconds{};
  double seconds(Phase phase) const { return phase_seconds[static_cast<std::size_t>(phase)]; }
  double& seconds(Phase phase) { return phase_seconds[static_cast<std::size_t>(phase)]; }
  double usable_seconds = 0;       ///< until the copy took writes
  std::optional<double> rto, rpo;  ///< seconds; nothing: not measured
  double rto_target = 0, rpo_target = 0, interval = 0;

  std::vector<Check> checks;
  CountComparison counts;
  IsolationProof isolation;
  WipeProof wipe;
  std::vector<ProvenKey> keys;
  std::vector<std::pair<std::string, std::string>> versions;  ///< software and host
  struct Object {
    std::string name, hash;
    std::uint64_t bytes = 0;
  };
  std::vector<Object> objects;

  std::size_t count(CheckResult result) const;
  /// Ran, no check failed, at least one passed, nothing is left.
  bool passed() const;
  bool rto_kept() const { return rto && *rto <= rto_target; }
  bool rpo_kept() const { return rpo && *rpo <= rpo_target; }
};

}  // namespace stele::restore
