#include "restore/drill/checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "core/io/durable_file.h"
#include "restore/drill/assertion.h"
#include "restore/drill/isolation.h"
#include "restore/drill/measured_check.h"
#include "restore/main/key_output.h"

namespace stele::restore {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// PostgreSQL's words about SQL that is wrong name tables and columns; about data they may quote it.
Error without_data(const Error& error) {
  const std::size_t at = error.what.rfind("(SQLSTATE ");
  if (error.code != ErrorCode::kDatabase || at == std::string::npos) return error;
  const std::string state = error.what.substr(at + 10, 5);
  if (state.starts_with("42")) return error;
  return Error{error.code, fmt::format("the query failed, SQLSTATE {}", state), error.hint};
}

}  // namespace

CopyChecks::CopyChecks(RestoreJob& job, ServerProcess& server, const config::DrillConfig& config, std::string work, const std::atomic<bool>& cancelled)
    : job_(job), server_(server), server_options_(job.server_options()), config_(config), work_(std::move(work)), cancelled_(cancelled) {}

Instant CopyChecks::deadline() const { return std::chrono::steady_clock::now() + config_.check_timeout; }

Check CopyChecks::recovery_end(std::optional<RecoveredState>& state) {
  return measured_check("recovery_end", "恢复终点与计划一致", "Recovery ended where the plan says", [&](Check& out) -> Status {
    const recovery::Plan& plan = job_.report().plan;
    ExpectedEnd expected;
    expected.system_identifier = job_.snapshot().system_identifier;
    expected.recovered_timeline = plan.timeline;
    expected.replayed_at_most = plan.end;
    expected.replayed_at_least = plan.exact && plan.recovery.inclusive ? plan.reaches.position : plan.snapshot.stop;
    if (plan.recovery.kind != recovery::RecoveryKind::kEndOfLog) expected.target = {RecoveryTarget::Kind::kLsn, plan.recovery.value};
    STELE_TRY(state, check_after_start(server_, expected, deadline()));
    out.result = CheckResult::kPassed;
    out.detail = fmt::format("LSN {}, timeline {}", state->replayed.to_string(), state->recovered_timeline);
    out.detail_zh = fmt::format("LSN {}，时间线 {}", state->replayed.to_string(), state->recovered_timeline);
    return {};
  });
}

Check CopyChecks::isolation(IsolationProof& proof) {
  return measured_check("isolation", "演练环境隔离", "The copy is isolated", [&](Check& out) -> Status {
    proof = look_at_isolation(server_.pid());
    proof.user = server_options_.user.name;
    STELE_TRY(auto session, server_.connect_anywhere(deadline(), &cancelled_));
    STELE_TRY(const SqlRows rows,
              session->query("SELECT name, setting FROM pg_settings WHERE name IN ('archive_mode', 'listen_addresses', 'max_logical_replication_workers', "
                             "'primary_conninfo', 'shared_preload_libraries') ORDER BY name",
                             deadline()));
    std::string wrong;
    for (const SqlRow& row : rows.rows) {
      const std::string name = row[0].value_or(""), value = row[1].value_or("");
      proof.settings.emplace_back(name, value);
      bool good = value.empty();
      if (name == "archive_mode") good = value == "off";
      if (name == "max_logical_replication_workers") good = value == "0";
      if (name == "shared_preload_libraries") {
        const auto words = split_list(value);
        good = words && std::all_of(words->begin(), words->end(), [&](const std::string& word) {
          return std::find(config_.libraries.begin(), config_.libraries.end(), word) != config_.libraries.end();
        });
      }
      if (!good) wrong += fmt::format("{} is set; ", name);
    }
    if (rows.rows.size() != 5) wrong += "the server does not tell its settings; ";
    if (!proof.own_network) wrong += "not in a network namespace of its own; ";
    if (proof.routes != 0) wrong += fmt::format("{} routes; ", proof.routes);
    if (!only_what_every_namespace_has(proof.interfaces)) wrong += fmt::format("interfaces {}; ", proof.interfaces);
    out.result = wrong.empty() ? CheckResult::kPassed : CheckResult::kFailed;
    out.detail = wrong.empty() ? fmt::format("own network namespace, interfaces: {}, routes: {}, user: {}", proof.interfaces, proof.routes, proof.user) : wrong;
    if (wrong.empty()) out.detail_zh = fmt::format("独立网络命名空间，接口：{}，路由：{}，用户：{}", proof.interfaces, proof.routes, proof.user);
    return {};
  });
}

