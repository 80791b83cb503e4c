// Every word of the page, in both languages.
const kWords = {
  en: {
    language: "中文", languageLabel: "Switch to Chinese", themeDark: "Dark", themeLight: "Light", themeLabel: "Colours", skip: "Skip to content",
    ok: "OK", warning: "Warning", critical: "Critical", live: "live", lost: "No contact with the receiver for {0}. What is shown is old.",
    allWell: "All is well", attention: "{0} of {1} databases need attention", databases: "{0} databases", sites: "{0} sites",
    worstRpo: "Worst recovery point", shortestWindow: "Shortest window", storeFree: "Store free", fullIn: "full in {0}", growth: "{0}/day", notGrowing: "not growing", watched: "growth not known yet",
    nextExpiry: "Next expiry", expiryReceiver: "receiver's certificate", expiryCa: "certificate authority", expiryAgent: "agent of {0}",
    search: "Filter sites and databases", sort: "Sort", sortState: "problems first", sortRpo: "recovery point", sortName: "site", sortWindow: "shortest window", sortSnapshot: "oldest snapshot",
    group: "Group by site", span: "Time line", days: "{0} days", allTime: "everything", showing: "{0} shown", none: "none", nothing: "nothing matches",
    state: "State", database: "Database", rpo: "Recovery point", rpoHours: "last 6 hours", window: "Restorable window", snapshot: "Snapshot", drill: "Drill", receivers: "Receivers",
    target: "target {0}", never: "never", ago: "{0} ago", restorable: "{0} to {1}", notRestorable: "nothing can be restored", connected: "connected", away: "away", quorum: "quorum {0}",
    drillPassed: "passed {0}", drillFailed: "failed {0}", drillDidNotRun: "did not run {0}", rto: "RTO {0}", rpoShort: "RPO {0}", agent: "Agent", back: "All databases", reasons: "What is wrong", noReasons: "Nothing is wrong.",
    legendWindow: "restorable", legendOld: "another branch", legendGap: "gap", legendSnapshot: "snapshot", legendBad: "unusable or damaged snapshot", legendBranch: "branch",
    now: "now", timeline: "Time line", timelineOf: "Restorable from {0} to {1}; {2} snapshots, {3} gaps, {4} branches", rpoChart: "Recovery point over the last 24 hours", seconds: "seconds",
    rpoChartOf: "Recovery point: now {0}, largest of the last 24 hours {1}", snapshots: "Snapshots", finished: "Finished", size: "Size", newBytes: "New bytes", kind: "Kind", full: "full", incremental: "deduplicated", usable: "usable", unusable: "not usable: {0}", damagedPages: "{0} damaged pages",
    branches: "Branches", timelineNumber: "Timeline", end: "Ends at", current: "current", continued: "continued", abandoned: "abandoned", gaps: "Gaps", from: "From", to: "To", why: "Why", ledger: "Ledger", time: "Time", what: "What", note: "Note",
    notices: "Notices", streams: "Log", acknowledged: "acknowledged", inStore: "in the store", asOf: "as of", generation: "generation", status: "Status", spool: "Spool", version: "Version", postgres: "PostgreSQL", ack: "Acknowledges", certificate: "Certificate until", lastHeard: "Last heard", stored: "Stored by the site", limit: "of {0}",
    incidents: "Incidents", windowTarget: "Window promised", snapshotEvery: "Snapshot every", rtoTarget: "RTO target", rpoTarget: "RPO target", drillEvery: "Drill every", targets: "Targets", drills: "Drills", outcome: "Outcome", outcomePassed: "passed", outcomeFailed: "failed", outcomeDidNotRun: "did not run", checks: "Checks", checksOf: "{0} passed, {1} failed, {2} skipped", host: "Restore host", streaming: "streaming", notStreaming: "not streaming", degraded: "degraded",
    unknownDatabase: "This receiver has no database {0}.", receiver: "receiver {0}", footer: "Read-only page of stele-receiver {0}", licences: "Licences", loading: "Reading…", more: "and {0} more",
    gapMark: "gap {0} to {1}", snapshotMark: "snapshot {0}", branchMark: "timeline {0} began {1}", unit: {d: "d", h: "h", m: "min", s: "s"},
  },
  zh: {
    language: "English", languageLabel: "切换为英文", themeDark: "深色", themeLight: "浅色", themeLabel: "配色", skip: "跳到内容",
    ok: "正常", warning: "警告", critical: "严重", live: "实时", lost: "与接收端失去联系已 {0}，所示内容为旧数据。",
    allWell: "一切正常", attention: "{1} 个数据库中有 {0} 个需要处理", databases: "{0} 个数据库", sites: "{0} 个站点",
    worstRpo: "最大恢复点差距", shortestWindow: "最短可恢复窗口", storeFree: "存储剩余", fullIn: "{0}后写满", growth: "每天 {0}", notGrowing: "没有增长", watched: "增长尚未可知",
    nextExpiry: "最近到期", expiryReceiver: "接收端证书", expiryCa: "证书颁发机构", expiryAgent: "{0} 的代理",
    search: "筛选站点和数据库", sort: "排序", sortState: "问题优先", sortRpo: "恢复点", sortName: "站点", sortWindow: "窗口最短", sortSnapshot: "快照最旧",
    group: "按站点分组", span: "时间线", days: "{0} 天", allTime: "全部", showing: "显示 {0} 个", none: "无", nothing: "没有匹配项",
    state: "状态", database: "数据库", rpo: "恢复点", rpoHours: "最近 6 小时", window: "可恢复窗口", snapshot: "快照", drill: "演练", receivers: "接收端",
    target: "目标 {0}", never: "从未", ago: "{0}前", restorable: "{0} 至 {1}", notRestorable: "目前无法恢复", connected: "已连接", away: "未连接", quorum: "法定 {0}",
    drillPassed: "{0}通过", drillFailed: "{0}失败", drillDidNotRun: "{0}未能执行", rto: "RTO {0}", rpoShort: "RPO {0}", agent: "代理", back: "全部数据库", reasons: "问题", noReasons: "没有问题。",
    legendWindow: "可恢复", legendOld: "其他分支", legendGap: "缺口", legendSnapshot: "快照", legendBad: "不可用或损坏的快照", legendBranch: "分支",
    now: "现在", timeline: "时间线", timelineOf: "可恢复范围 {0} 至 {1}；{2} 个快照，{3} 处缺口，{4} 个分支", rpoChart: "最近 24 小时的恢复点", seconds: "秒",
    rpoChartOf: "恢复点：当前 {0}，最近 24 小时最大 {1}", snapshots: "快照", finished: "完成", size: "大小", newBytes: "新增数据", kind: "类型", full: "完整", incremental: "去重", usable: "可用", unusable: "不可用：{0}", damagedPages: "{0} 个损坏页",
    branches: "分支", timelineNumber: "时间线编号", end: "结束于", current: "当前", continued: "已延续", abandoned: "被放弃", gaps: "缺口", from: "起", to: "止", why: "原因", ledger: "台账", time: "时间", what: "事项", note: "说明",
    notices: "通知", streams: "日志", acknowledged: "已确认", inStore: "已入库", asOf: "截至", generation: "代次", status: "状况", spool: "缓存", version: "版本", postgres: "PostgreSQL", ack: "确认方式", certificate: "证书有效期至", lastHeard: "最近消息", stored: "站点已存储", limit: "上限 {0}",
    incidents: "事件", windowTarget: "承诺窗口", snapshotEvery: "快照间隔", rtoTarget: "RTO 目标", rpoTarget: "RPO 目标", drillEvery: "演练间隔", targets: "目标", drills: "演练", outcome: "结果", outcomePassed: "通过", outcomeFailed: "失败", outcomeDidNotRun: "未能执行", checks: "检查", checksOf: "{0} 项通过，{1} 项失败，{2} 项跳过", host: "恢复主机", streaming: "正在接收日志", notStreaming: "没有接收日志", degraded: "已降级",
    unknownDatabase: "此接收端没有数据库 {0}。", receiver: "接收端 {0}", footer: "stele-receiver {0} 的只读页面", licences: "许可证", loading: "正在读取…", more: "另有 {0} 项",
    gapMark: "缺口 {0} 至 {1}", snapshotMark: "快照 {0}", branchMark: "时间线 {0} 始于 {1}", unit: {d: "天", h: "小时", m: "分", s: "秒"},
  },
};

