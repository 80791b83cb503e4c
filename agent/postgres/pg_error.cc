#include "agent/postgres/pg_error.h"

namespace stele::agent {
namespace {

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

// Every SQLSTATE has a digit; "FATAL" has none.
bool is_sqlstate(std::string_view text) {
  return text.size() == 5 && text.find_first_of("0123456789") != std::string_view::npos &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

// libpq's text can have several lines (one for each address tried); a message is one line.
std::string one_line(std::string_view text) {
  std::string out;
  for (char c : trim(text)) out += (c == '\n' || c == '\t') ? ' ' : c;
  return out;
}

struct Judgement {
  ErrorCode code;
  const char* hint;
};

Judgement judge(const ServerMessage& m) {
  const std::string_view s = m.sqlstate;
  if (s.empty()) return {ErrorCode::kClosed, ""};
  if (s == "57P03") return {ErrorCode::kTemporary, "the server is starting up or shutting down; it is tried again"};
  if (s == "57P01" || s == "57P02")
    return {ErrorCode::kTemporary, "the server ended this connection; it is tried again"};
  if (s == "53300")
    return {ErrorCode::kTemporary, "raise max_connections or max_wal_senders on the server, or close other clients"};
  if (s == "53400")
    return {ErrorCode::kTemporary, "all replication slots are in use: raise max_replication_slots or drop one"};
  if (s == "55006")
    return {ErrorCode::kTemporary,
            "another process uses the slot; a frozen one is thrown out after wal_sender_timeout"};
  if (s == "40001" || s == "40P01") return {ErrorCode::kTemporary, ""};
  if (s == "28P01")
    return {ErrorCode::kUnauthorised, "check the password file (passfile, mode 0600) and the role's password"};
  if (s.substr(0, 2) == "28") {
    return {ErrorCode::kUnauthorised,
            "check the role and the pg_hba.conf lines that `stele-agent check` prints, then reload the server"};
  }
  if (s == "42501") {
    return {ErrorCode::kDatabase, "the role lacks a privilege: ALTER ROLE ... REPLICATION; GRANT pg_monitor TO ..."};
  }
  if (s == "42704") return {ErrorCode::kNotFound, ""};
  if (s == "42710") return {ErrorCode::kExists, ""};
  if (s == "55000")
    return {ErrorCode::kDatabase, "the server's settings do not allow this now (wal_level must be replica or logical)"};
  return {ErrorCode::kDatabase, ""};
}

Error make(const Judgement& judgement, std::string_view tried, std::string_view host, const ServerMessage& m) {
  std::string what =
      fmt::format("{} on {}: {}", tried, host, m.text.empty() ? "the connection was lost" : one_line(m.text));
  if (!m.detail.empty()) what += fmt::format(" ({})", one_line(m.detail));
  if (!m.sqlstate.empty()) what += fmt::format(" [SQLSTATE {}]", m.sqlstate);
  return {judgement.code, std::move(what), judgement.hint};
}

}  // namespace

Error server_error(std::string_view tried, std::string_view host, const ServerMessage& message) {
  return make(judge(message), tried, host, message);
}

Error replication_error(std::string_view tried, std::string_view host, const ServerMessage& message,
                        std::string_view start) {
  // walsender.c, StartReplication and XLogSendPhysical; xlogreader.c/timeline.c for histories.
  const std::string_view s = message.sqlstate;
  // 58P01 comes from errcode_for_file_access() after ENOENT on a WAL segment.
  if (s == "58P01" || contains(message.text, "has already been removed")) {
    return make({ErrorCode::kGap, "the server no longer has this WAL: the range is lost here; take a new snapshot"},
                tried, host, message);
  }
  if (s == "55000" && (contains(message.text, "slot") || contains(message.detail, "slot"))) {
    return make({ErrorCode::kGap,
                 "the slot was invalidated (max_slot_wal_keep_size): drop and recreate it, take a new snapshot"},
                tried, host, message);
  }
  // elog-like errors without a code of their own; the position in the text tells them from others in any language.
  if (s == "XX000" && (contains(message.text, "ahead of the WAL flush position") || contains(message.text, start) ||
                       contains(message.text, "not in this server's history"))) {
    return make({ErrorCode::kFork,
                 "this server's history is not the one that was streamed: a rolled back or cloned data directory, or a "
                 "promotion of a standby that was behind"},
                tried, host, message);
  }
  return server_error(tried, host, message);
}

ServerMessage parse_verbose(std::string_view text) {
  ServerMessage out;
  // "connection to server at ... failed: FATAL:  57P03: the database system is starting up\nLOCATION: ..."; severity is
  // translated.
  for (std::size_t i = 0; i + 8 < text.size(); ++i) {
    if (text[i] != ':' || text[i + 1] != ' ') continue;
    std::size_t begin = i + 1;
    while (begin < text.size() && text[begin] == ' ') ++begin;
    if (begin + 7 > text.size() || text.substr(begin + 5, 2) != ": " || !is_sqlstate(text.substr(begin, 5))) continue;
    out.sqlstate = std::string(text.substr(begin, 5));
    const std::string_view rest = text.substr(begin + 7);
    out.text = std::string(trim(rest.substr(0, rest.find('\n'))));
    return out;
  }
  out.text = one_line(text);
  return out;
}

std::string sqlstate_of(const Error& error) {
  constexpr std::string_view kTag = "[SQLSTATE ";
  const std::size_t at = error.what.rfind(kTag);
  if (at == std::string::npos || at + kTag.size() + 5 > error.what.size()) return "";
  std::string state = error.what.substr(at + kTag.size(), 5);
  return is_sqlstate(state) ? state : "";
}

int active_pid_of(const Error& error) {
  if (sqlstate_of(error) != "55006") return 0;
  // "replication slot "x" is active for PID 123 [SQLSTATE 55006]": the last number before the tag, in any language.
  std::size_t end = error.what.rfind("[SQLSTATE ");
  while (end > 0 && !std::isdigit(static_cast<unsigned char>(error.what[end - 1]))) --end;
  std::size_t begin = end;
  while (begin > 0 && std::isdigit(static_cast<unsigned char>(error.what[begin - 1]))) --begin;
  int pid = 0;
  for (std::size_t i = begin; i < end && end - begin <= 9; ++i) pid = pid * 10 + (error.what[i] - '0');
  return pid;
}

}  // namespace stele::agent
