#include "agent/program/commands.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "agent/program/agent_program.h"
#include "agent/program/control.h"
#include "agent/program/status_report.h"
#include "core/config/cli.h"
#include "core/config/log.h"
#include "core/crypto/init.h"
#include "core/crypto/random.h"
#include "core/format/trust_records.h"
#include "core/io/durable_file.h"

namespace stele::agent {

namespace {
constexpr std::string_view kProgram = "stele-agent";
int fail(const Error& error, bool json) { return cli::report(kProgram, error, json); }
}  // namespace

int run_command(const config::AgentConfig& config, bool json) {
  if (Status started = log::start(config.log); !started.ok()) return fail(started.error(), json);
  auto program = AgentProgram::open(config);
  Status ended = program.ok() ? (*program)->run() : Status(program.error());
  if (!ended.ok()) log::log_error(ended.error());
  log::stop();
  return ended.ok() ? 0 : fail(ended.error(), json);
}

namespace {

/// One look: what to print, and the exit code.
int look(const config::AgentConfig& config, bool json, std::string& out) {
  auto answer = ask_agent(control_socket_path(config), R"({"command":"status"})");
  if (!answer.ok()) return fail(answer.error(), json);
  const auto status = nlohmann::ordered_json::parse(*answer, nullptr, false);
  if (status.is_discarded()) return fail(Error{ErrorCode::kProtocol, "status: the answer is not JSON", ""}, json);
  out = json ? status.dump(2) + "\n" : status_text(*answer, cli::Painter(cli::wants_colour()), cli::locale_language());
  return status.value("state", "") == "ok" ? 0 : 1;
}

}  // namespace

int status_command(const config::AgentConfig& config, int watch_seconds, bool json) {
  int code = 0;
  auto once = [&] {
    std::string out;
    code = look(config, json, out);
    return out;
  };
  if (watch_seconds > 0) cli::watch(std::chrono::seconds(watch_seconds), once);
  std::fputs(once().c_str(), stdout);
  return code;
}

int snapshot_command(const config::AgentConfig& config, bool full, bool json) {
  auto answer = ask_agent(control_socket_path(config), nlohmann::json{{"command", "snapshot"}, {"full", full}}.dump());
  if (!answer.ok()) return fail(answer.error(), json);
  const auto out = nlohmann::ordered_json::parse(*answer);
  if (json) {
    std::puts(out.dump(2).c_str());
    return 0;
  }
  std::printf("snapshot %s, log %s to %s, %llu bytes of files, %llu bytes sent, %u damaged pages\n", out["snapshot"].get<std::string>().c_str(),
              out["start"].get<std::string>().c_str(), out["stop"].get<std::string>().c_str(), out["raw_bytes"].get<unsigned long long>(),
              out["sent_bytes"].get<unsigned long long>(), out["damaged_pages"].get<unsigned>());
  for (const auto& warning : out["warnings"]) std::fprintf(stderr, "warning: %s\n", warning.get<std::string>().c_str());
  return 0;
}

namespace {

Result<crypto::AgentKey> load_or_make_key(io::FileSystem& fs, const config::AgentConfig& config, bool new_key, bool& made) {
  crypto::SodiumRandom random;
  const std::string path = config.keys.agent_key.string();
  if (!new_key) {
    auto bytes = crypto::read_key_file(path);
    if (bytes.ok()) return crypto::decode_agent_key(bytes->view());
    if (bytes.error().code != ErrorCode::kNotFound) return std::move(bytes).error();
  }
  crypto::AgentKey key = crypto::AgentKey::generate(crypto::default_suite(), config.name.to_string(), random);
  STELE_TRY(crypto::SecretBytes file, crypto::encode_agent_key(key));
  Status written = io::write_file_durably(fs, path, file.view(), io::WriteMode::kOnce);
  if (!written.ok()) return written.error().with_hint("an old key is never overwritten: move it away first");
  made = true;
  return key;
}

}  // namespace

int enroll_command(const config::AgentConfig& config, const std::string& request_file, bool new_key, bool json) {
  if (Status ready = crypto::init(); !ready.ok()) return fail(ready.error(), json);
  io::PosixFileSystem fs;
  bool made = false;
  auto key = load_or_make_key(fs, config, new_key, made);
  if (!key.ok()) return fail(key.error(), json);
  format::EnrolmentRequest request{config.name, to_bytes(key->signing.verify_key().bytes()), SystemClock().now()};
  auto record = request.sign(key->signing);
  if (!record.ok()) return fail(record.error(), json);
  Status written = io::write_file_durably(fs, request_file, record->bytes, io::WriteMode::kReplace);
  if (!written.ok()) return fail(written.error(), json);
  if (json) {
    std::puts(nlohmann::ordered_json{{"database", config.name.to_string()},
                                     {"request", request_file},
                                     {"agent_key", to_hex(request.agent_key)},
                                     {"key_made", made}}
                  .dump(2)
                  .c_str());
  } else {
    std::printf("%s the agent's key %s\nwrote the request %s\nnext, where the authority key is:\n  stele-restore enroll --request %s ...\n",
                made ? "made" : "kept", config.keys.agent_key.c_str(), request_file.c_str(), request_file.c_str());
  }
  return 0;
}

}  // namespace stele::agent