function remembered(key) {
  try { return localStorage.getItem(key); } catch { return null; }
}
export function remember(key, value) {
  try { localStorage.setItem(key, value); } catch { /* private windows keep nothing */ }
}
export const recall = remembered;

let language = remembered("stele.language") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
if (!(language in kWords)) language = "en";

export const currentLanguage = () => language;
export function setLanguage(next) {
  language = next;
  remember("stele.language", next);
}

/** The word of a key; {0}, {1} are replaced. */
export function t(key, ...values) {
  return kWords[language][key].replace(/\{(\d)\}/g, (_, i) => String(values[i]));
}

/** Seconds in two units at most: "3 d 4 h", "12 s". */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const unit = kWords[language].unit;
  const part = (n, u) => `${n} ${unit[u]}`;
  const s = Math.max(0, Math.round(seconds));
  const two = (a, u, b, v) => (b === 0 ? part(a, u) : `${part(a, u)} ${part(b, v)}`);
  if (s < 60) return part(seconds > 0 && seconds < 10 && s !== 0 ? Number(seconds.toFixed(1)) : s, "s");
  if (s < 3600) return two(Math.floor(s / 60), "m", s % 60, "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor(s / 60) % 60, "m");
  return two(Math.floor(s / 86400), "d", Math.floor(s / 3600) % 24, "h");
}

/** One unit only, for narrow places. */
export const shortDuration = (seconds) => duration(seconds).split(" ").slice(0, 2).join(" ");

export function bytes(n) {
  if (n === null || n === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  for (; n >= 1024 && i + 1 < units.length; ++i) n /= 1024;
  return `${i === 0 ? n : n.toFixed(n < 10 ? 1 : 0)} ${units[i]}`;
}

const two = (n) => String(n).padStart(2, "0");
/** Local time, "2026-11-25 18:30"; the same in both languages, so that people on the telephone mean the same. */
export function moment(epochSeconds, withSeconds = false) {
  if (!epochSeconds) return "–";
  const d = new Date(epochSeconds * 1000);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${two(d.getHours())}:${two(d.getMinutes())}${withSeconds ? ":" + two(d.getSeconds()) : ""}`;
}
export const day = (epochSeconds) => moment(epochSeconds).slice(5, 10);
