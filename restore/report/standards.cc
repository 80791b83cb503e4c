#include "restore/report/standards.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/values.h"

namespace stele::restore {

std::vector<StandardItem> standard_items(const DrillResult& r, const History& earlier, Language language) {
  const bool zh = language == Language::kChinese;
  const auto say = [&](std::string chinese, std::string english) { return zh ? std::move(chinese) : std::move(english); };
  const auto time = [&](Timestamp t) { return show_time(t, language); };
  const auto seconds = [&](const std::optional<double>& s) { return s ? show_seconds(*s, language) : say("未测得", "not measured"); };
  const std::string not_run = say("本次未测得(演练未完成)", "not measured: the drill did not run to its end");
  const auto when_run = [&](std::string chinese, std::string english) { return r.ran ? say(std::move(chinese), std::move(english)) : not_run; };

  const Check* pages = nullptr;
  for (const Check& c : r.checks) {
    if (c.name == "page_checksums") pages = &c;
  }
  std::string keys;
  for (const ProvenKey& key : r.keys) keys += fmt::format("{}{} ({})", keys.empty() ? "" : "; ", key.name, time(key.newest_epoch));
  const Timestamp year_ago = r.finished + -std::chrono::duration_cast<Duration>(std::chrono::hours(24 * 365));
  const auto recent = static_cast<std::size_t>(std::count_if(earlier.drills.begin(), earlier.drills.end(), [&](const EarlierDrill& d) { return d.finished >= year_ago; })) + 1;
  const auto recent_passed = static_cast<std::size_t>(std::count_if(earlier.drills.begin(), earlier.drills.end(),
                                                                    [&](const EarlierDrill& d) { return d.finished >= year_ago && d.passed; })) + (r.passed() ? 1 : 0);
  const std::size_t judged = r.count(CheckResult::kPassed) + r.count(CheckResult::kFailed);
  const std::string dp = "GB/T 22239-2019", dr = "GB/T 20988-2025";
  const std::string rto_fact = say(fmt::format("RTO 实测 {}(目标 {});RPO 实测 {}(目标 {})", seconds(r.rto), show_seconds(r.rto_target, language), seconds(r.rpo), show_seconds(r.rpo_target, language)),
                                   fmt::format("RTO measured {} (target {}); RPO measured {} (target {})", seconds(r.rto), show_seconds(r.rto_target, language), seconds(r.rpo), show_seconds(r.rpo_target, language)));
  const std::string drills_fact = say(fmt::format("近一年有签名报告的演练 {} 次，通过 {} 次；要求间隔 {}", recent, recent_passed, show_seconds(r.interval, language)),
                                      fmt::format("{} drills with a signed report within a year, {} passed; due every {}", recent, recent_passed, show_seconds(r.interval, language)));
  return {
      {dp, "8.1.4.7 b)", say("数据完整性(存储)", "Data integrity (storage)"),
       when_run(fmt::format("所用 {} 个对象均先验签名与散列再写入；页校验和：{}", r.objects.size(), pages == nullptr ? "未检查" : pages->detail_zh.empty() ? pages->detail : pages->detail_zh),
                fmt::format("{} objects were authenticated before a byte was written; page checksums: {}", r.objects.size(), pages == nullptr ? "not checked" : pages->detail))},
      {dp, "8.1.4.8 b)", say("数据保密性(存储)", "Data confidentiality (storage)"),
       r.keys.empty() ? not_run : say(fmt::format("备份内容为密文；由下列密钥实际打开(最新密钥周期)：{}", keys), fmt::format("what is kept is ciphertext; opened with (newest epoch): {}", keys))},
      {dp, "8.1.4.9 a)", say("数据备份恢复：备份与恢复功能", "Backup and recovery: restoring works"),
       when_run(fmt::format("已恢复到 {}；检查通过 {} 项、失败 {} 项", time(r.reaches), r.count(CheckResult::kPassed), r.count(CheckResult::kFailed)),
                fmt::format("restored to {}; {} checks passed, {} failed", time(r.reaches), r.count(CheckResult::kPassed), r.count(CheckResult::kFailed)))},
      {dp, "8.1.4.9 b)", say("数据备份恢复：异地实时备份", "Backup and recovery: off-site, in real time"),
       r.rpo ? say(fmt::format("备份端({})的日志截至 {}，与检查时刻相差 {}", r.source, time(r.window_to), seconds(r.rpo)),
                   fmt::format("the log kept at {} reached {}, {} before it was looked at", r.source, time(r.window_to), seconds(r.rpo)))
             : not_run},
      {dp, "8.1.4.10 b)", say("剩余信息保护", "Protection of residual information"),
       say(fmt::format("演练副本 {} 个文件、{} 已删除，演练目录{}", r.wipe.files, config::format_bytes(r.wipe.bytes), r.wipe.nothing_left ? "无残留" : "仍有残留"),
           fmt::format("{} files of the copy, {}, removed; {} in the drill directory", r.wipe.files, config::format_bytes(r.wipe.bytes), r.wipe.nothing_left ? "nothing left" : "something left"))},
      {dp, "8.1.4.11", say("个人信息保护", "Protection of personal information"),
       when_run(fmt::format("副本运行于独立网络命名空间(路由 {} 条)，仅本机套接字可达；报告不含个人信息", r.isolation.routes),
                fmt::format("the copy ran in a network namespace of its own ({} routes), reachable by a local socket only; this report holds no personal data", r.isolation.routes))},
      {dp, "8.1.10.11 c)", say("备份与恢复管理", "Management of backup and recovery"), drills_fact},
      {dp, "8.1.10.13 c)", say("应急预案管理：演练", "Contingency plans: drills"),
       say(fmt::format("本次演练 {} 至 {}，结果：{}", time(r.started), time(r.finished), r.passed() ? "通过" : "未通过"),
           fmt::format("this drill: {} to {}, {}", time(r.started), time(r.finished), r.passed() ? "passed" : "failed"))},
      {dr, "6.1", say("灾难恢复需求的确定", "Determining the recovery needs"), rto_fact},
      {dr, "6.5", say("灾难恢复技术方案的验证和确认", "Verifying the technical solution"),
       when_run(fmt::format("由备份数据完整重建并启动数据库，{} 项检查中 {} 项通过", judged, r.count(CheckResult::kPassed)),
                fmt::format("the database was rebuilt from the backup and started; {} of {} checks passed", r.count(CheckResult::kPassed), judged))},
      {dr, "8.1", say("灾难恢复预案制定及管理", "Recovery plans and their management"), drills_fact},
      {dr, "8.2", say("灾难恢复系统运行维护", "Operating the recovery system"),
       r.window_to.is_none() ? not_run : say(fmt::format("可恢复窗口 {} 至 {}", time(r.window_from), time(r.window_to)), fmt::format("restorable window {} to {}", time(r.window_from), time(r.window_to)))},
      {dr, "8.5", say("灾难恢复审计", "Auditing the recovery"),
       say("本报告的数据文件由演练主机签名，演练记录可追加至备份端", "the data of this report is signed by the restore host; a signed record goes to the receivers")},
  };
}

}  // namespace stele::restore
