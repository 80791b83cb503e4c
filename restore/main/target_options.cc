#include "restore/main/target_options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>

namespace stele::restore {

void add_target_options(CLI::App& command, TargetOptions& o) {
  command.add_option("--target-time", o.time, "ISO 8601, e.g. 2026-11-23T15:33:45+08:00; without a zone the host's")->type_name("TIME");
  command.add_option("--target-lsn", o.lsn, "A position, e.g. 16/B374D848")->type_name("LSN");
  command.add_option("--target-xid", o.xid, "A transaction")->type_name("XID");
  command.add_option("--target-name", o.name, "A restore point (pg_create_restore_point)")->type_name("NAME");
  command.add_flag("--target-immediate", o.immediate, "As soon as the newest snapshot is consistent");
  command.add_flag("--target-exclusive", o.exclusive, "Stop just before the target (time, LSN, transaction)");
  command.add_option("--target-timeline", o.timeline, "A timeline number, the beginning of a branch's id, or latest (the current branch, leaving abandoned tails out)")
      ->type_name("TIMELINE");
  command.add_flag("--accept-abandoned", o.accept_abandoned, "Leave out commits of abandoned branches without naming a timeline");
  command.add_flag("--accept-damaged", o.accept_damaged, "Use a snapshot with damaged pages when no other reaches the target");
}

Result<recovery::Target> to_target(const TargetOptions& o) {
  recovery::Target out;
  const int given = !o.time.empty() + !o.lsn.empty() + !o.xid.empty() + !o.name.empty() + (o.immediate ? 1 : 0);
  if (given > 1) return Error{ErrorCode::kUsage, "more than one target", "give one of --target-time, --target-lsn, --target-xid, --target-name, --target-immediate"};
  if (!o.time.empty()) {
    out.kind = recovery::TargetKind::kTime;
    STELE_TRY(out.time, parse_timestamp(o.time));
  } else if (!o.lsn.empty()) {
    out.kind = recovery::TargetKind::kLsn;
    STELE_TRY(out.lsn, parse_position(o.lsn));
  } else if (!o.xid.empty()) {
    out.kind = recovery::TargetKind::kXid;
    // PostgreSQL shows 64 bits (txid_current) or 32; recovery compares the lower 32.
    std::uint64_t xid = 0;
    auto [end, ec] = std::from_chars(o.xid.data(), o.xid.data() + o.xid.size(), xid);
    if (ec != std::errc() || end != o.xid.data() + o.xid.size() || static_cast<std::uint32_t>(xid) < 3) {
      return Error{ErrorCode::kUsage, fmt::format("--target-xid {}: not a transaction id", o.xid), ""};
    }
    out.xid = static_cast<std::uint32_t>(xid);
  } else if (!o.name.empty()) {
    out.kind = recovery::TargetKind::kName;
    if (o.name.size() > 63) return Error{ErrorCode::kUsage, "--target-name: restore points have at most 63 bytes", ""};
    out.name = o.name;
  } else if (o.immediate) {
    out.kind = recovery::TargetKind::kImmediate;
  }
  out.exclusive = o.exclusive;
  if (o.exclusive && out.kind != recovery::TargetKind::kTime && out.kind != recovery::TargetKind::kLsn && out.kind != recovery::TargetKind::kXid) {
    return Error{ErrorCode::kUsage, "--target-exclusive needs --target-time, --target-lsn or --target-xid", ""};
  }
  out.timeline = o.timeline;
  return out;
}

recovery::PlanOptions to_plan_options(const TargetOptions& o) { return {o.accept_abandoned, o.accept_damaged}; }

}  // namespace stele::restore
