#pragma once

#include <string>
#include <string_view>

#include "core/base/error.h"

namespace stele::agent {

/// What PostgreSQL or libpq said about a failure, already without a password.
struct ServerMessage {
  std::string sqlstate;  ///< five characters, empty when the failure was not reported by the server (network, libpq)
  std::string text;      ///< primary message, in the server's language
  std::string detail;    ///< may be empty
};

/// Turns a message into an Error whose `what` is "TRIED on HOST: TEXT (DETAIL) [SQLSTATE xxxxx]". Codes: 57P03, 57P01,
/// 57P02, 53300, 53400, 55006, 40001 → kTemporary; 28xxx → kUnauthorised; 42501 → kDatabase with the GRANT that is
/// missing; 42704 → kNotFound; 42710 → kExists; without SQLSTATE → kClosed; everything else → kDatabase. Pure.
/// SQLSTATEs: PostgreSQL src/backend/utils/errcodes.txt.
Error server_error(std::string_view tried, std::string_view host, const ServerMessage& message);

/// The same for a failed START_REPLICATION or a stream that the server ended with an error; adds: the segment is gone
/// or the slot is invalidated → kGap; the start is ahead of the server or not in its history → kFork; slot in use →
/// kTemporary with the process id. `start` is the requested position as text ("0/3000000"): servers that do not speak
/// English are recognised by it.
Error replication_error(std::string_view tried, std::string_view host, const ServerMessage& message,
                        std::string_view start);

/// Cuts "FATAL:  57P03: text" (verbose libpq text of a refused connection, any language) into its SQLSTATE and first
/// line.
ServerMessage parse_verbose(std::string_view libpq_text);

/// The SQLSTATE an Error of this folder carries, empty when it has none.
std::string sqlstate_of(const Error& error);
/// The server process that holds the slot ("slot is active for PID n"), 0 when the error does not say.
int active_pid_of(const Error& error);

}  // namespace stele::agent
