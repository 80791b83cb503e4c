#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "agent/stream/log_streamer.h"
#include "core/crypto/init.h"
#include "core/crypto/random.h"
#include "core/crypto/seal.h"
#include "tests/scenario/agent_postgres/support.h"

namespace stele::agent {

/// Keys of an agent and the authority's records about it, made in memory.
inline AgentKeys make_keys(RandomSource& random, const DatabaseName& database) {
  const crypto::Suite& suite = crypto::default_suite();
  const crypto::SigningKey authority = crypto::SigningKey::generate(suite, random);
  crypto::AgentKey key = crypto::AgentKey::generate(suite, "test", random);
  format::Enrolment enrolment;
  enrolment.database = database;
  enrolment.agent_key = to_bytes(key.signing.verify_key().bytes());
  format::RecipientList recipients;
  recipients.database = database;
  const auto recovery = crypto::RecipientKeyPair::generate(suite, random);
  recipients.recipients.push_back({format::RecipientKind::kRecovery, to_bytes(recovery.public_key().bytes()), "safe"});
  format::SignedRecord enrolment_record = enrolment.sign(authority).value(), recipients_record = recipients.sign(authority).value();
  const Digest enrolment_id = enrolment_record.id(), recipients_id = recipients_record.id();
  return AgentKeys{std::move(key), enrolment_record, enrolment, recipients_record, recipients, enrolment_id, recipients_id};
}

/// The agent without its uplinks: slot, log, spool, acknowledgement by the spool.
struct StreamFixture : testing::Test {
  const DatabaseName database{"440000", "registry"};
  SystemClock clock;
  crypto::SodiumRandom random;
  io::PosixFileSystem fs;
  std::string directory;
  std::optional<AgentKeys> keys;
  std::unique_ptr<AgentState> state;
  std::unique_ptr<FrameSpool> spool;
  std::unique_ptr<LogStreamer> log;
  std::map<EpochId, std::shared_ptr<const format::EpochSecrets>> epochs;
  std::vector<std::string> snapshots_wanted;
  FrameSpool::Options spool_options;
  Duration epoch_max_age{};
  std::uint64_t generation = 0;
  std::optional<HeldLog> receiver_holds;

