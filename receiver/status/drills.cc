#include "receiver/status/drills.h"

#include <algorithm>

#include "receiver/ingest/trust_book.h"

namespace stele::receiver {

namespace {

// A host whose clock is ahead must not hide later drills behind one that is still to come.
constexpr Duration kClocksApart = std::chrono::minutes(1);
constexpr std::size_t kKeyDigits = 12;

std::optional<double> measured(std::uint64_t micros) { return micros == 0 ? std::nullopt : std::optional(static_cast<double>(micros) / 1e6); }

DrillFacts to_facts(const format::DrillRecord& r, std::string host) {
  DrillFacts out;
  out.started = r.started;
  out.finished = r.finished;
  out.outcome = r.outcome;
  out.rto_seconds = measured(r.rto);
  // Nothing lost is a measurement too, where a copy was reached.
  out.rpo_seconds = r.rpo == 0 && r.outcome == format::DrillOutcomeKind::kPassed ? std::optional(0.0) : measured(r.rpo);
  out.rto_target_seconds = measured(r.rto_target);
  out.rpo_target_seconds = measured(r.rpo_target);
  out.checks_passed = r.passed;
  out.checks_failed = r.failed;
  out.checks_skipped = r.skipped;
  out.note = r.note;
  out.host = std::move(host);
  return out;
}

template <typename Wanted>
const DrillFacts* newest(const DrillLog& log, Timestamp now, Wanted wanted) {
  auto found = std::find_if(log.drills.rbegin(), log.drills.rend(), [&](const DrillFacts& d) { return d.finished <= now + kClocksApart && wanted(d); });
  return found == log.drills.rend() ? nullptr : &*found;
}

}  // namespace

DrillLog drill_log(std::span<const std::shared_ptr<const HeldDrill>> held, const RestoreHosts& hosts) {
  DrillLog out;
  for (const auto& drill : held) {
    // No host drilled before 1970: ages are reckoned with these times.
    if (drill->record.started.micros < 0) continue;
    const std::string key = to_hex(drill->signer).substr(0, kKeyDigits);
    auto listed = hosts.find(drill->signer);
    if (hosts.empty() || listed != hosts.end()) {
      out.drills.push_back(to_facts(drill->record, listed == hosts.end() ? key : listed->second));
    } else if (drill->record.finished > out.unlisted) {
      out.unlisted = drill->record.finished;
      out.unlisted_host = key;
    }
  }
  return out;
}

const DrillFacts* last_drill(const DrillLog& log, Timestamp now) {
  return newest(log, now, [](const DrillFacts&) { return true; });
}

const DrillFacts* last_passed_drill(const DrillLog& log, Timestamp now) {
  return newest(log, now, [](const DrillFacts& d) { return d.passed(); });
}

}  // namespace stele::receiver
