#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace stele {

/// The closed list of error codes. The numbers are stable: they appear in `--json` output and in the protocol.
/// A code says what the caller should do; the text says what happened.
enum class ErrorCode : int {
  kInternal = 1,        ///< a bug in Stele
  kIo = 2,              ///< the operating system refused a read, a write or a sync
  kDiskFull = 3,        ///< no space, or a configured limit on space
  kNotFound = 4,        ///< the thing asked for does not exist
  kExists = 5,          ///< a write-once name is taken, a directory is not empty
  kUnsupported = 6,     ///< a version, suite or engine this program does not know
  kDatabase = 7,        ///< PostgreSQL refused or failed
  kUsage = 10,          ///< wrong command line
  kConfig = 11,         ///< wrong configuration file
  kUnreachable = 20,    ///< the target cannot be reached; nothing was written
  kAmbiguous = 21,      ///< more than one history matches; the operator must choose
  kDamaged = 30,        ///< bytes differ from their hash, tag or structure
  kForged = 31,         ///< bytes that no trusted key signed
  kUnauthorised = 40,   ///< certificate, role, site or enrolment does not allow this
  kKeyMissing = 41,     ///< no key or passphrase was given
  kKeyWrong = 42,       ///< a key or passphrase was given and it does not open this
  kFork = 50,           ///< the database's history is not the one that was streamed
  kSuperseded = 51,     ///< another agent with a higher generation writes this stream
  kGap = 52,            ///< a range of the log is not there
  kTemporary = 60,      ///< try again later
  kTimeout = 61,        ///< a deadline passed
  kClosed = 62,         ///< the peer closed the connection
  kCancelled = 63,      ///< the program is stopping
  kLimit = 64,          ///< a configured limit was reached
  kProtocol = 65,       ///< the peer sent something the protocol does not allow
};

/// The exit code of the command-line contract (0 is success): 1 failed, 2 usage, 3 target, 4 damaged, 5 authorisation, 75 temporary.
int exit_code(ErrorCode code);

/// A short stable word for a code, such as "disk_full"; used in logs, metrics labels and `--json`.
std::string_view error_name(ErrorCode code);

/// True where a retry without a person may succeed.
bool is_temporary(ErrorCode code);

/// An error as a value: what was tried on what, why it failed, and one hint for the person who reads it at night.
/// Contains no secret and no personal data.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string what;   ///< what was tried, on what, and the cause, e.g. "open /var/lib/stele/spool/0001: No space left on device"
  std::string hint;   ///< what to do, may be empty

  /// "what (hint: ...)", one line.
  std::string to_string() const;
  /// The same error one level up: "context: what".
  Error in(std::string_view context) const;
  Error with_hint(std::string_view text) const;
};

/// The error of a failed system call; `number` is errno. ENOSPC, EDQUOT and EFBIG become kDiskFull, ENOENT and ENOTDIR kNotFound, EEXIST kExists.
Error system_error(std::string_view tried, std::string_view subject, int number);

}  // namespace stele
