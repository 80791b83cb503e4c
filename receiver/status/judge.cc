#include <fmt/format.h>

#include <cmath>

#include "core/base/seconds.h"
#include "core/config/values.h"
#include "receiver/status/fleet.h"

namespace stele::receiver {

namespace {

constexpr Duration kDay = std::chrono::hours(24);
// A snapshot may take its time: late is a tenth over the interval, far too late twice of it.
constexpr double kLate = 1.1, kVeryLate = 2;
// As SteleDrillLate says.
constexpr double kDrillLate = 1.25;
constexpr double kSpoolWarning = 0.5, kSpoolCritical = 0.9, kLimitWarning = 0.9;
constexpr double kClockApart = 60;  // seconds

std::string en(double seconds) { return config::format_duration(duration_of(seconds)); }

std::string zh(double seconds) { return config::format_duration_zh(duration_of(seconds)); }

double seconds(Duration d) { return static_cast<double>(d.count()) / 1e6; }

void expiry(Reasons& out, std::string_view code, std::string_view what, std::string_view what_zh, Timestamp not_after, Timestamp now) {
  if (not_after.is_none()) return;
  const Duration left = not_after - now;
  if (left <= Duration(0)) {
    out.critical(std::string(code), fmt::format("{} has expired ({})", what, to_iso8601(not_after)), fmt::format("{}已过期（{}）", what_zh, to_iso8601(not_after)));
  } else if (left < 30 * kDay) {
    out.add(left < 7 * kDay ? Level::kCritical : Level::kWarning, std::string(code), fmt::format("{} expires in {}", what, en(seconds(left))),
            fmt::format("{}将在 {}后到期", what_zh, zh(seconds(left))));
  }
}

void judge_window(Reasons& out, const DatabaseStatus& d, Timestamp now) {
  if (d.recoverable_to.is_none()) {
    out.critical("nothing_restorable", "nothing can be restored: there is no complete snapshot", "目前无法恢复：没有完整的快照");
    return;
  }
  if (!d.current_branch_recoverable) {
    out.critical("open_gap", fmt::format("the log goes on behind a gap or on a new branch: nothing later than {} can be restored until a new snapshot", to_iso8601(d.recoverable_to)),
                 fmt::format("日志出现缺口或进入新分支：在新快照完成之前，{} 之后的时刻无法恢复", to_iso8601(d.recoverable_to)));
  }
  if (d.survey && !d.survey->gaps.empty() && d.current_branch_recoverable) {
    out.warning("gap", fmt::format("{} gap(s) in the kept log: moments inside cannot be restored here", d.survey->gaps.size()),
                fmt::format("保存的日志中有 {} 处缺口：缺口内的时刻无法在此恢复", d.survey->gaps.size()));
  }
  if (d.survey) {
    for (const recovery::AbandonedTail& t : d.survey->tails) {
      if (t.chosen) continue;
      out.warning("abandoned_branch", fmt::format("confirmed commits on timeline {} up to {} are on an abandoned branch: an operator must choose", t.timeline, t.range.end.to_string()),
                  fmt::format("时间线 {} 上截至 {} 的已确认提交位于被放弃的分支：需要值班人员选择", t.timeline, t.range.end.to_string()));
    }
  }
  if (!d.agent || !d.agent->window_target) return;
  const double held = seconds(d.recoverable_to - d.recoverable_from);
  // A young database cannot hold a long window yet; that is no fault. Older log that no longer counts is one.
  Timestamp oldest = d.recoverable_from;
  for (const recovery::Window& w : d.windows) oldest = std::min(oldest, w.from.time);
  if (held < *d.agent->window_target && seconds(now - oldest) > *d.agent->window_target) {
    out.warning("window_short", fmt::format("the restorable window is {}, promised are {}", en(held), en(*d.agent->window_target)),
                fmt::format("可恢复窗口为 {}，承诺为 {}", zh(held), zh(*d.agent->window_target)));
  }
}

void judge_rpo(Reasons& out, const DatabaseStatus& d) {
  if (!d.rpo_seconds || !d.agent || !d.agent->rpo_target || *d.rpo_seconds <= *d.agent->rpo_target) return;
  out.critical("rpo", fmt::format("the recovery point is {} ago, the target is {}", en(*d.rpo_seconds), en(*d.agent->rpo_target)),
               fmt::format("恢复点落后 {}，目标为 {}", zh(*d.rpo_seconds), zh(*d.agent->rpo_target)));
}

void judge_snapshots(Reasons& out, const DatabaseStatus& d, Timestamp now) {
  if (!d.survey) return;
  const recovery::SnapshotState* newest = nullptr;
  for (const recovery::SnapshotState& s : d.survey->snapshots) {
    if (newest == nullptr || s.fact.finished > newest->fact.finished) newest = &s;
  }
  if (newest != nullptr && newest->fact.damaged_pages > 0) {
    out.warning("snapshot_damaged", fmt::format("the newest snapshot has {} damaged page(s)", newest->fact.damaged_pages),
                fmt::format("最新快照有 {} 个损坏的数据页", newest->fact.damaged_pages));
  }
  if (newest == nullptr || !d.agent || !d.agent->snapshot_interval_target) return;
  const double age = seconds(now - newest->fact.finished), interval = *d.agent->snapshot_interval_target;
  if (age <= interval * kLate || d.agent->snapshot_running) return;
  out.add(age > interval * kVeryLate ? Level::kCritical : Level::kWarning, "snapshot_late",
          fmt::format("the newest snapshot is {} old, one is due every {}", en(age), en(interval)), fmt::format("最新快照已有 {}，应每 {}一次", zh(age), zh(interval)));
}

void judge_agent(Reasons& out, const DatabaseStatus& d, Timestamp now) {
  if (!d.connected) {
    const std::string since = d.agent ? to_iso8601(d.agent->received) : "";
    out.warning("agent_away", since.empty() ? "no agent is connected" : "no agent is connected; last heard at " + since,
                since.empty() ? "没有代理连接" : "没有代理连接；最近一次消息于 " + since);
  }
  if (!d.agent) return;
  const AgentWords& a = *d.agent;
  if (d.connected && !a.streaming) out.critical("not_streaming", "the agent does not stream from its database", "代理没有从数据库接收日志流");
  if (a.degraded) out.critical("degraded", "commits are confirmed without the quorum (degraded)", "提交未经法定数量接收端确认（已降级）");
  if (a.slot_released) {
    out.critical("slot_released", "the agent's spool is full and the slot is released: the source drops log that nobody holds",
                 "代理缓存已满且复制槽已放行：源端正在丢弃尚未异地保存的日志");
  } else if (a.spool_full) out.critical("spool_full", "the agent's spool is full: the source is held back", "代理缓存已满：源端日志被滞留");
  else if (a.spool_disk_bytes && a.spool_limit_bytes && *a.spool_disk_bytes > *a.spool_limit_bytes * kSpoolWarning) {
    const double part = *a.spool_disk_bytes / *a.spool_limit_bytes;
    out.add(part > kSpoolCritical ? Level::kCritical : Level::kWarning, "spool", fmt::format("the agent's spool is {:.0f} % full", part * 100),
            fmt::format("代理缓存已用 {:.0f}%", part * 100));
  }
  if (a.receivers_connected && a.receivers_configured && *a.receivers_connected < *a.receivers_configured) {
    const bool too_few = a.quorum && *a.receivers_connected < *a.quorum;
    out.add(too_few ? Level::kCritical : Level::kWarning, "receivers",
            fmt::format("the agent reaches {:.0f} of {:.0f} receivers, the quorum is {:.0f}", *a.receivers_connected, *a.receivers_configured, a.quorum.value_or(0)),
            fmt::format("代理连接了 {:.0f}/{:.0f} 个接收端，法定数量为 {:.0f}", *a.receivers_connected, *a.receivers_configured, a.quorum.value_or(0)));
  }
  if (const double apart = std::abs(seconds(a.received - a.sent)); apart > kClockApart) {
    out.warning("clock", fmt::format("the agent's clock and this receiver's are {} apart", en(apart)), fmt::format("代理与接收端的时钟相差 {}", zh(apart)));
  }
  expiry(out, "agent_certificate", "the agent's certificate", "代理证书", a.certificate_not_after, now);
}

/// The agent's promise, or what the drill itself was measured by: the stricter.
std::optional<double> stricter(std::optional<double> a, std::optional<double> b) { return a && b ? std::min(*a, *b) : a ? a : b; }

void judge_drill_due(Reasons& out, const DatabaseStatus& d, Timestamp now) {
  if (!d.agent || !d.agent->drill_interval_target) return;
  const double interval = *d.agent->drill_interval_target;
  if (d.drill) {
    if (const double age = seconds(now - d.drill->finished); age > interval * kDrillLate) {
      out.warning("drill_late", fmt::format("the last drill was {} ago, one is due every {}", en(age), en(interval)),
                  fmt::format("距最近一次演练已 {}，应每 {}一次", zh(age), zh(interval)));
    }
    return;
  }
  Timestamp first;
  for (const StreamFacts& s : d.streams) {
    if (!s.branch_created.is_none() && (first.is_none() || s.branch_created < first)) first = s.branch_created;
  }
  if (!first.is_none() && seconds(now - first) > interval * kDrillLate) {
    out.warning("drill_never", fmt::format("no drill was ever recorded, one is due every {}", en(interval)), fmt::format("从未记录过演练，应每 {}一次", zh(interval)));
  }
}

void judge_drill(Reasons& out, const DatabaseStatus& d, Timestamp now) {
  if (!d.drills) return;
  judge_drill_due(out, d, now);
  const Timestamp last = d.drill ? d.drill->finished : Timestamp{};
  if (d.drills->unlisted > last) {
    out.warning("drill_host", fmt::format("a newer drill is recorded by a host that is not listed here (key {}): it does not count", d.drills->unlisted_host),
                fmt::format("更新的演练记录来自未列入配置的主机（密钥 {}）：不予计入", d.drills->unlisted_host));
  }
  if (!d.drills->drills.empty() && d.drills->drills.back().finished > std::max(last, now)) {
    out.warning("drill_clock", "a drill is recorded for a moment still to come: the restore host's clock is ahead", "有演练记录的时间在未来：恢复主机的时钟超前");
  }
  if (!d.drill) return;
  const DrillFacts& drill = *d.drill;
  const std::string when = to_iso8601(last);
  if (drill.outcome == format::DrillOutcomeKind::kDidNotRun) out.critical("drill_failed", "the last drill could not run at " + when, "最近一次演练未能执行：" + when);
  else if (!drill.passed()) out.critical("drill_failed", "the last drill failed at " + when, "最近一次演练失败：" + when);
  const auto rto_target = stricter(drill.rto_target_seconds, d.agent ? d.agent->rto_target : std::nullopt);
  if (drill.rto_seconds && rto_target && *drill.rto_seconds > *rto_target) {
    out.warning("drill_slow", fmt::format("the last drill took {}, the RTO target is {}", en(*drill.rto_seconds), en(*rto_target)),
                fmt::format("最近一次演练用时 {}，RTO 目标为 {}", zh(*drill.rto_seconds), zh(*rto_target)));
  }
  const auto rpo_target = stricter(drill.rpo_target_seconds, d.agent ? d.agent->rpo_target : std::nullopt);
  if (drill.rpo_seconds && rpo_target && *drill.rpo_seconds > *rpo_target) {
    out.warning("drill_rpo", fmt::format("the last drill's database lacked {}, the RPO target is {}", en(*drill.rpo_seconds), en(*rpo_target)),
                fmt::format("最近一次演练恢复出的库缺少 {} 的数据，RPO 目标为 {}", zh(*drill.rpo_seconds), zh(*rpo_target)));
  }
}

}  // namespace

void judge(DatabaseStatus& d, Timestamp now) {
  Reasons out;
  d.rpo_seconds = recovery_point_seconds(d, now);
  if (!d.catalog_error.empty()) out.critical("catalog", "the catalog cannot be read: " + d.catalog_error, "无法读取目录：" + d.catalog_error);
  if (d.streams.empty() && d.snapshots_held == 0) {
    out.warning("never_seen", "nothing was received of this database yet", "尚未收到该数据库的任何数据");
  } else if (d.survey) {
    judge_window(out, d, now);
    judge_rpo(out, d);
    judge_snapshots(out, d, now);
  }
  judge_agent(out, d, now);
  judge_drill(out, d, now);
  if (!d.last_damage.is_none()) {
    out.critical("damage", "stored bytes were found damaged or missing at " + to_iso8601(d.last_damage), "发现存储的数据损坏或缺失：" + to_iso8601(d.last_damage));
  }
  if (d.site_limit_bytes != 0 && static_cast<double>(d.site_stored_bytes) > static_cast<double>(d.site_limit_bytes) * kLimitWarning) {
    out.warning("site_limit", fmt::format("the site uses {} of its {}", config::format_bytes(d.site_stored_bytes), config::format_bytes(d.site_limit_bytes)),
                fmt::format("该站点已用 {}，上限 {}", config::format_bytes(d.site_stored_bytes), config::format_bytes(d.site_limit_bytes)));
  }
  d.reasons = out.worst_first();
  d.level = worst(d.reasons);
}

void judge(ReceiverStatus& r) {
  Reasons out;
  if (r.journal_failed) out.critical("journal", "a write or a sync of the journal failed: nothing is acknowledged", "日志落盘失败：暂停确认");
  else if (r.journal_live_bytes > r.journal_limit_bytes / 4 * 3) out.warning("journal_full", "the journal is three quarters full", "落盘日志已用四分之三");
  if (r.store_free_bytes <= r.store_reserve_bytes) out.critical("disk_full", "the store's disk has reached its reserve", "存储磁盘已达到保留空间");
  else if (r.full_in_seconds && *r.full_in_seconds < 7 * 86400.0) {
    out.add(*r.full_in_seconds < 86400 ? Level::kCritical : Level::kWarning, "disk", fmt::format("the store's disk is full in {} at this pace", en(*r.full_in_seconds)),
            fmt::format("按当前速度，存储磁盘将在 {}后写满", zh(*r.full_in_seconds)));
  }
  if (r.damages > 0) out.critical("damage", fmt::format("{} damaged or missing object(s) or journal range(s) since the start", r.damages), fmt::format("启动以来发现 {} 处损坏或缺失", r.damages));
  expiry(out, "certificate", "the receiver's certificate", "接收端证书", r.certificate_not_after, r.now);
  expiry(out, "ca", "a certificate authority", "证书颁发机构", r.ca_not_after, r.now);
  if (!r.crl_next_update.is_none() && r.crl_next_update < r.now) {
    out.warning("crl", "the revocation list is out of date since " + to_iso8601(r.crl_next_update), "吊销列表已过期：" + to_iso8601(r.crl_next_update));
  }
  r.reasons = out.worst_first();
  r.level = worst(r.reasons);
}

}  // namespace stele::receiver