  void SetUp() override {
    ASSERT_TRUE(crypto::init().ok());
    char made[] = "/tmp/stele-stream-XXXXXX";
    ASSERT_NE(::mkdtemp(made), nullptr);
    directory = made;
    keys.emplace(make_keys(random, database));
    spool_options.directory = directory + "/journal";
    spool_options.max_bytes = 64u << 20;
    spool_options.file_bytes = 4u << 20;
  }
  void TearDown() override {
    stop();
    std::filesystem::remove_all(directory);
  }
  void start_with_receiver(const std::string& conninfo, HeldLog held) {
    receiver_holds = std::move(held);
    start(conninfo);
  }
  void start(const std::string& conninfo) {
    auto opened_spool = FrameSpool::open(fs, random, spool_options);
    ASSERT_OK(opened_spool);
    spool = std::move(*opened_spool);
    auto opened_state = AgentState::open(fs, directory + "/state");
    ASSERT_OK(opened_state);
    state = std::move(*opened_state);
    LogStreamer::Options options;
    options.database = database;
    options.hosts = split_hosts(conninfo).value();
    options.slot = options.application_name = "stele";
    options.frame_delay = milliseconds(2);
    options.as_of_interval = seconds(1);
    options.epoch_max_age = epoch_max_age;
    LogStreamer::Hooks hooks;
    hooks.need_snapshot = [this](std::string why) { snapshots_wanted.push_back(std::move(why)); };
    AckPolicy::Options policy;
    policy.spool_only = true;
    log = std::make_unique<LogStreamer>(options, *keys, *state, *spool, policy, clock, random, hooks);
    FrameSpool::Callbacks callbacks;
    callbacks.on_durable = [this](const SpoolEntry& last) { log->on_spool_durable(last); };
    callbacks.on_failure = [this](const Error& error) { log->on_spool_failure(error); };
    spool->set_callbacks(std::move(callbacks));
    if (receiver_holds) log->receiver_holds("shenzhen", {*receiver_holds});
    ASSERT_OK(log->start({++generation}));
  }
  void stop() {
    if (!log) return;
    note_epoch();
    log->stop();
    spool->close();
    log.reset();
    spool.reset();
    state.reset();
  }
  void note_epoch() {
    if (auto context = log->context()) epochs[context->epoch] = context->secrets;
  }
  bool wait(const std::function<bool()>& until, int s = 30) {
    const auto end = clock.steady_now() + seconds(s);
    while (!until() && clock.steady_now() < end) std::this_thread::sleep_for(milliseconds(20));
    if (log) note_epoch();
    return until();
  }
  static Position flushed(PostgresCluster& server) { return parse_position(server.psql("SELECT pg_current_wal_flush_lsn()").value()).value(); }
  bool caught_up(PostgresCluster& server) {
    const Position target = flushed(server);
    const bool there = wait([&] { return log->status().confirmed >= target; });
    if (!there) ADD_FAILURE() << "confirmed " << log->status().confirmed.to_string() << " of " << target.to_string() << ": " << log->status().last_error;
    return there;
  }
  std::vector<SpoolEntry> entries() {
    std::vector<SpoolEntry> out;
    for (std::uint64_t after = 0;;) {
      auto next = spool->next_after(after).value();
      if (!next) return out;
      after = next->sequence;
      out.push_back(*next);
    }
  }
  std::vector<format::Fact> facts() {
    std::vector<format::Fact> out;
    for (const SpoolEntry& e : entries()) {
      if (e.kind == SpoolEntry::Kind::kFact) out.push_back(format::Fact::read(format::parse_record(*e.bytes, format::RecordKind::kFact).value()).value());
    }
    return out;
  }
  /// The stream's log as a restore would see it: by position, each object opened with its epoch's key. Checks chains and equal overlaps.
  std::pair<Position, Bytes> decode(const StreamId& stream) {
    Position begin;
    Bytes out;
    std::optional<format::LogObjectOpener> opener;
    format::FrameChain chain;
    for (const SpoolEntry& e : entries()) {
      if (e.kind != SpoolEntry::Kind::kFrame || e.stream != stream) continue;
      const format::Frame frame = format::parse_frame(*e.bytes).value();
      if (e.number == 0) {
        EXPECT_TRUE(epochs.contains(e.epoch));
        opener.emplace(format::LogObjectOpener::begin(frame.header(), epochs.at(e.epoch)->data).value());
        chain = {};
        if (out.empty()) begin = e.range.begin;
        EXPECT_LE(e.range.begin, begin + out.size()) << "a hole";
      }
      EXPECT_TRUE(chain.accept(frame).ok());
      if (frame.header().kind == format::FrameKind::kIndex) continue;
      Bytes piece;
      EXPECT_TRUE(opener->open_log(frame, piece).ok());
      const std::size_t known = begin + out.size() - e.range.begin;
      if (known > piece.size()) continue;
      EXPECT_TRUE(std::equal(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(known), out.end() - static_cast<std::ptrdiff_t>(known)));
      out.insert(out.end(), piece.begin() + static_cast<std::ptrdiff_t>(known), piece.end());
    }
    return {begin, std::move(out)};
  }
  /// What the server's own files hold of [begin, begin + size) of a timeline.
  static Bytes server_log(PostgresCluster& server, std::uint32_t timeline, Position begin, std::size_t size) {
    constexpr std::uint64_t kSegment = 1 << 20;
    Bytes out;
    for (Position at = begin; out.size() < size;) {
      const std::uint64_t number = at.value / kSegment;
      const std::uint64_t per_id = (1ull << 32) / kSegment;
      std::ifstream file(fmt::format("{}/pg_wal/{:08X}{:08X}{:08X}", server.data_directory(), timeline, number / per_id, number % per_id), std::ios::binary);
      if (!file) break;
      file.seekg(static_cast<std::streamoff>(at.value % kSegment));
      Bytes piece(std::min<std::uint64_t>(kSegment - at.value % kSegment, size - out.size()));
      file.read(reinterpret_cast<char*>(piece.data()), static_cast<std::streamsize>(piece.size()));
      out.insert(out.end(), piece.begin(), piece.end());
      at = at + piece.size();
    }
    return out;
  }
};

}  // namespace stele::agent
