#include "restore/drill/publish.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/crypto/hash.h"
#include "core/io/durable_file.h"
#include "restore/drill/metrics.h"
#include "restore/report/page.h"
#include "restore/report/signed_report.h"

namespace stele::restore {
namespace {

std::uint64_t micros(const std::optional<double>& seconds) { return seconds ? static_cast<std::uint64_t>(*seconds * 1e6) : 0; }

class Publisher {
 public:
  Publisher(const cli::Common& common, const config::RestoreConfig& config, const StoreOptions& store, const DrillResult& result, const crypto::RestoreHostKey* host)
      : common_(common), config_(config), store_(store), result_(result), host_(host) {}

  Published run() {
    History earlier;
    Digest hash;
    if (host_ != nullptr) {
      earlier = read_history(config_.drill.reports.string(), result_.database, host_->key.verify_key());
      note(write_report(earlier, hash));
    }
    const std::string text = metrics_text(result_, earlier);
    if (!config_.drill.textfile_directory.empty()) note(write_textfile(config_.drill.textfile_directory.string(), result_.database, text));
    if (config_.drill.pushgateway.port != 0) note(push_metrics(config_.drill.pushgateway.host, config_.drill.pushgateway.port, result_.database, text));
    if (host_ != nullptr && !config_.receivers.empty()) note(append(hash));
    return std::move(out_);
  }

 private:
  void note(Status done) {
    if (!done.ok()) out_.problems.push_back(done.error());
  }

  Status write_report(const History& earlier, Digest& hash) {
    const std::string directory = config_.drill.reports.string(), name = report_name(result_), json_file = fmt::format("{}/{}.json", directory, name);
    STELE_CHECK(io::make_directories_durably(fs_, directory));
    const std::string json = report_json(result_).dump(1) + "\n";
    STELE_TRY(const std::string signature, sign_report(as_bytes(json), *host_));
    STELE_TRY(const std::string line, crypto::encode_public_key(crypto::public_line_of(*host_)));
    hash = crypto::sha256(as_bytes(json));
    const std::string page = report_page(result_, earlier, {name + ".json", hash.hex(), line});
    STELE_CHECK(io::write_file_durably(fs_, json_file + ".sig", as_bytes(signature), io::WriteMode::kOnce));
    STELE_CHECK(io::write_file_durably(fs_, json_file, as_bytes(json), io::WriteMode::kOnce));
    out_.json_file = json_file;
    STELE_CHECK(io::write_file_durably(fs_, fmt::format("{}/{}.html", directory, name), as_bytes(page), io::WriteMode::kOnce));
    out_.html_file = fmt::format("{}/{}.html", directory, name);
    return {};
  }

  Status append(const Digest& hash) {
    STELE_TRY(const format::SignedRecord record, drill_record(result_, hash).sign(host_->key));
    STELE_TRY(auto context, Context::open(common_, store_));
    STELE_TRY(out_.receivers, context->append_record(record.bytes));
    // Evidence at one of two is not evidence wherever the configuration says.
    std::string without;
    for (const config::ReceiverEndpoint& receiver : config_.receivers) {
      const bool kept = std::find(out_.receivers.begin(), out_.receivers.end(), receiver.name) != out_.receivers.end();
      if (!kept) without += (without.empty() ? "" : ", ") + receiver.name;
    }
    if (!without.empty()) return Error{ErrorCode::kTemporary, fmt::format("the drill record is not at receiver {}", without), "its log says why; the next drill's record will be there again"};
    return {};
  }

  const cli::Common& common_;
  const config::RestoreConfig& config_;
  const StoreOptions& store_;
  const DrillResult& result_;
  const crypto::RestoreHostKey* host_;
  io::PosixFileSystem fs_;
  Published out_;
};

}  // namespace

Result<crypto::RestoreHostKey> load_host_key(const std::string& path) {
  auto bytes = crypto::read_key_file(path);
  if (!bytes.ok()) {
    const ErrorCode code = bytes.error().code == ErrorCode::kNotFound ? ErrorCode::kKeyMissing : bytes.error().code;
    return Error{code, bytes.error().what, fmt::format("make it with: stele-restore keygen --restore-host --directory {}", io::parent_directory(path))};
  }
  auto key = crypto::decode_restore_host_key(bytes->view());
  if (!key.ok()) return key.error().in(path);
  return key;
}

format::DrillRecord drill_record(const DrillResult& r, const Digest& report) {
  format::DrillRecord out;
  out.database = r.database;
  if (auto id = from_hex(r.id); id.ok() && id->size() == out.drill.view().size()) std::copy(id->begin(), id->end(), out.drill.view().begin());
  out.started = r.started;
  out.finished = std::max(r.started, r.finished);
  out.outcome = r.passed() ? format::DrillOutcomeKind::kPassed : r.ran ? format::DrillOutcomeKind::kFailed : format::DrillOutcomeKind::kDidNotRun;
  out.stream = r.stream;
  out.snapshot = r.snapshot;
  out.target = r.reaches;
  if (auto reached = parse_position(r.reaches_lsn); reached.ok()) out.reached = *reached;
  out.last_commit = r.last_commit;
  out.rto = micros(r.rto);
  out.rpo = micros(r.rpo);
  out.rto_target = micros(r.rto_target);
  out.rpo_target = micros(r.rpo_target);
  out.passed = static_cast<std::uint32_t>(r.count(CheckResult::kPassed));
  out.failed = static_cast<std::uint32_t>(r.count(CheckResult::kFailed));
  out.skipped = static_cast<std::uint32_t>(r.count(CheckResult::kSkipped));
  for (const ProvenKey& key : r.keys) out.keys.push_back({key.public_key_hash, key.newest_epoch});
  std::sort(out.keys.begin(), out.keys.end(), [](const auto& a, const auto& b) { return a.public_key < b.public_key; });
  if (out.keys.size() > format::kMaxDrillKeys) out.keys.resize(format::kMaxDrillKeys);
  out.report = report;
  // Receivers keep this in the clear, and what programs say about damage names tables and files: the report at this host has the words.
  if (!r.problem.empty()) out.note = fmt::format("did not run: {}", r.problem_code);
  for (const Check& c : r.checks) {
    if (c.result == CheckResult::kFailed) out.note += fmt::format("{}{}", out.note.empty() ? "failed: " : ", ", c.name);
  }
  return out;
}

Published publish(const cli::Common& common, const config::RestoreConfig& config, const StoreOptions& store, const DrillOutcome& outcome,
                  const crypto::RestoreHostKey* host) {
  return Publisher(common, config, store, outcome.result, host).run();
}

}  // namespace stele::restore