Status CopyChecks::prepare(const std::string& id) {
  STELE_TRY(auto session, server_.connect_anywhere(deadline(), &cancelled_));
  // Settings that the source's roles and databases bring along (libraries, search paths, timeouts) end here.
  STELE_TRY([[maybe_unused]] auto removed, session->query("DELETE FROM pg_catalog.pg_db_role_setting", deadline()));
  reader_ = "stele_drill_" + id.substr(0, 12);
  // Row security would hide rows from it.
  STELE_TRY([[maybe_unused]] auto made, session->query(fmt::format("CREATE ROLE {} LOGIN BYPASSRLS IN ROLE pg_read_all_data", reader_), deadline()));
  // Careful sources let nobody in by default.
  STELE_TRY(const SqlRows grants, session->query(fmt::format("SELECT format('GRANT CONNECT ON DATABASE %I TO {}', datname) FROM pg_database WHERE datallowconn", reader_), deadline()));
  for (const SqlRow& row : grants.rows) {
    STELE_TRY([[maybe_unused]] auto granted, session->query(row[0].value_or(""), deadline()));
  }
  return {};
}

Result<CopyChecks::Finished> CopyChecks::run_program(const std::string& name, std::vector<std::string> arguments) {
  ProcessSpec spec;
  spec.argv = std::move(arguments);
  spec.argv.insert(spec.argv.begin(), server_options_.installation.program(name));
  spec.user = server_options_.user;
  spec.isolated = true;
  spec.environment = {{"PGOPTIONS", "-c session_preload_libraries= -c local_preload_libraries= -c dynamic_library_path=$libdir"}};
  spec.output_file = fmt::format("{}/{}.log", work_, name);
  STELE_TRY(auto child, job_.runner().start(spec));
  const Instant end = deadline();
  for (;;) {
    STELE_TRY(auto finished, child->poll());
    if (finished) return Finished{*finished, read_text(spec.output_file)};
    const bool late = std::chrono::steady_clock::now() > end;
    if (late || cancelled_.load()) {
      STELE_CHECK(child->send_signal(SIGKILL));
      return Error{late ? ErrorCode::kTimeout : ErrorCode::kCancelled, fmt::format("{}: {}", name, late ? "not finished in time" : "stopped"), ""};
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

Check CopyChecks::amcheck() {
  return measured_check("amcheck", "表与索引结构一致性 (pg_amcheck)", "Structure of tables and indexes (pg_amcheck)", [&](Check& out) -> Status {
    if (server_options_.installation.major < 14) {
      out.result = CheckResult::kSkipped;
      out.detail = "PostgreSQL has pg_amcheck from version 14 on";
      out.detail_zh = "PostgreSQL 14 及以上版本才提供 pg_amcheck";
      return {};
    }
    const SqlAddress at = server_.address();
    STELE_TRY(const Finished done, run_program("pg_amcheck", {"--host=" + at.host, fmt::format("--port={}", at.port), "--username=" + at.user, "--no-password", "--all",
                                                              "--install-missing", "--heapallindexed", "--verbose"}));
    std::size_t tables = 0, indexes = 0;
    std::string complaints;
    std::istringstream lines(done.output);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("checking heap table") != std::string::npos) ++tables;
      else if (line.find("checking btree index") != std::string::npos) ++indexes;
      else if (!line.starts_with("pg_amcheck: including") && !line.starts_with("pg_amcheck: in database") && complaints.size() < kMaxDetail) complaints += line + " ";
    }
    if (done.end.ok() && tables > 0) {
      out.result = CheckResult::kPassed;
      out.detail = fmt::format("{} tables, {} indexes", tables, indexes);
      out.detail_zh = fmt::format("{} 张表，{} 个索引", tables, indexes);
      return {};
    }
    return Error{ErrorCode::kDamaged, fmt::format("{}: {}", done.end.to_string(), complaints), ""};
  });
}

std::vector<Check> CopyChecks::assertions(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  std::error_code ec;
  for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
    if (it->path().extension() == ".sql") files.push_back(it->path().filename().string());
  }
  if (ec || files.empty()) {
    return {measured_check("assertions", "业务断言", "Assertions", [&](Check&) -> Status {
      return Error{ErrorCode::kConfig, fmt::format("{}: {}", folder, ec ? ec.message() : "holds no .sql file"), ""};
    })};
  }
  std::sort(files.begin(), files.end());
  std::vector<Check> out;
  for (const std::string& file : files) out.push_back(assertion(file, folder + "/" + file));
  return out;
}

