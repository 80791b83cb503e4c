#include "restore/report/page.h"

#include <fmt/format.h>

#include "core/config/values.h"
#include "core/crypto/hash.h"
#include "restore/report/chart.h"
#include "restore/report/counts_table.h"
#include "restore/report/standards.h"

namespace stele::restore {
namespace {

constexpr std::string_view kStyle = R"css(
@page { size: A4; margin: 16mm 15mm 18mm; }
* { box-sizing: border-box; }
body { margin: 0; background: #e9edf1; color: #1d2733; font: 14px/1.55 "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei",
  "WenQuanYi Zen Hei", "DejaVu Sans", "Helvetica Neue", Arial, sans-serif; }
article { max-width: 210mm; margin: 18px auto; padding: 15mm 15mm 12mm; background: #fff; box-shadow: 0 1px 6px rgba(20, 40, 60, .18); }
#en { display: none; } #en:target { display: block; } #en:target ~ #zh { display: none; }
header { border-bottom: 3px solid #1f4e79; padding-bottom: 10px; display: flex; justify-content: space-between; align-items: flex-end; gap: 20px; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; color: #163a5c; letter-spacing: .02em; }
h2 { font-size: 16px; margin: 24px 0 8px; color: #163a5c; border-left: 4px solid #1f4e79; padding-left: 9px; break-after: avoid; }
p { margin: 6px 0; } .sub { color: #55636f; } .small { font-size: 12px; color: #55636f; }
.lang a { color: #1f4e79; font-size: 12px; white-space: nowrap; }
.verdict { margin: 16px 0 12px; padding: 12px 16px; border-radius: 4px; border: 1px solid; display: flex; gap: 16px; align-items: center; }
.verdict b { font-size: 22px; white-space: nowrap; }
.good { background: #eef6f1; border-color: #8cbfa3; } .good b { color: #1f6b44; }
.bad { background: #fbefee; border-color: #d9a09b; } .bad b { color: #a32c22; }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 10px; }
.card { border: 1px solid #d5dce3; border-radius: 4px; padding: 9px 12px; break-inside: avoid; }
.card .k { font-size: 12px; color: #55636f; } .card .v { font-size: 20px; font-weight: 600; line-height: 1.3; } .card .n { font-size: 12px; color: #55636f; }
.card.over { border-color: #d9a09b; background: #fdf6f5; } .card.over .v { color: #a32c22; }
table { width: 100%; border-collapse: collapse; font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: 5px 8px; border-bottom: 1px solid #e0e6eb; }
thead th { background: #f1f4f7; border-bottom: 1px solid #c9d2da; font-weight: 600; } thead { display: table-header-group; }
tr { break-inside: avoid; } .facts th { width: 27%; font-weight: 400; color: #55636f; }
td.num { text-align: right; white-space: nowrap; } .nowrap { white-space: nowrap; }
.tag { display: inline-block; padding: 0 7px; border-radius: 3px; font-size: 12px; white-space: nowrap; }
.tag.passed { background: #e2f1e8; color: #1f6b44; } .tag.failed { background: #f8deda; color: #a32c22; } .tag.skipped { background: #f2ecda; color: #7a5d14; }
code { font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 11px; word-break: break-all; }
.chart { width: 100%; height: auto; display: block; margin: 4px 0 6px; } .chart text { font-size: 12px; fill: #36434f; font-family: inherit; }
footer { margin-top: 22px; padding-top: 8px; border-top: 1px solid #c9d2da; font-size: 12px; color: #55636f; }
@media print { body { background: #fff; font-size: 12px; } article { margin: 0; padding: 0; box-shadow: none; max-width: none; } .lang { display: none; }
  table { font-size: 11.5px; } .small { font-size: 10.5px; } .verdict, .tag, .card, thead th, svg { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }
@media (max-width: 640px) { .cards { grid-template-columns: repeat(2, 1fr); } article { padding: 16px; } }
)css";

/// One language's version of the report.
class Article {
 public:
  Article(const DrillResult& result, const History& earlier, const SignedTwin& twin, Language language) : r_(result), earlier_(earlier), twin_(twin), language_(language) {}

  std::string text() {
    const bool zh = language_ == Language::kChinese;
    out_ += fmt::format("<article id=\"{}\" lang=\"{}\">", zh ? "zh" : "en", zh ? "zh-CN" : "en");
    head();
    figures();
    restored();
    phases();
    checks();
    isolation();
    comparison();
    standards();
    evidence();
    out_ += fmt::format("<footer>{}</footer></article>\n",
                        say("本报告由 stele-restore drill 自动生成，只陈述实测事实，不含会员等个人信息，不构成等级评定结论。",
                            "Made by stele-restore drill. It states measured facts only, holds no personal data, and claims no grade."));
    return std::move(out_);
  }

 private:
  const char* say(const char* chinese, const char* english) const { return language_ == Language::kChinese ? chinese : english; }
  std::string time(Timestamp t) const { return show_time(t, language_); }
  std::string seconds(const std::optional<double>& s) const { return s ? show_seconds(*s, language_) : say("未测得", "not measured"); }
  void section(const char* chinese, const char* english) { out_ += fmt::format("<h2>{}</h2>", say(chinese, english)); }
  void begin_facts() { out_ += "<table class=\"facts\"><tbody>"; }
  void fact(const char* chinese, const char* english, const std::string& value) { out_ += fmt::format("<tr><th>{}</th><td>{}</td></tr>", say(chinese, english), escape_html(value)); }
  void end_facts() { out_ += "</tbody></table>"; }
  std::string listed(std::initializer_list<std::string> parts) const {
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? "" : say("，", ", ")) + part;
    return out;
  }
  /// What an earlier report was asked for: told in English there (recovery::Target).
  std::string target(const std::string& told) const {
    if (language_ != Language::kChinese) return told;
    constexpr std::pair<std::string_view, std::string_view> kWords[] = {{"the latest moment", "最新时刻"}, {"time ", "时刻 "}, {"transaction ", "事务 "},
                                                                        {"restore point ", "恢复点 "}, {"the earliest consistent moment of the newest snapshot", "最新快照的最早一致时刻"}};
    for (const auto& [english, chinese] : kWords) {
      if (told.starts_with(english)) return std::string(chinese) + told.substr(english.size());
    }
    return told;
  }
  std::string tag(CheckResult result) const {
    const char* words[][2] = {{"通过", "passed"}, {"失败", "failed"}, {"未做", "skipped"}};
    const auto* word = words[static_cast<std::size_t>(result)];
    return fmt::format("<span class=\"tag {}\">{}</span>", check_result_name(result), say(word[0], word[1]));
  }

  void head() {
    out_ += fmt::format("<header><div><h1>{}</h1><div class=\"sub\">{} · {} · {} {}</div></div><div class=\"lang\">{}</div></header>",
                        say("灾难恢复演练报告", "Disaster recovery drill report"), escape_html(r_.database.to_string()), time(r_.finished), say("演练编号", "drill"), r_.id.substr(0, 8),
                        say("<a href=\"#en\">English</a>", "<a href=\"#zh\">中文</a>"));
    const bool kept = r_.rto_kept() && r_.rpo_kept();
    std::string words;
    if (!r_.problem.empty()) {
      words = fmt::format("{}{}", say("演练未能完成：", "The drill did not run to its end: "), escape_html(r_.problem));
    } else if (!r_.passed()) {
      words = fmt::format("{} {}", r_.count(CheckResult::kFailed), say("项检查失败，详见第 3 节。恢复出的数据不可视为可用。", "checks failed, see section 3. The restored data must not be taken as good."));
    } else if (kept) {
      words = say("数据库已由备份完整恢复、启动并通过检查，RTO 与 RPO 均在目标之内。", "The database was rebuilt from the backup, started and checked; RTO and RPO are within their targets.");
    } else {
      words = say("数据库已由备份完整恢复、启动并通过检查，但实测值超出 RTO 或 RPO 目标。", "The database was rebuilt from the backup, started and checked, but a measured value is over its RTO or RPO target.");
    }
    out_ += fmt::format("<div class=\"verdict {}\"><b>{}</b><span>{}</span></div>", r_.passed() ? "good" : "bad", r_.passed() ? say("通过", "Passed") : say("未通过", "Failed"), words);
  }

  void card(const char* chinese, const char* english, const std::string& value, const std::string& note, bool over) {
    out_ += fmt::format("<div class=\"card{}\"><div class=\"k\">{}</div><div class=\"v\">{}</div><div class=\"n\">{}</div></div>", over ? " over" : "", say(chinese, english), value, note);
  }

  void figures() {
    out_ += "<div class=\"cards\">";
    card("恢复时间 RTO", "Recovery time (RTO)", seconds(r_.rto), fmt::format("{} {}", say("目标", "target"), show_seconds(r_.rto_target, language_)), r_.rto && !r_.rto_kept());
    card("数据丢失 RPO", "Data loss (RPO)", seconds(r_.rpo), fmt::format("{} {}", say("目标", "target"), show_seconds(r_.rpo_target, language_)), r_.rpo && !r_.rpo_kept());
    card("检查项", "Checks", fmt::format("{} / {}", r_.count(CheckResult::kPassed), r_.checks.size()),
         listed({fmt::format("{} {}", r_.count(CheckResult::kFailed), say("项失败", "failed")), fmt::format("{} {}", r_.count(CheckResult::kSkipped), say("项未做", "skipped"))}), r_.count(CheckResult::kFailed) != 0);
    card("数据量", "Data", config::format_bytes(r_.file_bytes), fmt::format("{} {}", say("另有日志", "and log"), config::format_bytes(r_.log_bytes)), false);
    out_ += "</div>";
  }

  void restored() {
    section("1 恢复了什么", "1 What was restored");
    begin_facts();
    fact("数据库", "Database", r_.database.to_string());
    fact("来源", "From", r_.source);
    fact("演练时间", "Time of the drill", fmt::format("{} — {}", time(r_.started), time(r_.finished)));
    const bool random = r_.asked == "random";
    fact("恢复目标", "Target",
         (random ? fmt::format("{}{}", say("窗口内随机时刻，随机种子 ", "a random moment of the window, seed "), r_.seed.value_or(0)) : r_.asked == "latest" ? std::string(say("最新时刻", "the latest moment")) : r_.asked) +
             (r_.again.empty() ? "" : fmt::format(" ({} {})", say("可重复：", "again:"), r_.again)));
    if (!r_.reaches_lsn.empty()) {
      fact("恢复到", "Restored to", listed({time(r_.reaches), "LSN " + r_.reaches_lsn}));
      fact("最后一笔已恢复的事务", "Last restored transaction", time(r_.last_commit));
      fact("可恢复窗口", "Restorable window", fmt::format("{} — {}", time(r_.window_from), time(r_.window_to)));
      fact("所用快照", "Snapshot", listed({r_.snapshot.hex().substr(0, 12), time(r_.snapshot_finished)}));
      fact("PostgreSQL 系统标识", "PostgreSQL system identifier", std::to_string(r_.system_identifier));
    }
    end_facts();
    for (const std::string& note : r_.notes) out_ += fmt::format("<p class=\"small\">{}: {}</p>", say("备注", "Note"), escape_html(note));
  }

  void phases() {
    section("2 各阶段用时", "2 Time of each phase");
    out_ += phases_chart(r_, language_);
    if (!r_.rto) {
      out_ += fmt::format("<p>{}</p>", say("演练未完成，RTO 未测得；图中仅为已完成的阶段。", "The drill did not run to its end: no RTO was measured; what is shown are the phases that were reached."));
      return;
    }
    out_ += fmt::format("<p>{} <b>{}</b>{} <b>{}</b>{}</p>", say("到数据库可读写：", "Until the database took writes:"), show_seconds(r_.usable_seconds, language_),
                        say("；到全部检查完成(计为 RTO):", "; until everything was checked (counted as the RTO):"), seconds(r_.rto), say("。", "."));
    out_ += fmt::format("<p class=\"small\">{}</p>",
                        say("读取、校验、解密与写入并行进行：“写入”为各工作线程写入与落盘所占的份额，其余计入“读取与解密”。RPO 为查看备份时刻与备份中日志末端(源库时钟)之差。",
                            "Fetching, verifying, decrypting and writing run in parallel: \"write\" is the workers' share spent in writes and syncs, the rest counts as \"fetch\". The RPO is the "
                            "difference between the moment the backup was looked at and the end of its log (the source's clock)."));
  }

  void checks() {
    section("3 检查结果", "3 Checks");
    out_ += fmt::format("<table><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>", say("检查", "Check"), say("结果", "Result"), say("说明", "Detail"), say("用时", "Time"));
    for (const Check& c : r_.checks) {
      const bool zh = language_ == Language::kChinese;
      out_ += fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"num\">{}</td></tr>", escape_html(zh ? c.title_zh : c.title_en), tag(c.result),
                          escape_html(zh && !c.detail_zh.empty() ? c.detail_zh : c.detail), show_seconds(c.seconds, language_));
    }
    out_ += "</tbody></table>";
    out_ += counts_table(r_.counts, language_);
  }

  void isolation() {
    section("4 隔离与清除", "4 Isolation and wiping");
    const IsolationProof& i = r_.isolation;
    begin_facts();
    fact("网络", "Network",
         i.routes < 0 ? say("副本未启动", "the copy was not started")
                      : listed({i.own_network ? say("独立网络命名空间", "a network namespace of its own") : say("未隔离", "not isolated"),
                                fmt::format("{} {}", say("接口", "interfaces"), i.interfaces), fmt::format("{} {}", say("路由", "routes"), i.routes)}));
    if (!i.user.empty()) fact("运行用户", "User", i.user);
    for (const auto& [name, value] : i.settings) fact(name.c_str(), name.c_str(), value.empty() ? say("(空)", "(empty)") : value);
    fact("清除", "Wiped",
         listed({fmt::format("{} {}", r_.wipe.files, say("个文件", "files")), config::format_bytes(r_.wipe.bytes),
                 r_.wipe.nothing_left ? say("目录无残留", "nothing left in the directory") : say("目录有残留", "something is left"),
                 fmt::format("{} {}", say("残留进程", "processes left"), r_.wipe.processes_left < 0 ? say("未知", "not known") : std::to_string(r_.wipe.processes_left))}));
    end_facts();
  }

  void comparison() {
    section("5 与历次演练比较", "5 Compared with earlier drills");
    if (earlier_.drills.empty()) {
      out_ += fmt::format("<p>{}</p>", say("报告目录中没有本机签名的更早报告。", "The report directory holds no earlier report signed by this host."));
    } else {
      out_ += history_chart(r_, earlier_, language_);
      out_ += fmt::format("<table><thead><tr><th>{}</th><th>{}</th><th>{}</th><th>RTO</th><th>RPO</th></tr></thead><tbody>", say("完成时间", "Finished"), say("结果", "Result"), say("目标", "Target"));
      constexpr std::size_t kMost = 10;
      const auto& all = earlier_.drills;
      for (std::size_t i = all.size(); i-- > (all.size() > kMost ? all.size() - kMost : 0);) {
        out_ += fmt::format("<tr><td class=\"nowrap\">{}</td><td>{}</td><td>{}</td><td class=\"nowrap\">{}</td><td class=\"nowrap\">{}</td></tr>", time(all[i].finished),
                            tag(all[i].passed ? CheckResult::kPassed : CheckResult::kFailed), escape_html(target(all[i].target)), seconds(all[i].rto), seconds(all[i].rpo));
      }
      out_ += "</tbody></table>";
    }
    if (earlier_.refused != 0) out_ += fmt::format("<p class=\"small\">{} {}</p>", earlier_.refused, say("个报告文件没有本机的有效签名，未计入。", "report files without a valid signature of this host were left out."));
  }

  void standards() {
    section("6 与标准条款对应的实测事实", "6 Measured facts by the items of the standards");
    out_ += fmt::format("<p class=\"small\">{}</p>",
                        say("GB/T 22239-2019 按第三级安全要求；GB/T 20988-2025 按其目次。只列本次演练测得的事实，是否符合由测评机构判断。",
                            "GB/T 22239-2019 by its requirements of level 3; GB/T 20988-2025 by its table of contents. Only what this drill measured is told; whether an item is met, an assessor says."));
    out_ += fmt::format("<table><thead><tr><th>{}</th><th>{}</th><th>{}</th></tr></thead><tbody>", say("条款", "Item"), say("内容", "Subject"), say("实测事实", "Measured"));
    for (const StandardItem& item : standard_items(r_, earlier_, language_)) {
      out_ += fmt::format("<tr><td class=\"nowrap\">{}<br>{}</td><td>{}</td><td>{}</td></tr>", item.standard, item.clause, escape_html(item.title), escape_html(item.fact));
    }
    out_ += "</tbody></table>";
  }

  void evidence() {
    section("7 证据", "7 Evidence");
    begin_facts();
    std::string versions, keys;
    for (const auto& [name, value] : r_.versions) versions += fmt::format("{}{} {}", versions.empty() ? "" : " · ", name, value);
    for (const ProvenKey& key : r_.keys) keys += fmt::format("{}{} ({} {}; SHA-256 {})", keys.empty() ? "" : "; ", key.name, say("最新密钥周期", "newest epoch"), time(key.newest_epoch), key.public_key_hash.hex().substr(0, 16));
    fact("软件版本", "Software", versions);
    fact("实际打开备份的密钥", "Keys that opened the backup", keys.empty() ? say("无", "none") : keys);
    fact("数据文件", "Data file", twin_.file);
    fact("数据文件 SHA-256", "SHA-256 of the data file", twin_.sha256);
    fact("演练主机签名公钥", "Signing key of the restore host", twin_.host_key.empty() ? say("未签名", "not signed") : twin_.host_key);
    fact("核验方法", "To verify", fmt::format("stele-restore drill --verify-report {}", twin_.file));
    end_facts();
    if (r_.objects.empty()) return;
    crypto::Hasher all(crypto::default_suite());
    for (const DrillResult::Object& o : r_.objects) all.update(as_bytes(fmt::format("{} {}\n", o.name, o.hash)));
    out_ += fmt::format("<p>{} {}{} <code>{}</code></p>", say("恢复所用对象数：", "Objects that the restore stands on:"), r_.objects.size(),
                        say("。全部“名称 散列”行的 SHA-256:", ". SHA-256 over all lines \"name hash\":"), all.finish().hex());
    out_ += fmt::format("<p class=\"small\">{}</p>", say("清单与块列表的散列为其全部字节；日志段的散列覆盖其各帧签名，签名又覆盖全部内容。完整列表在数据文件中。",
                                                         "The hash of a manifest or chunk list is of its bytes; that of a piece of log covers its frames' signatures, which cover everything in it. The data file lists all."));
    out_ += fmt::format("<table><thead><tr><th>{}</th><th>SHA-256</th></tr></thead><tbody>", say("对象", "Object"));
    constexpr std::size_t kShown = 12;
    for (std::size_t i = 0; i < r_.objects.size() && i < kShown; ++i) {
      out_ += fmt::format("<tr><td><code>{}</code></td><td><code>{}</code></td></tr>", escape_html(r_.objects[i].name), r_.objects[i].hash);
    }
    if (r_.objects.size() > kShown) out_ += fmt::format("<tr><td colspan=\"2\">… {} {}</td></tr>", r_.objects.size() - kShown, say("个未在此列出", "more are in the data file"));
    out_ += "</tbody></table>";
  }

  const DrillResult& r_;
  const History& earlier_;
  const SignedTwin& twin_;
  const Language language_;
  std::string out_;
};

}  // namespace

std::string report_page(const DrillResult& result, const History& earlier, const SignedTwin& twin) {
  // English first: "#en:target ~ #zh" hides the other one.
  return fmt::format("<!DOCTYPE html>\n<html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
                     "<title>{} {}</title><style>{}</style></head><body>\n{}{}</body></html>\n",
                     "灾难恢复演练报告", escape_html(result.database.to_string()), kStyle, Article(result, earlier, twin, Language::kEnglish).text(),
                     Article(result, earlier, twin, Language::kChinese).text());
}

}  // namespace stele::restore
