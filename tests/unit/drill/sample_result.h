#pragma once

#include "restore/report/history.h"

namespace stele::test {

/// A drill that passed, with every field filled.
inline restore::DrillResult sample_drill() {
  using namespace restore;
  constexpr Timestamp kTime{1'790'000'000'000'000};
  DrillResult r;
  r.id = "0123456789abcdef0123456789abcdef";
  r.database = {"440000", "registry"};
  r.source = "receiver guangzhou-1";
  r.started = kTime;
  r.finished = kTime + Duration(95'000'000);
  r.ran = true;
  r.asked = "random";
  r.seed = 4711;
  r.target = "time 2026-09-21T13:00:00Z";
  r.again = "--target-time 2026-09-21T13:00:00Z";
  r.stream.data[0] = 7;
  r.snapshot.data[0] = 9;
  r.snapshot_finished = kTime + -Duration(7'200'000'000);
  r.reaches_lsn = "16/B374D848";
  r.reaches = kTime + -Duration(3'600'000'000);
  r.window_from = r.snapshot_finished;
  r.window_to = kTime + -Duration(2'000'000);
  r.disaster = kTime;
  r.last_commit = kTime + -Duration(3'600'400'000);
  r.file_bytes = 2'870'000'000;
  r.log_bytes = 410'000'000;
  r.stored_bytes = 700'000'000;
  r.files = 1204;
  r.bytes_needed = 4'000'000'000;
  r.system_identifier = 7'300'000'000'000'000'001;
  r.phase_seconds = {1.5, 20, 9.5, 31, 2, 21};
  r.usable_seconds = 64;
  r.rto = 85;
  r.rpo = 2;
  r.rto_target = 14'400;
  r.rpo_target = 900;
  r.interval = 604'800;
  r.checks = {{"recovery_end", "恢复终点与计划一致", "Recovery ended where the plan says", CheckResult::kPassed, "LSN 16/B374D848, timeline 1", 0.1, "LSN 16/B374D848,时间线 1"},
              {"isolation", "演练环境隔离", "The copy is isolated", CheckResult::kPassed, "own network namespace, interfaces: lo, routes: 0, user: postgres", 0.1, "独立网络命名空间,接口:lo,路由:0,用户:postgres"},
              {"amcheck", "表与索引结构一致性 (pg_amcheck)", "Structure of tables and indexes (pg_amcheck)", CheckResult::kPassed, "224 tables, 336 indexes", 12, "224 张表,336 个索引"},
              {"assertion:02_member_has_organisation.sql", "每名会员都属于一个存在的工会组织", "Every member belongs to an organisation that exists", CheckResult::kPassed, "no row violates it", 3, "无违反记录"},
              {"assertion:05_identity_number_unique.sql", "居民身份证号码无重复", "No identity number twice", CheckResult::kPassed, "no row violates it", 4, "无违反记录"},
              {"page_checksums", "数据页校验和 (pg_checksums)", "Page checksums (pg_checksums)", CheckResult::kPassed, "350341 blocks, 0 bad", 2, "350341 个数据块,0 个错误"},
              {"wiped", "演练副本已清除", "The copy is wiped", CheckResult::kPassed, "1230 files, 3280000000 bytes removed; processes left: 0", 0.4, "已删除 1230 个文件、3280000000 字节;残留进程:0"}};
  r.checks.insert(r.checks.begin() + 3, {"counts", "表与行数对照备份时的封存值", "Tables and rows against what was sealed with the snapshot", CheckResult::kPassed,
                                         "1 databases, 41 tables, 2810004 rows counted; 0 deviate; 1 databases not sealed", 6, "1 个数据库、41 张表,共 2810004 行;不符 0 处;1 个数据库未封存计数"});
  r.counts.sealed = true;
  r.counts.tolerance_percent = 20;
  r.counts.databases = {{"registry", true, 152, 153, 41, 41, 2'804'117, 2'810'004, 0}, {"postgres"}};
  r.isolation = {true, "lo", 0, "postgres", {{"archive_mode", "off"}, {"listen_addresses", ""}, {"max_logical_replication_workers", "0"}, {"primary_conninfo", ""}, {"shared_preload_libraries", ""}}};
  r.wipe = {1230, 3'280'000'000, true, 0};
  r.keys.push_back({"440000 drill host", {}, kTime + -Duration(40'000'000)});
  r.keys.back().public_key_hash.data[0] = 0xab;
  r.versions = {{"Stele", "0.1.0"}, {"Linux", "6.1.0-amd64"}, {"OS", "Debian GNU/Linux 12 (bookworm)"}, {"PostgreSQL", "15.20 (Debian 15.20-0+deb12u1)"}};
  for (int i = 0; i < 20; ++i) {
    r.objects.push_back({fmt::format("440000/registry/log/0700000000000000000000000000000000000000000000000000000000000000/{:016x}-{:016x}-aa-0-9.run", i << 24, (i + 1) << 24),
                         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 1u << 20});
  }
  return r;
}

/// Two months of weekly drills, one of which failed and one of which did not run.
inline restore::History sample_history() {
  restore::History out;
  const Timestamp last = sample_drill().finished;
  for (int week = 8; week >= 1; --week) {
    restore::EarlierDrill d;
    d.finished = last + -std::chrono::duration_cast<Duration>(std::chrono::hours(24 * 7 * week));
    d.passed = week != 3 && week != 6;
    d.target = week % 2 == 0 ? "the latest moment" : "time 2026-08-21T13:00:00Z";
    if (week != 6) {
      d.rto = 70 + 4 * week;
      d.rpo = 1.5;
      d.keys["440000 drill host"] = d.finished;
    }
    out.drills.push_back(std::move(d));
  }
  return out;
}

}  // namespace stele::test