Result<std::unique_ptr<SqlSession>> CopyChecks::read_only_session(const std::string& database) {
  SqlAddress at = server_.address();
  at.user = reader_;
  at.superuser = false;
  STELE_TRY(auto session, SqlSession::connect(at, database, deadline(), &cancelled_));
  STELE_TRY([[maybe_unused]] auto begun, session->query("BEGIN READ ONLY", deadline()));
  return session;
}

Check CopyChecks::assertion(const std::string& file, const std::string& path) {
  Assertion parsed;
  Check out = measured_check("assertion:" + file, file, file, [&](Check& found) -> Status {
    STELE_TRY(const Bytes text, read_small_file(path, kMaxAssertionBytes));
    STELE_TRY(parsed, parse_assertion(file, as_text(text)));
    STELE_TRY(auto session, read_only_session(parsed.database.empty() ? config_.assertion_database : parsed.database));
    auto rows = session->query(parsed.statement(), deadline());
    if (!rows.ok()) return without_data(rows.error());
    STELE_TRY(const std::string value, rows->single(file));
    const bool good = value == parsed.expected.value_or("0");
    found.result = good ? CheckResult::kPassed : CheckResult::kFailed;
    if (parsed.expected) {
      found.detail = good ? "the expected value" : fmt::format("another value than expected{}", may_show(value) ? ": " + value : "");
      found.detail_zh = good ? "与预期值一致" : fmt::format("与预期值不一致{}", may_show(value) ? ":" + value : "");
    } else {
      found.detail = good ? "no row violates it" : fmt::format("{} rows violate it", value);
      found.detail_zh = good ? "无违反记录" : fmt::format("{} 条记录违反", value);
    }
    return {};
  });
  if (!parsed.file.empty()) {
    out.title_zh = parsed.title_zh;
    out.title_en = parsed.title_en;
  }
  return out;
}

Result<pg::ControlFile> CopyChecks::read_control() const {
  STELE_TRY(const Bytes bytes, io::read_file(job_.context().fs(), server_options_.data_directory + "/global/pg_control", 64 * 1024));
  return pg::parse_control_file(bytes);
}

Check CopyChecks::page_checksums() {
  return measured_check("page_checksums", "数据页校验和 (pg_checksums)", "Page checksums (pg_checksums)", [&](Check& out) -> Status {
    STELE_TRY(const pg::ControlFile control, read_control());
    if (control.data_checksum_version == 0) {
      out.result = CheckResult::kSkipped;
      out.detail = "the source's pages have no checksums: enable them there with pg_checksums --enable";
      out.detail_zh = "源库未启用数据页校验和(可用 pg_checksums --enable 启用)";
      return {};
    }
    STELE_TRY(const Finished done, run_program("pg_checksums", {"--check", "-D", server_options_.data_directory}));
    std::string blocks, bad, complaint;
    std::istringstream lines(done.output);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t value = line.find_last_of(' ');
      if (line.starts_with("Blocks scanned")) blocks = line.substr(value + 1);
      else if (line.starts_with("Bad checksums")) bad = line.substr(value + 1);
      else if (line.find("error:") != std::string::npos && complaint.empty()) complaint = line;
    }
    if (done.end.ok() && bad == "0") {
      out.result = CheckResult::kPassed;
      out.detail = fmt::format("{} blocks, 0 bad", blocks);
      out.detail_zh = fmt::format("{} 个数据块，0 个错误", blocks);
      return {};
    }
    // Its paths begin at this host's directory, which says nothing.
    for (std::size_t at; (at = complaint.find(server_options_.data_directory + "/")) != std::string::npos;) complaint.erase(at, server_options_.data_directory.size() + 1);
    return Error{ErrorCode::kDamaged, fmt::format("{} bad of {} blocks; {}", bad.empty() ? "?" : bad, blocks.empty() ? "?" : blocks, complaint), ""};
  });
}

}  // namespace stele::restore
