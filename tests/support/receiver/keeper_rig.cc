#include "tests/support/receiver/keeper_rig.h"

#include <future>
#include <stdexcept>

#include "core/format/landed_frame.h"
#include "core/format/object_names.h"
#include "core/format/run.h"
#include "core/io/journal_reader.h"


namespace stele::test {

Status MemoryKeyValues::write(const std::vector<receiver::Change>& changes) {
  std::lock_guard lock(mutex_);
  for (const receiver::Change& c : changes) {
    switch (c.kind) {
      case receiver::Change::Kind::kPut: map_[c.key] = c.value; break;
      case receiver::Change::Kind::kAppend: map_[c.key] += c.value; break;
      case receiver::Change::Kind::kRemove: map_.erase(c.key); break;
    }
  }
  return {};
}

Result<std::vector<std::optional<std::string>>> MemoryKeyValues::get(const std::vector<std::string>& keys) {
  std::lock_guard lock(mutex_);
  std::vector<std::optional<std::string>> out;
  for (const std::string& key : keys) {
    auto it = map_.find(key);
    out.push_back(it == map_.end() ? std::nullopt : std::optional(it->second));
  }
  return out;
}

Status MemoryKeyValues::scan(std::string_view prefix, std::string_view after, const std::function<bool(std::string_view, std::string_view)>& visit) {
  std::lock_guard lock(mutex_);
  for (auto it = map_.lower_bound(std::string(std::max(prefix, after))); it != map_.end() && it->first.starts_with(prefix); ++it) {
    if (it->first == after) continue;
    if (!visit(it->first, it->second)) break;
  }
  return {};
}

KeeperRig::KeeperRig(const ScriptedAgent& agent, std::uint64_t seed)
    : fs(seed), random(seed + 1000), agent_(agent), signer_(crypto::SigningKey::generate(crypto::default_suite(), random)) {
  options.receiver = "shaoguan";
  options.store_root = "/store";
  options.journal.directory = "/store/journal";
  options.journal.file_bytes = 256 << 10;
  options.journal.max_bytes = 8 << 20;
  options.seal.after = std::chrono::seconds(60);
  options.seal.max_run_bytes = 4 << 20;
  receiver::KeeperOptions::Site site;
  site.config.name = agent.database.site;
  site.config.databases = {agent.database.database};
  site.config.limits.stored_bytes = 1ull << 40;
  site.config.limits.objects_per_day = 1'000'000;
  site.config.limits.epochs_per_day = 100;
  site.config.limits.records_per_day = 1'000;
  site.config.limits.open_objects = 64;
  site.config.limits.connections = 8;
  site.config.limits.chunk_queries_per_second = 100'000;
  site.authorities = {agent.authority.verify_key()};
  options.sites = {site};
}

Status KeeperRig::start(bool keep_catalog) {
  stop();
  if (auto there = fs.exists("/store"); there.ok() && !*there) {
    STELE_CHECK(fs.make_directory("/store"));
    STELE_CHECK(fs.sync_directory("/"));
  }
  STELE_TRY(store_, store::LocalStore::open(fs, "/store", "test"));
  if (!catalog_ || !keep_catalog) catalog_ = std::make_unique<receiver::Catalog>(std::make_unique<MemoryKeyValues>());
  receiver::KeeperParts parts{fs, *store_, *catalog_, random, clock, signer_, metrics};
  auto opened = receiver::Keeper::open(parts, options);
  if (!opened.ok()) {
    store_.reset();
    return opened.error();
  }
  keeper_ = std::move(*opened);
  return {};
}

void KeeperRig::stop() {
  ingest_.reset();
  keeper_.reset();
  store_.reset();
}

void KeeperRig::crash(FaultFileSystem::Crash how) {
  fs.crash(how);
  stop();
}

Status KeeperRig::put_trust(const ScriptedAgent& agent) {
  for (const Bytes* record : {&agent.enrolment, &agent.recipients, &agent.branch, &agent.epoch}) {
    STELE_TRY([[maybe_unused]] Digest id, keeper_->put_record(database(), *record));
  }
  return {};
}

namespace {
protocol::InstanceId instance_of(std::uint8_t number) {
  protocol::InstanceId out;
  out.data[0] = number;
  return out;
}
}  // namespace

Result<std::variant<Digest, protocol::MissingChunks>> KeeperRig::commit(ByteView manifest, std::uint8_t instance) {
  return keeper_->commit_snapshot(database(), instance_of(instance), manifest);
}

Result<protocol::StreamState> KeeperRig::open(const ScriptedAgent& agent, std::uint64_t session, std::uint8_t instance) {
  STELE_TRY(protocol::StreamState state, keeper_->open_stream(database(), agent.stream, agent.generation, instance_of(instance), session));
  ingest_.emplace(keeper_->make_ingest(database(), agent.stream, agent.generation));
  return state;
}

Result<std::optional<protocol::Ack>> KeeperRig::send(format::Frame frame, std::uint64_t session) {
  // As from the line: bytes, parsed.
  STELE_TRY(format::Frame parsed, format::parse_frame(frame.encode()));
  STELE_TRY(receiver::IngestVerdict verdict, keeper_->judge(database(), *ingest_, std::move(parsed)));
  if (!verdict.store.empty()) {
    std::promise<Status> promise;
    auto durable = promise.get_future();
    STELE_CHECK(keeper_->land(database(), session, verdict.store, [&promise](Status s) { promise.set_value(std::move(s)); }));
    STELE_CHECK(durable.get());
  }
  return verdict.ack;
}

receiver::RangeSet KeeperRig::readable(const ScriptedAgent& agent) {
  // Every frame that a reader finds, by object and number.
  std::map<ObjectId, std::map<std::uint32_t, format::Frame>> objects;
  auto take = [&](format::Frame frame) {
    if (frame.header().stream == agent.stream) objects[frame.header().object].emplace(frame.header().number, std::move(frame));
  };
  auto reader = must(store::open_local_reader(fs, "/store"));
  for (const auto& info : must(reader->list(format::log_prefix(agent.database, agent.stream)))) {
    const Bytes bytes = must(reader->read_all(info.name, 64 << 20));
    must(format::read_run(bytes, &agent.key.verify_key(), [&](format::Frame frame) -> Status {
      take(std::move(frame));
      return {};
    }));
  }
  io::JournalVisitor visitor;
  visitor.on_record = [&](io::RecordId, ByteView payload) -> Status {
    STELE_TRY(format::LandedFrame landed, format::parse_landed_frame(payload));
    STELE_TRY(format::Frame frame, format::parse_frame(landed.frame));
    take(std::move(frame));
    return {};
  };
  visitor.on_damage = [](const io::JournalDamage&) -> Status { return {}; };
  if (must(fs.exists("/store/journal"))) must(io::read_journal(fs, "/store/journal", visitor));
  receiver::RangeSet out;
  for (auto& [id, frames] : objects) {
    format::FrameChain chain;
    std::optional<format::LogObjectOpener> opener;
    std::vector<std::pair<PositionRange, Bytes>> waiting;
    std::uint32_t expected = 0;
    for (auto& [number, frame] : frames) {
      if (number != expected++) break;
      must(chain.accept(frame));
      if (!opener) opener.emplace(must(format::LogObjectOpener::begin(frame.header(), agent.data_key())));
      Bytes raw;
      if (frame.header().kind != format::FrameKind::kIndex) must(opener->open_log(frame, raw));
      waiting.push_back({{frame.header().start, frame.header().end}, std::move(raw)});
      if (frame.signature().empty()) continue;
      must(chain.verify(frame, agent.key.verify_key()));
      for (const auto& [range, bytes] : waiting) {
        const std::size_t at = range.begin - agent.log_begin();
        if (!equal(bytes, ByteView(agent.log()).subspan(at, bytes.size()))) throw std::runtime_error("the log read back differs at " + range.begin.to_string());
        out.add(range);
      }
      waiting.clear();
    }
  }
  return out;
}

std::uint64_t KeeperRig::readable_end(const ScriptedAgent& agent) {
  const auto ranges = readable(agent).ranges();
  return ranges.empty() ? agent.log_begin().value : ranges.front().end.value;
}

}  // namespace stele::test
