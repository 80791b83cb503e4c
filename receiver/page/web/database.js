// One database's own page: everything the receiver can say of it.
import uPlot from "./uPlot.esm.js";
import {h} from "./dom.js";
import {badge, drillMeasured, drillWord, reasonText} from "./fleet.js";
import {recoveryPoint, windowLength} from "./model.js";
import {siteTitle} from "./sites.js";
import {legend, oldest, ticks, timeline} from "./timeline.js";
import {bytes, currentLanguage, duration, moment, shortDuration, t} from "./words.js";

const kMostRows = 50;
const epoch = (iso) => (iso ? Date.parse(iso) / 1000 : null);
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

export function databaseView(main, state, now, site, database) {
  const path = `/data/database.json?site=${site}&database=${database}`;
  const body = h("div", {class: "database"}, h("p", {}, t("loading")));
  main.append(h("p", {}, h("a", {href: "#/", class: "back"}, "← ", t("back"))), body);
  let told; // undefined: not asked yet, null: unknown
  let plot = null, chart = null, rpo = null;

  const fact = (label, value, note) => (value === null || value === undefined ? null : h("div", {class: "fact"}, h("dt", {}, label), h("dd", {}, value, note ? h("span", {class: "note"}, " ", note) : null)));
  const table = (title, heads, all) => (all.length === 0 ? null : h("section", {class: "panel"}, h("h2", {}, title, " ", h("span", {class: "note"}, all.length)),
    h("div", {class: "scroll", tabindex: 0, role: "region", "aria-label": title}, h("table", {}, h("thead", {}, h("tr", {}, heads.map((w) => h("th", {scope: "col"}, w)))),
      h("tbody", {}, all.slice(0, kMostRows).map((cells) => h("tr", {}, cells.map((c) => h("td", {}, c))))))), all.length > kMostRows ? h("p", {class: "note"}, t("more", all.length - kMostRows)) : null));

  function summary(d, full) {
    const a = full.agent, targets = full.targets ?? {};
    return h("section", {class: "panel"}, h("h2", {}, t("status")), h("dl", {class: "facts"},
      fact(t("window"), d.to ? t("restorable", moment(d.from), moment(d.to, true)) : t("notRestorable"), d.to ? `(${shortDuration(windowLength(d))})` : ""),
      fact(t("rpoTarget"), targets.rpo_seconds ? duration(targets.rpo_seconds) : null), fact(t("windowTarget"), targets.window_seconds ? duration(targets.window_seconds) : null),
      fact(t("snapshotEvery"), targets.snapshot_interval_seconds ? duration(targets.snapshot_interval_seconds) : null), fact(t("rtoTarget"), targets.rto_seconds ? duration(targets.rto_seconds) : null),
      fact(t("drillEvery"), targets.drill_interval_seconds ? duration(targets.drill_interval_seconds) : null),
      fact(t("drill"), d.drill ? drillWord(d.drill, moment(d.drill.at)) : t("none"), d.drill ? drillMeasured(d.drill) : ""),
      fact(t("agent"), d.connected ? t("connected") : t("away"), a ? `${t("lastHeard")} ${moment(epoch(a.received), true)}` : ""),
      a && fact(t("receivers"), `${a.receivers_connected ?? "–"}/${a.receivers_configured ?? "–"}`, a.quorum !== null ? t("quorum", a.quorum) : ""),
      a && fact(t("ack"), a.ack || "–", a.degraded ? t("degraded") : a.streaming ? t("streaming") : t("notStreaming")),
      a && fact(t("spool"), bytes(a.spool_disk_bytes), a.spool_limit_bytes ? t("limit", bytes(a.spool_limit_bytes)) : ""),
      a && fact(t("certificate"), moment(epoch(a.certificate_not_after))), a && fact(t("version"), a.version || "–"), a && fact(t("postgres"), serverVersion(a.server_version)),
      fact(t("stored"), bytes(full.site_bytes.stored), full.site_bytes.limit ? t("limit", bytes(full.site_bytes.limit)) : ""), fact(t("generation"), full.highest_generation)));
  }

  const kOutcomes = {passed: "outcomePassed", failed: "outcomeFailed", did_not_run: "outcomeDidNotRun"};
  const outcome = (word) => h("span", {class: word === "passed" ? "good" : "over"}, kOutcomes[word] ? t(kOutcomes[word]) : word);
  const measured = (seconds, target) => (seconds === null ? "–" : h("span", {class: target !== null && seconds > target ? "over" : ""}, duration(seconds), target === null ? "" : h("span", {class: "note"}, " ≤ ", duration(target))));

  /** "150020" is 15.20. */
  const serverVersion = (n) => (/^\d{5,6}$/.test(n) ? `${Math.floor(n / 10000)}.${n % 10000}` : n || "–");

  function lineSection(d) {
    const to = now(), begin = Math.min(oldest([d.line], to), to - 3600), from = begin - (to - begin) * 0.02;
    const axis = h("div", {class: "marks tall"});
    for (const {at, label} of ticks(from, to, innerWidth < 700 ? 4 : 10)) {
      const mark = h("span", {}, label);
      mark.style.left = `${(100 * (at - from)) / (to - from)}%`;
      axis.append(mark);
    }
    return h("section", {class: "panel"}, h("h2", {}, t("window")), timeline(d.line, from, to, true), axis, h("p", {class: "legend"}, legend(h)));
  }

  function draw() {
    const {times, seconds} = told.rpo;
    plot?.destroy();
    plot = null;
    if (times.length === 0) return;
    const target = told.rpo_target ?? null;
    const series = [{}, {label: t("rpo"), stroke: css("--accent"), fill: css("--accent-soft"), width: 1.5, spanGaps: false, points: {show: false}, value: (_, v) => (v === null ? "–" : duration(v))}];
    const data = [times, seconds];
    if (target) {
      series.push({label: t("rpoTarget"), stroke: css("--critical"), width: 1, dash: [5, 4], points: {show: false}, value: (_, v) => (v === null ? "–" : duration(v))});
      data.push(times.map(() => target));
    }
    const line = {stroke: css("--muted"), grid: {stroke: css("--line"), width: 1}, ticks: {stroke: css("--line")}};
    plot = new uPlot({
      width: chart.clientWidth, height: 220, series, scales: {y: {range: (_, low, high) => [0, Math.max(high ?? 0, target ?? 0, 1) * 1.15]}},
      axes: [{...line, values: (_, splits) => splits.map((s) => moment(s).slice(11))}, {...line, size: 78, incrs: [1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400, 604800], values: (_, splits) => splits.map((s) => (s === 0 ? "0" : shortDuration(s)))}],
      legend: {live: true}, cursor: {drag: {x: false, y: false}},
    }, data, chart);
  }

  function rpoText() {
    const value = recoveryPoint(told, now());
    return value === null ? "–" : duration(value);
  }

  function render() {
    const d = told, full = d.full;
    rpo = h("strong", {class: "big", id: "rpo"}, rpoText());
    const known = d.rpo.seconds.filter((v) => v !== null);
    chart = h("div", {class: "chart", role: "img", "aria-label": t("rpoChartOf", rpoText(), known.length ? duration(Math.max(...known)) : "–")});
    const scroll = scrollY;
    body.replaceChildren(
      h("h1", {}, badge(d.state), " ", siteTitle(d, currentLanguage()), " ", h("span", {class: "code"}, `${d.site}/${d.database}`)),
      h("section", {class: `panel why ${d.state}`, "aria-live": "polite"}, h("h2", {class: "unseen"}, t("reasons")), d.reasons.length === 0 ? h("p", {}, t("noReasons")) :
        h("ul", {class: "reasons"}, d.reasons.map((r) => h("li", {class: r.level}, reasonText(r), d.since[r.code] ? h("span", {class: "note"}, " ", t("ago", shortDuration(now() - d.since[r.code]))) : null)))),
      lineSection(d),
      h("section", {class: "panel"}, h("h2", {}, t("rpoChart")), h("p", {}, h("span", {class: "note"}, t("now"), " "), rpo), chart),
      summary(d, full),
      table(t("snapshots"), [t("finished"), t("kind"), t("size"), t("newBytes"), t("state")], [...full.snapshots].reverse().map((s) => [moment(epoch(s.finished)), s.full ? t("full") : t("incremental"), bytes(s.raw_bytes), bytes(s.new_bytes),
        s.usable ? (s.damaged_pages ? t("damagedPages", s.damaged_pages) : t("usable")) : t("unusable", s.why_not)])) ?? "",
      table(t("gaps"), [t("from"), t("to"), t("time"), t("why")], [...full.gaps].reverse().map((g) => [g.from, g.to, `${moment(epoch(g.before))} – ${moment(epoch(g.after))}`, g.reason])) ?? "",
      table(t("branches"), [t("timelineNumber"), t("end"), t("time"), t("state")], full.branches.map((b) => [b.timeline, b.end.position, moment(epoch(b.end.time)), b.current ? t("current") : full.abandoned.some((a) => a.stream === b.stream) ? t("abandoned") : t("continued")])) ?? "",
      table(t("streams"), [t("timelineNumber"), t("acknowledged"), t("inStore"), t("asOf"), t("generation")], full.streams.map((s) => [s.timeline ?? "–", s.acknowledged, s.in_store, moment(epoch(s.last_as_of), true), s.generation])) ?? "",
      table(t("drills"), [t("time"), t("outcome"), "RTO", "RPO", t("checks"), t("host"), t("note")], [...full.drills].reverse().map((run) => [moment(epoch(run.finished)), outcome(run.outcome),
        measured(run.rto_seconds, run.rto_target_seconds), measured(run.rpo_seconds, run.rpo_target_seconds), t("checksOf", run.checks.passed, run.checks.failed, run.checks.skipped), run.host, run.note])) ?? "",
      table(t("ledger"), [t("time"), t("what"), t("from"), t("note")], [...full.facts].reverse().map((f) => [moment(epoch(f.time)), f.kind, f.begin, f.note])) ?? "",
      table(t("notices"), [t("time"), t("what")], [...full.notices].reverse().map((n) => [moment(epoch(n.time)), n.text])) ?? "");
    draw();
    scrollTo(0, scroll);
    document.title = `${d.site}/${d.database} · Stele`;
  }

  let signature = "";
  const resized = () => { if (plot) plot.setSize({width: chart.clientWidth, height: 220}); };
  window.addEventListener("resize", resized);
  return {
    async refresh(ask) {
      told = (await ask(path))?.body ?? null;
    },
    show() {
      if (told === undefined) return;
      const next = JSON.stringify(told);
      if (next === signature) return;
      signature = next;
      if (told === null) body.replaceChildren(h("p", {}, t("unknownDatabase", `${site}/${database}`)));
      else render();
    },
    tick() {
      if (rpo && told) rpo.textContent = rpoText();
    },
    themed() {
      if (told) draw();
    },
    close() {
      window.removeEventListener("resize", resized);
      plot?.destroy();
    },
  };
}
