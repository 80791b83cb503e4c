#include "agent/program/agent_program.h"

#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "agent/program/agent_metrics.h"
#include "agent/program/control.h"
#include "agent/program/status_report.h"
#include "core/config/log.h"
#include "core/net/wakeup.h"
#include "core/crypto/init.h"

namespace stele::agent {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

namespace {

constexpr auto kTick = std::chrono::milliseconds(200);
constexpr auto kPatience = std::chrono::milliseconds(1500);
constexpr auto kPatienceWithoutState = std::chrono::milliseconds(10'000);
constexpr auto kFinishDeadline = std::chrono::seconds(3);
constexpr auto kTlsWatch = std::chrono::seconds(5);

net::TlsConfig tls_config(const config::TlsConfig& in) {
  net::TlsConfig out;
  out.ca_file = in.ca.string();
  out.certificate_file = in.certificate.string();
  out.key_file = in.key.string();
  out.crl_file = in.crl.string();
  out.crl_stale = in.crl_stale == config::CrlStale::kRefuse ? net::CrlStale::kRefuse : net::CrlStale::kAllow;
  return out;
}

}  // namespace

std::string control_socket_path(const config::AgentConfig& config) { return (config.spool.directory / "control.sock").string(); }

AgentProgram::AgentProgram(config::AgentConfig config) : config_(std::move(config)), started_(clock_.now()), tick_(runtime_.io()) {}
AgentProgram::~AgentProgram() {
  disk_.join();
  if (spool_) spool_->close();  // its thread calls the log
}

Result<std::unique_ptr<AgentProgram>> AgentProgram::open(config::AgentConfig config) {
  std::unique_ptr<AgentProgram> out(new AgentProgram(std::move(config)));
  STELE_CHECK(out->open_parts());
  return out;
}

Status AgentProgram::open_parts() {
  STELE_CHECK(crypto::init());
  STELE_CHECK(crypto::harden_process());
  if (Status locked = crypto::probe_mlock(); !locked.ok()) log::warning(locked.error().what, {{"hint", locked.error().hint}});
  for (const auto& file : config_.secret_files()) STELE_CHECK(config::check_secret_file_mode(file));
  STELE_TRY(keys_, AgentKeys::load(config_.name, config_.keys.agent_key, config_.keys.enrolment, config_.keys.recipients));
  STELE_TRY(crypto::SigningKey signing, crypto::SigningKey::from_seed(keys_->key.signing.suite(), keys_->key.signing.seed().clone()));
  signing_ = std::make_shared<const crypto::SigningKey>(std::move(signing));
  const std::string directory = config_.spool.directory.string();
  STELE_CHECK(io::make_directories_durably(fs_, directory));
  STELE_TRY(lock_, fs_.try_lock(directory + "/agent.lock", "stele-agent"));
  FrameSpool::Options spool;
  spool.directory = config_.spool.mode == config::SpoolMode::kFile ? directory + "/journal" : "";
  spool.max_bytes = config_.spool.max_bytes;
  spool.file_bytes = config_.spool.file_bytes;
  STELE_TRY(spool_, FrameSpool::open(fs_, random_, spool));
  STELE_TRY(state_, AgentState::open(fs_, directory + "/state"));
  if (state_->was_empty() && spool_->last_frame()) {
    return Error{ErrorCode::kDamaged, "the spool holds log, but the state that names its branches and epochs is gone",
                 fmt::format("put {}/state back; without it move {}/journal away as well: the agent then begins a new branch with a new snapshot",
                             directory, directory)};
  }
  STELE_TRY(tls_, net::TlsContext::load(tls_config(config_.tls)));
  const net::PeerIdentity own = tls_->facts(clock_.now()).own;
  if (own.role != net::Role::kAgent || own.name != config_.name.site) {
    return Error{ErrorCode::kUnauthorised, fmt::format("the certificate {} is for {}, this agent is stele:agent:{}",
                                                       config_.tls.certificate.string(), own.to_string(), config_.name.site),
                 "use the certificate of this site's agent"};
  }
  sessions_ = std::make_shared<net::SessionRegistry>();
  identity_.database = config_.name;
  identity_.instance = random_.draw<protocol::InstanceId>();
  identity_.enrolment = keys_->enrolment_record.bytes;
  identity_.recipients = keys_->recipients_record.bytes;
  identity_.branch_record = [this](const StreamId& stream) -> Result<Bytes> {
    STELE_TRY(format::SignedRecord record, state_->read_branch(stream));
    return std::move(record.bytes);
  };
  identity_.epoch_record = [this](const EpochId& epoch) -> Result<Bytes> {
    STELE_TRY(format::SignedRecord record, state_->read_epoch(epoch));
    return std::move(record.bytes);
  };
  page_images_ = std::make_shared<PageImages>();
  bandwidth_ = std::make_shared<SharedBandwidth>(config_.bandwidth, clock_);
  metrics_ = std::make_unique<AgentMetrics>(config_, [this] { return view(); });
  STELE_CHECK(metrics_->registry().check());

  LogStreamer::Options log;
  log.database = config_.name;
  STELE_TRY(log.hosts, split_hosts(config_.postgres.conninfo));
  snapshot_hosts_ = log.hosts;
  if (!config_.postgres.standby_for_snapshots.empty()) {
    STELE_TRY(snapshot_hosts_, split_hosts(config_.postgres.standby_for_snapshots));
  }
  log.slot = config_.postgres.slot;
  log.application_name = config_.postgres.application_name;
  log.wal_sender_timeout_ms = static_cast<int>(config_.postgres.wal_sender_timeout.count() / 1000);
  log.encoding.frame_bytes = config_.log_stream.frame_bytes;
  log.encoding.object_bytes = config_.log_stream.object_bytes;
  log.encoding.compression.level = config_.log_stream.compression_level;
  log.encoding.compression.scope = config_.log_stream.compress_context == config::CompressContext::kFrame ? compress::ContextScope::kFrame
                                                                                                          : compress::ContextScope::kObject;
  log.frame_delay = config_.log_stream.frame_delay;
  log.as_of_interval = config_.log_stream.as_of_interval;
  log.epoch_max_age = config_.epoch.max_age;
  log.epoch_max_bytes = config_.epoch.max_bytes;
  if (config_.policy.on_full == config::OnFull::kRelease) log.release_after = config_.policy.release_after;
  AckPolicy::Options policy;
  policy.spool_only = config_.policy.ack == config::AckPolicy::kSpool;
  policy.quorum = config_.policy.quorum;
  policy.may_degrade = config_.policy.on_quorum_loss == config::OnQuorumLoss::kDegrade;
  policy.degrade_after = config_.policy.degrade_after;
  LogStreamer::Hooks hooks;
  hooks.need_snapshot = [this](std::string reason) {
    log::info("a snapshot is needed", {{"reason", reason}});
    if (auto context = log_->context()) snapshots_->set_stream(context->stream);
  };
  hooks.on_record = [this](const pg::WalRecord& record) { page_images_->add(record); };
  hooks.on_branch = [this] { page_images_->new_branch(); };
  log_ = std::make_unique<LogStreamer>(std::move(log), *keys_, *state_, *spool_, policy, clock_, random_, std::move(hooks));
  make_uplinks();
  return make_snapshots();
}

void AgentProgram::make_uplinks() {
  for (const config::ReceiverEndpoint& receiver : config_.receivers) {
    UplinkCallbacks callbacks;
    callbacks.on_durable = [this](const std::string& name, const StreamId& stream, Position end, const Digest&) {
      log_->on_receiver_durable(name, stream, end);
    };
    callbacks.on_claim = [this](const std::string& name, const protocol::StreamState& s) {
      log_->on_receiver_claims(name, {s.stream, s.durable_end, s.join});
    };
    callbacks.on_fork = [this](const std::string& name, const StreamId& stream) { return log_->on_receiver_fork(name, stream); };
    callbacks.on_rolled_back = [this](const std::string& name, const StreamId& stream, Position held, Position was) {
      asio::post(disk_, [this, name, stream, held, was] {
        Status noted = log_->record_fact(format::FactKind::kRolledBack, stream, {held, was}, was - held, "receiver " + name);
        if (!noted.ok()) log::log_error(noted.error());
      });
      need_snapshot_for(name, stream, held, true);
    };
    callbacks.on_gap = [this](const std::string& name, const StreamId& stream, Position from) { need_snapshot_for(name, stream, from, false); };
    callbacks.on_connected = [this](const std::string& name) {
      // It was away when the snapshot was made for it, or this agent has restarted since.
      if (log_->lacking().contains(name) && !snapshots_->status().running) snapshots_->request(SnapshotReason::kReceiverLost, false);
    };
    callbacks.on_disconnected = [](const std::string& name, const Error& why) { log::log_error(why, {{"receiver", name}}); };
    callbacks.on_ack_latency = [this](double seconds) { metrics_->observe_ack(seconds); };
    callbacks.on_sent = [this](std::uint64_t bytes) { bandwidth_->log_sent(bytes); };
    uplinks_.push_back(std::make_shared<Uplink>(runtime_.executor(), tls_, sessions_, receiver.name, receiver.address.to_string(), *spool_,
                                                identity_, clock_, std::move(callbacks)));
    const AgentFacts facts = state_->facts();
    if (auto mark = facts.receivers.find(receiver.name); mark != facts.receivers.end()) uplinks_.back()->remember(mark->second);
  }
  FrameSpool::Callbacks callbacks;
  callbacks.on_append = [this] {
    for (auto& uplink : uplinks_) uplink->notify();
  };
  callbacks.on_durable = [this](const SpoolEntry& last) { log_->on_spool_durable(last); };
  callbacks.on_failure = [this](const Error& error) { log_->on_spool_failure(error); };
  spool_->set_callbacks(std::move(callbacks));
}

/// Its snapshots may be gone too. What it still has is not sent again.
void AgentProgram::need_snapshot_for(const std::string& receiver, const StreamId& stream, Position from, bool lost) {
  if (!log_->receiver_lacks(receiver, stream, from, lost)) return;
  asio::post(disk_, [this] { log_->save_lacking(); });
  snapshots_->request(SnapshotReason::kReceiverLost, false);
}

Status AgentProgram::make_snapshots() {
  SnapshotService::Options options;
  options.database = config_.name;
  options.config = config_.snapshot;
  options.state_directory = (config_.spool.directory / "state").string();
  SnapshotService::Callbacks callbacks;
  callbacks.context = [this] { return snapshot_context(); };
  callbacks.on_failure = [](const Error& error) { log::log_error(error.in("snapshot")); };
  callbacks.on_success = [this](const SnapshotReport& report) {
    for (const std::string& receiver : report.receivers) log_->snapshot_committed(receiver, report.stream, report.start, lacking_at_snapshot_);
    if (!lacking_at_snapshot_.empty()) log_->save_lacking();
    log::info("snapshot committed", {{"snapshot", report.snapshot.short_hex()},
                                     {"start", report.start},
                                     {"stop", report.stop},
                                     {"raw_bytes", report.raw_bytes},
                                     {"sent_bytes", report.sent_bytes},
                                     {"damaged_pages", report.damaged_pages}});
  };
  STELE_TRY(snapshots_, SnapshotService::create(std::move(options), std::move(callbacks), fs_, clock_, random_));
  return {};
}

Result<SnapshotContext> AgentProgram::snapshot_context() {
  auto stream = log_->context();
  if (!stream) return Error{ErrorCode::kTemporary, "the log is not streaming yet", "the snapshot begins when it does"};
  SnapshotContext out;
  out.database = config_.name;
  out.stream = stream->stream;
  out.system_identifier = stream->system_identifier;
  out.timeline = stream->timeline;
  out.log_begin = stream->log_begin;
  out.generation = stream->generation;
  out.epoch = stream->epoch;
  out.secrets = stream->secrets;
  out.enrolment = keys_->enrolment_record.bytes;
  out.recipients = keys_->recipients_record.bytes;
  out.branch = stream->branch_record.bytes;
  out.epoch_record = stream->epoch_record.bytes;
  out.signing = signing_;
  out.instance = identity_.instance;
  out.is_standby = !config_.postgres.standby_for_snapshots.empty();
  const std::string host = log_->status().host;
  auto chosen = std::find_if(snapshot_hosts_.begin(), snapshot_hosts_.end(), [&](const ServerAddress& a) { return a.label() == host; });
  out.server = chosen != snapshot_hosts_.end() ? *chosen : snapshot_hosts_.front();
  for (const config::ReceiverEndpoint& receiver : config_.receivers) out.receivers.push_back({receiver.name, receiver.address.to_string()});
  // One receiver with a new snapshot is better than none; only where commits wait for receivers to be whole again must it reach those.
  lacking_at_snapshot_ = log_->lacking();
  const auto whole = static_cast<int>(std::count_if(config_.receivers.begin(), config_.receivers.end(),
                                                    [&](const auto& r) { return !lacking_at_snapshot_.contains(r.name); }));
  const bool waiting = config_.policy.ack == config::AckPolicy::kReceivers && whole < config_.policy.quorum;
  out.quorum = waiting ? static_cast<std::size_t>(config_.policy.quorum) : 1;
  out.tls = tls_;
  out.sessions = sessions_;
  out.pool = snapshot_network_.get_executor();
  out.bandwidth = bandwidth_;
  out.page_images = page_images_;
  return out;
}

Status AgentProgram::run() {
  return runtime_.run([this] { return main(); },
                      [this](int) {  // on main's strand, as the timer's waits are
                        stopping_ = true;
                        tick_.cancel();
                      });
}

net::Task<Generation> AgentProgram::choose_generation() {
  Generation highest = state_->facts().generation;
  // Commits may be waiting for the log, so a receiver that is away must not hold it up for long; without a state of its own the agent has
  // nobody else to ask.
  const auto patience = highest.value != 0 ? kPatience : kPatienceWithoutState;
  auto ask = [&](const config::ReceiverEndpoint& receiver) -> net::Task<void> {
    auto seen = co_await query_receiver(runtime_.executor(), tls_, sessions_, receiver.name, receiver.address.to_string(), identity_, patience);
    if (!seen.ok()) {
      log::log_error(seen.error().in("asking what the receiver holds"), {{"receiver", receiver.name}});
      co_return;
    }
    highest = std::max(highest, seen->highest_generation);
    std::vector<HeldLog> held;
    for (const protocol::StreamState& s : seen->streams) held.push_back({s.stream, s.durable_end, s.join});
    log_->receiver_holds(receiver.name, std::move(held));
  };
  // All at once, on this coroutine's strand; what they use outlives them, for all of them are waited for.
  const auto executor = co_await asio::this_coro::executor;
  net::Wakeup answered(executor);
  std::size_t waiting = config_.receivers.size();
  for (const config::ReceiverEndpoint& receiver : config_.receivers) {
    asio::co_spawn(executor, ask(receiver), [&](std::exception_ptr failed) {
      --waiting;
      answered.notify_all();
      if (failed) std::rethrow_exception(failed);
    });
  }
  while (waiting > 0) co_await answered.wait();
  highest = std::max(highest, Generation{keys_->enrolment.first_generation.value == 0 ? 0 : keys_->enrolment.first_generation.value - 1});
  co_return Generation{highest.value + 1};
}

net::Task<Status> AgentProgram::main() {
  STELE_CO_CHECK(start_http());
  control_ = std::make_unique<ControlServer>(runtime_.executor(), control_socket_path(config_), *this);
  STELE_CO_CHECK(control_->start());
  generation_ = co_await choose_generation();
  STELE_CO_CHECK(state_->update([&](AgentFacts& facts) { facts.generation = generation_; }));
  STELE_CO_CHECK(state_->keep_epochs(spool_->epochs()));
  snapshots_->start();
  STELE_CO_CHECK(log_->start(generation_));
  for (auto& uplink : uplinks_) {
    uplink->set_generation(generation_);
    asio::co_spawn(runtime_.io(), [uplink] { return uplink->run(); }, [](std::exception_ptr failed) {
      if (failed) std::rethrow_exception(failed);
    });
  }
  auto report_reload = [](const Status& status, const std::vector<net::PeerIdentity>& closed) {
    if (!status.ok()) log::log_error(status.error());
    for (const auto& peer : closed) log::warning("closed: certificate revoked", {{"peer", peer}});
  };
  log::info("agent started", {{"database", config_.name}, {"generation", generation_.value}});
  co_await (housekeeping() || net::watch_tls_files(tls_, sessions_, kTlsWatch, report_reload));
  co_await finish();
  co_return Status{};
}

net::Task<void> AgentProgram::housekeeping() {
  Instant next_status = clock_.steady_now(), next_marks = clock_.steady_now();
  while (!stopping_) {
    tick_.expires_after(kTick);
    co_await tick_.async_wait(asio::as_tuple(asio::use_awaitable));
    release_spool();
    if (auto context = log_->context()) snapshots_->set_stream(context->stream);
    const Instant now = clock_.steady_now();
    if (now >= next_status) {
      next_status = now + config_.status_interval;
      post_status();
    }
    if (now >= next_marks) {
      next_marks = now + std::chrono::seconds(1);
      if (!saving_marks_.exchange(true)) {
        asio::post(disk_, [this] {
          save_marks();
          saving_marks_ = false;
        });
      }
    }
  }
}

net::Task<void> AgentProgram::finish() {
  log::info("stopping");
  snapshots_->stop();
  log_->stop();  // seals what was read
  const Instant until = clock_.steady_now() + kFinishDeadline;
  const auto last = spool_->last_frame();
  while (last && clock_.steady_now() < until) {
    const bool all_sent = std::all_of(uplinks_.begin(), uplinks_.end(), [&](const auto& uplink) {
      const UplinkState state = uplink->state();
      return !state.connected || state.acknowledged >= last->sequence;
    });
    if (all_sent) break;
    tick_.expires_after(std::chrono::milliseconds(20));
    co_await tick_.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  asio::post(disk_, [this] { save_marks(); });
  for (auto& uplink : uplinks_) uplink->stop();
  co_await control_->stop();
  if (http_) co_await http_->stop();
}

void AgentProgram::release_spool() {
  const auto lacking = log_->lacking();
  std::vector<std::uint64_t> whole;  // at receivers that count
  std::uint64_t through = ~std::uint64_t{0};
  for (const auto& uplink : uplinks_) {
    const UplinkState state = uplink->state();
    through = std::min(through, state.acknowledged);
    if (!lacking.contains(state.receiver)) whole.push_back(state.acknowledged);
  }
  // A receiver that is away must not fill the spool while the quorum goes on: it will have an open gap.
  const bool nearly_full = spool_->disk_bytes() >= spool_->capacity() / 10 * 8;
  const std::size_t quorum = std::clamp<std::size_t>(static_cast<std::size_t>(config_.policy.quorum), 1, uplinks_.size());
  if (nearly_full && whole.size() >= quorum) {
    std::sort(whole.begin(), whole.end(), std::greater<>());
    through = whole[quorum - 1];
  }
  spool_->release_through(through);
}

void AgentProgram::save_marks() {
  std::map<std::string, ReceiverMark> marks = saved_marks_;
  for (const auto& uplink : uplinks_) {
    const UplinkState state = uplink->state();
    if (state.durable_end.value != 0 && !state.claimed) marks[state.receiver] = {state.stream, state.durable_end, state.head};
  }
  if (marks == saved_marks_) return;
  Status saved = state_->update([&](AgentFacts& facts) {
    for (const auto& [name, mark] : marks) facts.receivers[name] = mark;
    if (auto last = spool_->last_durable_frame()) {
      for (BranchMark& mark : facts.branches) {
        if (mark.stream == last->stream) mark = {last->stream, last->range.end, last->join, true};
      }
    }
  });
  if (!saved.ok()) {
    log::log_error(saved.error());
    return;
  }
  saved_marks_ = std::move(marks);
}

void AgentProgram::post_status() {
  auto record = status_message(view(), config_).sign(*signing_);
  if (!record.ok()) {
    log::log_error(record.error());
    return;
  }
  for (auto& uplink : uplinks_) uplink->post_status(record->bytes);
}

AgentView AgentProgram::view() const {
  AgentView out;
  out.log = log_->status();
  const auto lacking = log_->lacking();
  for (const auto& uplink : uplinks_) {
    out.uplinks.push_back(uplink->state());
    out.uplinks.back().gap |= lacking.contains(out.uplinks.back().receiver);
  }
  out.snapshot = snapshots_->status();
  out.generation = generation_;
  out.spool_bytes = spool_->bytes();
  out.spool_disk_bytes = spool_->disk_bytes();
  out.spool_capacity = spool_->capacity();
  out.spool_failed = spool_->failed();
  out.off_site_end = off_site_end(out, config_.policy.quorum);
  out.off_site_time = log_->reached(out.off_site_end);
  out.started = started_;
  out.enrolled = keys_->enrolment.issued;
  out.recovery_keys = static_cast<std::size_t>(std::count_if(keys_->recipients.recipients.begin(), keys_->recipients.recipients.end(),
                                                             [](const format::Recipient& r) { return r.kind == format::RecipientKind::kRecovery; }));
  out.log_lines_dropped = log::dropped_lines();
  out.now = clock_.now();
  out.tls = tls_->facts(out.now);
  return out;
}

std::string AgentProgram::render_metrics() { return metrics_->render(); }

Status AgentProgram::start_http() {
  if (config_.metrics.listen.port == 0 && config_.metrics.listen.host.empty()) return {};
  net::HttpServerOptions options;
  options.address = config_.metrics.listen.to_string();
  http_ = std::make_unique<net::HttpServer>(runtime_.executor(), options);
  http_->route("/metrics", [this](const net::HttpRequest& request) {
    net::HttpResponse out = metrics_text_.answer(request);
    out.content_type = "text/plain; version=0.0.4; charset=utf-8";
    return out;
  });
  http_->route("/healthz", [](const net::HttpRequest&) { return net::HttpResponse{200, "text/plain; charset=utf-8", "ok\n"}; });
  http_->route("/readyz", [this](const net::HttpRequest&) {
    const AgentView now = view();
    const bool ready = now.log.streaming && !now.spool_failed;
    return net::HttpResponse{ready ? 200 : 503, "text/plain; charset=utf-8", ready ? "ready\n" : "not streaming: " + now.log.last_error + "\n"};
  });
  return http_->start();
}

}  // namespace stele::agent
