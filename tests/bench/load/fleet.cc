#include "tests/bench/load/fleet.h"

#include <fmt/format.h>

#include <fstream>

#include "core/crypto/init.h"
#include "core/format/drill_record.h"
#include "core/metrics/status_metrics.h"
#include "receiver/status/rpo_history.h"

namespace stele::bench {

using protocol::MessageType;
using protocol::Purpose;
using test::must;

namespace {

constexpr std::size_t kThreads = 4;
constexpr auto kDay = std::chrono::hours(24);
constexpr std::uint64_t kSegment = 16 << 20;  // of ScriptedAgent's branches
// Of provinces (GB/T 2260). The first is the probe's, which is alone there.
constexpr int kProvinces[] = {44, 11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63, 64, 65};
constexpr int kOthers = std::size(kProvinces) - 1;

Timestamp now() { return SystemClock().now(); }

DatabaseName name_of(int i) {
  if (i == 0) return {"440000", "registry"};
  const int row = (i - 1) / kOthers;
  return {fmt::format("{}0000", kProvinces[1 + (i - 1) % kOthers]), row == 0 ? "registry" : fmt::format("registry-{:02}", row)};
}

/// Most are well; primes spread the others.
Mood mood_of(int i) {
  if (i == 0) return Mood::kWell;
  if (i % 37 == 5) return Mood::kAway;
  if (i % 53 == 7) return Mood::kDrillFailed;
  if (i % 29 == 3) return Mood::kDrillLate;
  if (i % 61 == 9) return Mood::kGap;
  if (i % 41 == 11) return Mood::kSpoolFilling;
  if (i % 97 == 13) return Mood::kNoSnapshot;
  if (i % 71 == 19) return Mood::kCertificateEnding;
  return Mood::kWell;
}

}  // namespace

struct Fleet::Member {
  Member(int index, Mood m) : agent(name_of(index), static_cast<std::uint64_t>(index) + 1), mood(m) {}
  std::mutex mutex;  ///< the probe and the living fleet use the first one in turn
  test::ScriptedAgent agent;
  Mood mood;
  std::unique_ptr<test::AgentLine> line;
  Timestamp last_snapshot;
};

Fleet::Fleet(Options options) : options_(options), restore_host_([] {
  test::SeededRandom random(99);
  must(crypto::init());
  return crypto::SigningKey::generate(crypto::default_suite(), random);
}()) {
  for (int i = 0; i < options_.databases; ++i) members_.push_back(std::make_unique<Member>(i, options_.trouble ? mood_of(i) : Mood::kWell));
  for (std::size_t i = 0; i < kThreads; ++i) threads_.push_back(std::make_unique<test::ClientThread>());
  receiver_ = std::make_unique<test::ReceiverProcess>(members_[0]->agent, sites_config(), "60s");
  write_history();
  receiver_->start();
  for (const auto& member : members_) {
    auto& identity = identities_[member->agent.database.site];
    if (!identity) identity = receiver_->identity("stele:agent:" + member->agent.database.site);
  }
  const auto operators = receiver_->identity("stele:operator:*");
  std::vector<std::thread> workers;
  std::mutex failure_mutex;
  std::string failure;
  for (std::size_t t = 0; t < kThreads; ++t) {
    workers.emplace_back([&, t] {
      try {
        client::RemoteReader::Options reader;
        reader.address = receiver_->address();
        reader.receiver = "shaoguan";
        reader.tls = operators;
        auto remote = must(client::RemoteReader::open(reader));
        for (std::size_t i = t; i < members_.size(); i += kThreads) {
          begin(*members_[i], *threads_[t]);
          add_drills(*members_[i], *remote);
        }
      } catch (const std::exception& e) {
        std::lock_guard lock(failure_mutex);
        failure = e.what();
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  if (!failure.empty()) throw std::runtime_error(failure + "\n" + receiver_->log());
  life_ = std::thread([this] { live(); });
}

Fleet::~Fleet() {
  stop_ = true;
  if (life_.joinable()) life_.join();
  for (const auto& member : members_) member->line.reset();
}

/// Everything but the first database, which the receiver's own configuration names.
std::string Fleet::sites_config() const {
  std::string out = options_.page_port == 0 ? "" : fmt::format("[page]\nlisten = \"127.0.0.1:{}\"\n", options_.page_port);
  std::map<std::string, std::pair<std::string, std::string>> sites;  // databases, authorities
  for (const auto& member : members_) {
    if (member == members_.front()) continue;
    const DatabaseName& name = member->agent.database;
    const std::string label = name.site + "-" + name.database;
    out += fmt::format("[[authority]]\nlabel = \"{}\"\npublic_key = \"{}\"\n", label, to_hex(member->agent.authority.verify_key().bytes()));
    auto& [databases, authorities] = sites[name.site];
    databases += fmt::format("\"{}\", ", name.database);
    authorities += fmt::format("\"{}\", ", label);
  }
  for (const auto& [site, lists] : sites) {
    out += fmt::format("[[site]]\nname = \"{}\"\ndatabases = [{}]\nauthorities = [{}]\n[site.limits]\nconnections = 10000\n", site, lists.first, lists.second);
  }
  return out;
}

/// Recovery points of the last six hours: small ones, and a peak for some.
void Fleet::write_history() {
  receiver::RpoHistory history;
  const Timestamp end = now();
  for (std::size_t i = 0; i < members_.size(); ++i) {
    for (int step = 720; step > 0; --step) {
      const bool peak = i % 11 == 4 && step % 240 < 20;
      history.add(members_[i]->agent.database, end + -std::chrono::seconds(30 * step), peak ? 20 + step % 240 : step % 7 == 0 ? 1.5 : 0);
    }
  }
  const auto directory = receiver_->directory / "catalog.history";
  std::filesystem::create_directories(directory);
  const Bytes bytes = history.encode();
  std::ofstream(directory / "rpo", std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void Fleet::begin(Member& member, test::ClientThread& thread) {
  test::ScriptedAgent& agent = member.agent;
  const Timestamp end = now();
  agent.clock = end + -kDay * options_.days + -std::chrono::minutes(30);
  agent.begin_branch();
  const auto tls = identities_.at(agent.database.site);
  member.line = std::make_unique<test::AgentLine>(thread, *receiver_, tls, Purpose::kLog);
  must(member.line->introduce(agent));
  must(member.line->open_stream(agent));
  test::AgentLine snapshots(thread, *receiver_, tls, Purpose::kSnapshot);
  must(snapshots.call(MessageType::kQueryDatabase, protocol::encode_database(agent.database), MessageType::kDatabaseState));
  for (int day = options_.days; day >= 0; --day) add_day(member, snapshots, end + -kDay * day + -std::chrono::minutes(20));
  if (member.mood == Mood::kAway) member.line.reset();
  else must(say(member));
}

void Fleet::add_day(Member& member, test::AgentLine& snapshots, Timestamp day) {
  test::ScriptedAgent& agent = member.agent;
  const Position start = agent.position();
  agent.clock = day;
  must(member.line->send_frame(agent.log_frame(2'000)));
  if (!member.line->wait_acknowledged(agent.position())) throw std::runtime_error(agent.database.to_string() + ": the log was not acknowledged");
  if (member.mood == Mood::kNoSnapshot) return;
  const auto pack = agent.pack(2, 1024);
  must(snapshots.call(MessageType::kPutPack, pack.bytes, MessageType::kStored));
  const Digest list = must(protocol::read_stored(must(snapshots.call(MessageType::kPutList, test::ScriptedAgent::list(pack.names), MessageType::kStored))));
  must(snapshots.call(MessageType::kCommitSnapshot, agent.manifest({list}, pack.names.size(), {start, agent.position()}), MessageType::kStored));
  member.last_snapshot = agent.clock;
  if (member.mood == Mood::kGap && now() - day < kDay * 2) {
    must(member.line->send_frame(agent.index_frame()));
    // As a primary does: its next snapshot begins with a new segment.
    agent.skip(kSegment - agent.position().value % kSegment);
    member.mood = Mood::kWell;  // one is enough
  }
}

void Fleet::add_drills(Member& member, client::RemoteReader& operators) {
  const bool late = member.mood == Mood::kDrillLate;
  for (int week = 2; week >= 0; --week) {
    format::DrillRecord drill;
    drill.database = member.agent.database;
    member.agent.random.fill(drill.drill.view());
    drill.finished = now() + -kDay * (7 * week + (late ? 16 : 1));
    drill.started = drill.finished + -std::chrono::minutes(12);
    const bool failed = week == 0 && member.mood == Mood::kDrillFailed;
    drill.outcome = failed ? format::DrillOutcomeKind::kFailed : format::DrillOutcomeKind::kPassed;
    drill.passed = 14;
    drill.failed = failed ? 1 : 0;
    drill.note = failed ? "assertion:02_member_has_organisation.sql: 3 rows violate it" : "";
    drill.rto = 640'000'000;
    drill.rto_target = 14'400'000'000;
    drill.rpo = 2'500'000;
    drill.rpo_target = 900'000'000;
    must(operators.put_record(must(drill.sign(restore_host_)).bytes));
  }
}

/// What an agent says of itself: every field that is exported.
Status Fleet::say(Member& member) {
  std::map<std::string, double> fields;
  for (const metrics::StatusMetric& m : metrics::status_metrics()) fields[m.field] = 0;
  const double at = static_cast<double>(now().micros) / 1e6;
  const auto position = static_cast<double>(member.agent.position().value);
  fields.insert_or_assign("streaming", 1);
  for (const char* name : {"quorum", "receivers_connected", "receivers_configured", "recovery_keys", "timeline"}) fields.insert_or_assign(name, name == std::string_view("recovery_keys") ? 2 : 1);
  for (const char* name : {"server_position_bytes", "off_site_position_bytes", "sealed_position_bytes", "confirmed_position_bytes"}) fields.insert_or_assign(name, position);
  fields["rpo_target_seconds"] = 60;
  fields["rto_target_seconds"] = 14'400;
  fields["snapshot_interval_target_seconds"] = 26 * 3600;
  fields["window_target_seconds"] = 30 * 86'400;
  fields["drill_interval_target_seconds"] = 7 * 86'400;
  fields["status_interval_seconds"] = 5;
  fields["spool_limit_bytes"] = 1 << 30;
  fields["spool_disk_bytes"] = member.mood == Mood::kSpoolFilling ? 0.62 * (1 << 30) : 64 << 20;
  fields["certificate_expiry_timestamp_seconds"] = at + 86'400.0 * (member.mood == Mood::kCertificateEnding ? 12 : 300);
  fields["ca_expiry_timestamp_seconds"] = at + 86'400.0 * 2'000;
  fields["snapshot_last_success_timestamp_seconds"] = static_cast<double>(member.last_snapshot.micros) / 1e6;
  member.agent.clock = now();
  return member.line->send_status(member.agent.status(fields, {{"version", STELE_VERSION}, {"server_version", "150018"}, {"ack", "receivers"}}));
}

void Fleet::live() {
  constexpr std::chrono::seconds kPeriod{5};
  for (int round = 0; !stop_; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < members_.size() && !stop_; ++i) {
      Member& member = *members_[i];
      if (member.line) {
        std::lock_guard lock(member.mutex);
        if (round % 2 == 0) {
          member.agent.clock = now() + -std::chrono::seconds(10);
          if (!member.line->send_frame(member.agent.as_of_frame()).ok()) continue;  // the receiver is stopping
        }
        // A line that ended (the receiver stops, or was kept waiting too long) is an agent that is away from now on.
        if (!say(member).ok()) member.line.reset();
      }
      std::this_thread::sleep_until(begin + kPeriod * static_cast<double>(i + 1) / static_cast<double>(members_.size()));
    }
  }
}

std::vector<double> Fleet::acknowledgements(int count) {
  std::vector<double> out;
  Member& member = *members_.front();
  for (int i = 0; i < count; ++i) {
    {
      std::lock_guard lock(member.mutex);
      member.agent.clock = now() + -std::chrono::milliseconds(10);
      const format::Frame frame = member.agent.log_frame(20'000);
      const auto begin = std::chrono::steady_clock::now();
      must(member.line->send_frame(frame));
      if (!member.line->wait_acknowledged(member.agent.position())) throw std::runtime_error("the probe's log was not acknowledged");
      out.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return out;
}

}  // namespace stele::bench
