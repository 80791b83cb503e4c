#include "agent/stream/standby_slots.h"

#include <map>

#include "agent/postgres/slot.h"
#include "core/config/log.h"

namespace stele::agent {

namespace {
constexpr auto kConnectDeadline = std::chrono::seconds(5);
constexpr auto kQueryDeadline = std::chrono::seconds(10);
}  // namespace

StandbySlots::StandbySlots(Options options, Clock& clock, Source source)
    : options_(std::move(options)), clock_(clock), source_(std::move(source)) {}

StandbySlots::~StandbySlots() { stop(); }

Status StandbySlots::start() {
  if (options_.hosts.size() < 2) return {};
  STELE_TRY(interrupt_, Interrupt::create());
  thread_ = std::thread([this] { run(); });
  return {};
}

void StandbySlots::stop() {
  if (!thread_.joinable()) return;
  {
    std::lock_guard lock(mutex_);  // else the thread could look just before and sleep through the wake-up
    interrupt_->stop();
  }
  wake_.notify_all();
  thread_.join();
}

void StandbySlots::run() {
  std::string told;
  while (!interrupt_->stopped()) {
    std::string now;
    for (const Error& error : round()) now += error.to_string();
    if (!now.empty() && now != told && !interrupt_->stopped()) log::warning("a standby's slot could not be kept", {{"reason", now}});
    told = std::move(now);
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, options_.interval, [this] { return interrupt_->stopped(); });
  }
}

std::vector<Error> StandbySlots::round() {
  std::vector<Error> out;
  const std::optional<Reached> reached = source_();
  if (!reached) return out;
  for (const ServerAddress& host : options_.hosts) {
    if (host.label() == reached->primary) continue;
    if (interrupt_ && interrupt_->stopped()) break;
    if (Status kept = keep(host, *reached); !kept.ok()) out.push_back(kept.error().in("slot on " + host.label()));
  }
  return out;
}

Status StandbySlots::keep(const ServerAddress& host, const Reached& reached) {
  ConnectOptions options;
  options.application_name = options_.application_name;
  std::shared_ptr<Interrupt> interrupt = interrupt_;
  if (!interrupt) {
    STELE_TRY(interrupt, Interrupt::create());
  }
  STELE_TRY(PgConnection sql, PgConnection::connect(host, options, clock_.steady_now() + kConnectDeadline, interrupt));
  STELE_TRY(Rows rows, sql.query("SELECT pg_catalog.pg_is_in_recovery()", clock_.steady_now() + kQueryDeadline));
  STELE_TRY(const std::string standby, rows.single("pg_is_in_recovery"));
  if (standby != "t") return {};  // another primary: which one counts is decided when the stream connects
  auto moved = advance_slot(sql, options_.slot, reached.keep_from, clock_.steady_now() + kQueryDeadline);
  if (moved.ok()) return {};
  if (moved.error().code != ErrorCode::kNotFound) return std::move(moved).error();
  options.mode = ConnectionMode::kReplication;
  STELE_TRY(PgConnection replication, PgConnection::connect(host, options, clock_.steady_now() + kConnectDeadline, interrupt));
  STELE_TRY([[maybe_unused]] const SlotCreated made, ensure_slot(replication, options_.slot, clock_.steady_now() + kQueryDeadline));
  return {};
}

}  // namespace stele::agent
