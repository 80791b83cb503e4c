#include "receiver/status/fleet_watch.h"

#include <fmt/format.h>

#include <fstream>

#include "core/io/durable_file.h"
#include "receiver/ingest/keeper.h"
#include "receiver/status/database_facts.h"

namespace stele::receiver {

namespace {

constexpr Duration kSaveEvery = std::chrono::minutes(5);
constexpr Duration kStoredEvery = std::chrono::minutes(10);
constexpr Duration kStoredFor = std::chrono::hours(24);
// Growth over a shorter time says nothing.
constexpr Duration kGrowthMin = std::chrono::minutes(30);
// A snapshot's times and a gap's edges change with no shape; read again this often at the latest.
constexpr Duration kSurveyAgain = std::chrono::minutes(10);
constexpr std::size_t kMaxHistoryBytes = 256 << 20;

std::string rpo_file(const std::string& directory) { return directory + "/rpo"; }

Status append(const std::string& file, const std::string& lines) {
  if (lines.empty()) return {};
  errno = 0;
  std::ofstream out(file, std::ios::app);
  out << lines << std::flush;
  return out ? Status() : Status(system_error("write", file, errno != 0 ? errno : EIO));
}

}  // namespace

FleetWatch::FleetWatch(Keeper& keeper, Catalog& catalog, Options options) : keeper_(keeper), catalog_(catalog), options_(std::move(options)) {}

Status FleetWatch::load(Timestamp now) {
  if (options_.history_directory.empty()) return {};
  io::PosixFileSystem fs;
  STELE_CHECK(io::make_directories_durably(fs, options_.history_directory));
  auto bytes = io::read_file(fs, rpo_file(options_.history_directory), kMaxHistoryBytes);
  if (!bytes.ok()) return bytes.error().code == ErrorCode::kNotFound ? Status() : Status(bytes.error());
  STELE_TRY(RpoHistory kept, RpoHistory::decode(*bytes, now));
  std::lock_guard lock(mutex_);
  rpo_ = std::move(kept);
  return {};
}

DatabaseStatus FleetWatch::facts_now(Database& database) {
  DatabaseStatus d;
  d.name = database.name;
  if (auto title = options_.titles.find(d.name.site); title != options_.titles.end()) d.title = title->second;
  if (auto limit = options_.limits.find(d.name.site); limit != options_.limits.end()) d.site_limit_bytes = limit->second;
  d.connected = options_.connected && options_.connected(d.name);
  d.site_stored_bytes = database.site.stored.load();
  std::lock_guard lock(database.mutex);
  d.highest_generation = database.fence.highest;
  d.enrolments = database.trust.enrolments();
  d.withdrawals = database.trust.withdrawals();
  d.epochs = database.trust.epochs();
  d.open_runs = database.runs.open();
  d.journal_bytes = database.runs.bytes();
  d.snapshots_held = database.snapshots;
  for (const auto& [id, ledger] : database.streams) {
    if (ledger.empty()) continue;
    const protocol::StreamState state = ledger.state();
    StreamFacts s;
    s.stream = id;
    s.generation = state.generation;
    s.contiguous_from = state.stored_begin;
    s.acknowledged = state.durable_end;
    s.in_store = ledger.sealed_end();
    s.last_as_of = ledger.last_server_time();
    s.ranges = ledger.ranges().ranges();
    if (const format::BranchRecord* branch = database.trust.branch(id)) {
      s.timeline = branch->timeline;
      s.lineage = branch->lineage;
      s.branch_created = branch->created;
      s.branched_off = !branch->parent.is_zero();
    }
    d.streams.push_back(std::move(s));
  }
  std::sort(d.streams.begin(), d.streams.end(), [](const StreamFacts& a, const StreamFacts& b) { return a.last_as_of > b.last_as_of; });
  d.facts = database.trust.facts();
  for (const format::Fact& f : d.facts) {
    if (f.kind == format::FactKind::kDamage) d.last_damage = std::max(d.last_damage, f.time);
  }
  for (const Notice& n : database.notices) d.notices.emplace_back(n.time, n.text);
  if (database.status) d.agent = agent_words(*database.status, database.status_received);
  return d;
}

std::optional<DatabaseStatus> FleetWatch::status_of(const DatabaseName& name, Timestamp now) {
  Database* database = keeper_.find(name);
  if (database == nullptr) return std::nullopt;
  DatabaseStatus d = facts_now(*database);
  std::shared_ptr<const recovery::Survey> survey;
  std::shared_ptr<const DrillLog> drills;
  {
    std::lock_guard lock(mutex_);
    if (auto held = held_.find(name); held != held_.end()) {
      survey = held->second.survey;
      drills = held->second.drills;
      d.catalog_error = held->second.error;
    }
  }
  apply_survey(d, std::move(survey));
  apply_drills(d, std::move(drills), now);
  judge(d, now);
  return d;
}

FleetStatus FleetWatch::status(Timestamp now) {
  FleetStatus out;
  ReceiverStatus& r = out.receiver;
  r.name = options_.receiver;
  r.version = STELE_VERSION;
  r.now = now;
  r.started = options_.started;
  r.store_free_bytes = keeper_.free_bytes();
  r.store_reserve_bytes = options_.disk_reserve;
  r.journal_live_bytes = keeper_.journal().live_bytes();
  r.journal_limit_bytes = keeper_.journal().capacity();
  r.journal_failed = keeper_.journal_failed();
  r.damages = keeper_.damages();
  std::map<std::string, std::uint64_t> sites;
  for (Database* d : keeper_.databases()) {
    sites[d->name.site] = d->site.stored.load();
    if (auto status = status_of(d->name, now)) out.databases.push_back(std::move(*status));
  }
  for (const auto& [site, bytes] : sites) r.stored_bytes += bytes;
  {
    std::lock_guard lock(mutex_);
    if (!stored_.empty() && now - stored_.front().first >= kGrowthMin && r.stored_bytes >= stored_.front().second) {
      const double over = static_cast<double>((now - stored_.front().first).count()) / 1e6;
      r.growth_bytes_per_second = static_cast<double>(r.stored_bytes - stored_.front().second) / over;
      if (*r.growth_bytes_per_second > 0 && r.store_free_bytes > r.store_reserve_bytes) {
        r.full_in_seconds = static_cast<double>(r.store_free_bytes - r.store_reserve_bytes) / *r.growth_bytes_per_second;
      }
    }
  }
  if (options_.tls_dates) options_.tls_dates(r);
  judge(r);
  return out;
}

std::vector<RpoHistory::Point> FleetWatch::rpo_series(const DatabaseName& name, Timestamp from, Timestamp now, std::size_t points) {
  std::lock_guard lock(mutex_);
  return rpo_.series(name, from, now, points);
}

std::map<std::string, Timestamp> FleetWatch::open_reasons(const DatabaseName& name) {
  std::lock_guard lock(mutex_);
  return kept_.open_reasons(name);
}

std::uint64_t FleetWatch::version() {
  std::lock_guard lock(mutex_);
  return version_;
}

Status FleetWatch::survey(Database& database, Timestamp now) {
  auto facts = facts_of(database, catalog_);
  std::shared_ptr<const recovery::Survey> made;
  if (facts.ok()) made = std::make_shared<recovery::Survey>(recovery::survey(*facts));
  std::vector<std::shared_ptr<const HeldDrill>> held_drills;
  {
    std::lock_guard lock(database.mutex);
    held_drills = database.trust.drills();
  }
  auto drills = std::make_shared<const DrillLog>(drill_log(held_drills, options_.restore_hosts));
  std::lock_guard lock(mutex_);
  Held& held = held_[database.name];
  held.surveyed = now;
  held.drills = std::move(drills);
  held.error = facts.ok() ? "" : facts.error().what;
  if (made) held.survey = std::move(made);
  ++version_;
  return facts.ok() ? Status() : Status(facts.error().in(database.name.to_string()));
}

Status FleetWatch::survey_changed(Timestamp now) {
  const Instant begin = std::chrono::steady_clock::now();
  if (begin < next_survey_) return {};
  Status first;
  for (Database* database : keeper_.databases()) {
    Shape shape;
    {
      std::lock_guard lock(database->mutex);
      for (const auto& [id, ledger] : database->streams) shape.ranges += ledger.ranges().size();
      shape.streams = database->streams.size();
      shape.snapshots = database->snapshots;
      shape.facts = database->trust.facts().size();
      shape.branches = database->trust.branches().size();
      shape.drills = database->trust.drills().size();
    }
    {
      std::lock_guard lock(mutex_);
      Held& held = held_[database->name];
      const bool known = held.survey != nullptr || !held.error.empty();
      if (known && held.shape == shape && now - held.surveyed < kSurveyAgain) continue;
      held.shape = shape;
    }
    if (Status done = survey(*database, now); !done.ok() && first.ok()) first = done;
  }
  const Instant end = std::chrono::steady_clock::now();
  next_survey_ = end + (end - begin) * options_.survey_share;
  return first;
}

Status FleetWatch::tick(Timestamp now) {
  Status first = survey_changed(now);
  if (last_sample_.is_none() || now - last_sample_ >= std::chrono::seconds(RpoHistory::kStepSeconds) || now < last_sample_) {
    if (Status done = sample(now); !done.ok() && first.ok()) first = done;
  }
  return first;
}

Status FleetWatch::sample(Timestamp now) {
  const FleetStatus fleet = status(now);
  // A sample stands for the time since the one before, but not for a time in which nobody looked.
  const std::int64_t since = last_sample_.is_none() ? 0 : (now - last_sample_).count() / 1'000'000;
  const auto seconds = static_cast<std::uint32_t>(std::clamp<std::int64_t>(since, 0, 2 * RpoHistory::kStepSeconds));
  last_sample_ = now;
  std::map<std::string, std::string> lines;  // by file
  {
    std::lock_guard lock(mutex_);
    for (const DatabaseStatus& d : fleet.databases) {
      if (!d.survey) continue;
      if (d.rpo_seconds) rpo_.add(d.name, now, *d.rpo_seconds);
      KeptHistory::Sight sight;
      sight.rpo_seconds = d.rpo_seconds;
      sight.window_seconds = static_cast<double>((d.recoverable_to - d.recoverable_from).count()) / 1e6;
      if (d.agent) {
        sight.rpo_target_seconds = d.agent->rpo_target;
        sight.window_target_seconds = d.agent->window_target;
      }
      sight.reasons = &d.reasons;
      kept_.observe(d.name, now, seconds, sight);
    }
    if (stored_.empty() || now - stored_.back().first >= kStoredEvery) stored_.emplace_back(now, fleet.receiver.stored_bytes);
    while (!stored_.empty() && (now - stored_.front().first > kStoredFor || now < stored_.front().first)) stored_.erase(stored_.begin());
    for (const HourRow& row : kept_.take_hours(now, false)) lines["/hours-" + month_of(row.hour) + ".tsv"] += to_line(row);
    for (const IncidentRow& row : kept_.take_incidents()) lines["/incidents-" + month_of(row.time) + ".tsv"] += to_line(row);
  }
  if (options_.history_directory.empty()) return {};
  for (const auto& [name, text] : lines) STELE_CHECK(append(options_.history_directory + name, text));
  if (last_save_.is_none() || now < last_save_) last_save_ = now;
  if (now - last_save_ < kSaveEvery) return {};
  last_save_ = now;
  Bytes bytes;
  {
    std::lock_guard lock(mutex_);
    bytes = rpo_.encode();
  }
  io::PosixFileSystem fs;
  return io::write_file_durably(fs, rpo_file(options_.history_directory), bytes, io::WriteMode::kReplace);
}

Status FleetWatch::save(Timestamp now) {
  if (options_.history_directory.empty()) return {};
  Bytes bytes;
  std::map<std::string, std::string> lines;
  {
    std::lock_guard lock(mutex_);
    bytes = rpo_.encode();
    for (const HourRow& row : kept_.take_hours(now, true)) lines[month_of(row.hour)] += to_line(row);
  }
  for (const auto& [month, text] : lines) STELE_CHECK(append(options_.history_directory + "/hours-" + month + ".tsv", text));
  io::PosixFileSystem fs;
  return io::write_file_durably(fs, rpo_file(options_.history_directory), bytes, io::WriteMode::kReplace);
}

}  // namespace stele::receiver
