#include "restore/main/restore_job.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <map>

#include "core/config/values.h"
#include "restore/fetch/decoding_log_index.h"
#include "restore/main/output.h"
#include "restore/main/planning.h"
#include "restore/main/restore_job_impl.h"

namespace stele::restore {
namespace {

/// The path that this program was started from, for the restore_command. Once the file is replaced, /proc names it "... (deleted)".
Result<std::string> own_program() {
  std::error_code ec;
  const auto path = std::filesystem::read_symlink("/proc/self/exe", ec);
  if (!ec && !std::filesystem::exists(path, ec) && !ec) ec = std::make_error_code(std::errc::no_such_file_or_directory);
  if (ec) return Error{ErrorCode::kTemporary, fmt::format("find this program's own file {}: {}", path.string(), ec.message()), "was it just replaced? start it again"};
  return path.string();
}

}  // namespace

Status RestoreJob::Impl::decide() {
  // Before hours pass, in which an upgrade may put another file at the same path.
  STELE_TRY(program_, own_program());
  STELE_TRY(recovery::Target target, to_target(options_.target));
  TablespaceOptions places = options_.places;
  for (const std::string& text : options_.tablespaces) {
    STELE_TRY(auto pair, parse_tablespace_option(text));
    if (!places.mapped.insert(pair).second) return Error{ErrorCode::kUsage, fmt::format("--tablespace {}: given twice", pair.first), ""};
  }
  if (options_.delta.on) {
    STELE_TRY(existing_, inspect_existing(options_.into));
    report_.directory = existing_.path;
  } else {
    STELE_TRY(report_.directory, check_target(options_.into));
  }
  if (context_ == nullptr) {
    STELE_TRY(context_, Context::open(common_, options_.store, options_.cancelled));
  }
  STELE_TRY(const DatabaseName database, options_.store.database.empty() ? context_->database() : parse_database_name(options_.store.database));
  report_.facts.database = database;
  if (context_->keys().empty()) STELE_CHECK(context_->load_keys(true));
  STELE_TRY(catalog_, context_->load(database));
  STELE_CHECK(context_->check_known_heads(*catalog_));
  reader_ = std::make_unique<LogReader>(*catalog_, context_->keys());
  DecodingLogIndex index(*catalog_, *reader_);
  if (options_.choose_target) {
    STELE_TRY(target, options_.choose_target(catalog_->facts()));
  }
  STELE_TRY(report_.plan, plan_restore(*catalog_, target, to_plan_options(options_.target), options_.store.accept_older, &index));
  report_.problems = catalog_->problems();
  STELE_TRY(snapshot_, SnapshotReader::open(*catalog_, context_->keys(), report_.plan.snapshot.id, context_->workers()));
  STELE_CHECK(check_existing());
  // Where nothing else is said, tablespaces stay where the links of the existing directory lead.
  for (const auto& [oid, directory] : existing_.tablespaces) {
    const auto& known = snapshot_->sealed().tablespaces;
    if (std::any_of(known.begin(), known.end(), [&](const format::TablespaceEntry& t) { return t.oid == oid; })) places.mapped.emplace(oid, directory);
  }
  STELE_TRY(report_.tablespaces, map_tablespaces(snapshot_->sealed().tablespaces, places, report_.directory));
  STELE_CHECK(check_tablespace_places(report_.tablespaces, existing_.tablespaces));
  STELE_CHECK(check_space());
  if (options_.start || options_.side_instance) {
    STELE_TRY(installation_, find_installation(context_->fs(), runner_, static_cast<int>(snapshot_->sealed().server_version), context_->config().postgres.bin_directory.string()));
  }
  STELE_TRY(user_, choose_user(context_->config().postgres.user, report_.directory));
  if (options_.start) STELE_CHECK(check_can_reach(runner_, user_, report_.directory));
  report_.seconds_plan = seconds();
  return {};
}

Status RestoreJob::Impl::stopped() const {
  if (options_.cancelled == nullptr || !options_.cancelled->load(std::memory_order_relaxed)) return {};
  return Error{ErrorCode::kCancelled, "stopped", ""};
}

Status RestoreJob::Impl::check_existing() const {
  if (existing_.system_identifier == 0 || existing_.system_identifier == snapshot_->sealed().system_identifier || options_.delta.other_cluster) return {};
  return Error{ErrorCode::kExists, fmt::format("{} holds the cluster {}, the snapshot is of {}", existing_.path, existing_.system_identifier, snapshot_->sealed().system_identifier),
               "is it the right directory? --accept-other-cluster writes over it"};
}

Status RestoreJob::Impl::check_space() {
  std::map<std::string, std::uint64_t> bytes;
  bytes[report_.directory] = report_.plan.segments.size() * report_.plan.segment_size;
  for (const format::FileEntry& e : snapshot_->files()) {
    std::string place = report_.directory;
    for (const TablespaceTarget& t : report_.tablespaces) {
      if (t.oid == e.tablespace && !t.in_place) place = t.directory;
    }
    std::uint64_t there = 0;
    if (existing_.there && e.type == format::FileType::kFile) {
      std::error_code ec;
      const std::uint64_t size = std::filesystem::file_size(std::filesystem::path(place) / e.path, ec);
      if (!ec) there = std::min<std::uint64_t>(size, e.size);
    }
    bytes[place] += e.size - there;
  }
  bytes[report_.directory] += options_.extra_bytes;
  for (const auto& [place, need] : bytes) report_.bytes_needed += need;
  if (options_.max_bytes != 0 && report_.bytes_needed > options_.max_bytes) {
    return Error{ErrorCode::kDiskFull,
                 fmt::format("the restore may take {}, it needs {} ({} bytes)", config::format_bytes(options_.max_bytes), config::format_bytes(report_.bytes_needed), report_.bytes_needed),
                 "raise the limit; nothing was written"};
  }
  return check_free_space(bytes);
}

RestoreJob::RestoreJob(const cli::Common& common, const RunOptions& options) : RestoreJob(common, options, nullptr) {}
RestoreJob::RestoreJob(const cli::Common& common, const RunOptions& options, std::unique_ptr<Context> context)
    : impl_(std::make_unique<Impl>(common, options, std::move(context))) {}
RestoreJob::~RestoreJob() = default;
Status RestoreJob::decide() { return impl_->decide(); }
Status RestoreJob::write() { return impl_->write(); }
Status RestoreJob::start() { return impl_->start(); }
ServerOptions RestoreJob::server_options() const { return impl_->server_options(); }
Result<std::unique_ptr<ServerProcess>> RestoreJob::recover_to_end(const ServerOptions& server, WaitOptions wait) { return impl_->recover_to_end(server, std::move(wait)); }
const RunReport& RestoreJob::report() const { return impl_->report_; }
const format::ManifestSealed& RestoreJob::snapshot() const { return impl_->snapshot_->sealed(); }
const format::ManifestReference& RestoreJob::manifest() const { return impl_->snapshot_->manifest().reference; }
const StoreCatalog& RestoreJob::catalog() const { return *impl_->catalog_; }
Context& RestoreJob::context() { return *impl_->context_; }
ProcessRunner& RestoreJob::runner() { return impl_->runner_; }
std::unique_ptr<Context> RestoreJob::take_context() {
  std::unique_ptr<Context> context = std::move(impl_->context_);
  impl_.reset();
  return context;
}

Result<RunReport> run_restore(const cli::Common& common, const RunOptions& options) {
  RestoreJob job(common, options);
  STELE_CHECK(job.decide());
  if (!common.json) std::fputs(describe(job.report().plan).c_str(), stderr);
  STELE_CHECK(job.write());
  if (options.start) STELE_CHECK(job.start());
  return job.report();
}

}  // namespace stele::restore
