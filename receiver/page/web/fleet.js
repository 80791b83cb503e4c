// All databases at a glance: sums, filter, and one row each. Rows are kept and only those that changed are drawn again.
import {h, hidden} from "./dom.js";
import {bySite, counts, keyOf, nextExpiry, recoveryPoint, select, windowLength} from "./model.js";
import {siteTitle} from "./sites.js";
import {legend, oldest, spark, ticks, timeline} from "./timeline.js";
import {bytes, currentLanguage, day, duration, moment, recall, remember, shortDuration, t} from "./words.js";

const kDay = 86400;
const kPage = 100; // rows drawn at a time: problems come first, and a thousand drawings at once would hold up a small machine
const kShapes = {critical: "■", warning: "▲", ok: "●"};
// What the reader chose; it outlives a change of view.
const chosen = {search: "", states: new Set(), sort: recall("stele.sort") ?? "state", group: recall("stele.group") === "yes", days: Number(recall("stele.days") ?? 7)};

export const badge = (state) => h("span", {class: `badge ${state}`}, h("span", {"aria-hidden": "true"}, kShapes[state]), " ", t(state));
export const databaseLink = (d) => `#/db/${encodeURIComponent(d.site)}/${encodeURIComponent(d.database)}`;
/** The receiver's words; the moments in them become local time. */
export const reasonText = (r) => (currentLanguage() === "zh" ? r.zh : r.en).replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, (iso) => moment(Date.parse(iso) / 1000));

const kDrillWords = {passed: "drillPassed", failed: "drillFailed", did_not_run: "drillDidNotRun"};
/** "passed 3 d ago"; what a newer receiver may say besides is shown as it is. */
export const drillWord = (drill, when) => (kDrillWords[drill.outcome] ? t(kDrillWords[drill.outcome], when) : `${drill.outcome} ${when}`);
/** "RTO 12 s · RPO 1 s", as far as it was measured; over its target it stands out. */
export function drillMeasured(drill) {
  const one = (key, value, target) => (value === null ? null : h("span", {class: target !== null && value > target ? "whole over" : "whole"}, t(key, shortDuration(value))));
  const parts = [one("rto", drill.rto, drill.rto_target), one("rpoShort", drill.rpo, drill.rpo_target)].filter((part) => part !== null);
  return parts.length === 2 ? [parts[0], " · ", parts[1]] : parts;
}

export function fleetView(main, state, now) {
  const rows = new Map(); // key -> {element, signature, rpo}
  const parts = frame();
  main.append(parts.headline, parts.tiles, parts.tools, parts.axis, parts.list, parts.more, parts.empty, h("p", {class: "legend"}, legend(h)));
  let order = "", limit = kPage;
  // Scrolled to the end, the list goes on by itself.
  const watcher = new IntersectionObserver((seen) => { if (seen.some((s) => s.isIntersecting)) grow(); }, {rootMargin: "600px"});
  watcher.observe(parts.more);

  function grow() {
    if (parts.more.hidden) return;
    limit += kPage;
    show();
  }

  function frame() {
    const search = h("input", {type: "search", id: "search", placeholder: t("search"), "aria-label": t("search"), value: chosen.search, autocomplete: "off", oninput: (e) => { chosen.search = e.target.value; show(); }});
    const option = (value, label, now_) => h("option", {value, selected: value === String(now_)}, label);
    const sort = h("select", {"aria-label": t("sort"), id: "sort", onchange: (e) => { chosen.sort = e.target.value; remember("stele.sort", chosen.sort); show(); }},
      [["state", "sortState"], ["rpo", "sortRpo"], ["name", "sortName"], ["window", "sortWindow"], ["snapshot", "sortSnapshot"]].map(([v, w]) => option(v, t(w), chosen.sort)));
    const days = h("select", {"aria-label": t("span"), id: "days", onchange: (e) => { chosen.days = Number(e.target.value); remember("stele.days", e.target.value); show(); }},
      [1, 7, 30, 90].map((n) => option(String(n), t("days", n), chosen.days)), option("0", t("allTime"), chosen.days));
    const group = h("label", {class: "check"}, h("input", {type: "checkbox", id: "group", checked: chosen.group, onchange: (e) => { chosen.group = e.target.checked; remember("stele.group", chosen.group ? "yes" : "no"); show(); }}), t("group"));
    return {
      headline: h("h1", {class: "headline"}), tiles: h("section", {class: "tiles", "aria-label": t("status")}),
      tools: h("div", {class: "tools"}, search, h("label", {}, t("sort"), " ", sort), h("label", {}, t("span"), " ", days), group, h("span", {id: "shown", role: "status"})),
      axis: h("div", {class: "row axis", "aria-hidden": "true"}), list: h("div", {class: "list"}), more: h("button", {type: "button", class: "more", hidden: true, onclick: () => grow()}), empty: h("p", {class: "empty", hidden: true}, t("nothing")),
    };
  }

  function toggle(word) {
    if (chosen.states.has(word)) chosen.states.delete(word);
    else chosen.states.add(word);
    show();
  }

  const tile = (label, value, note, kind = "") => h("div", {class: `tile ${kind}`}, h("span", {class: "label"}, label), h("strong", {}, value), h("span", {class: "note"}, note ?? ""));

  function showTiles() {
    const {fleet} = state, all = fleet.databases, count = counts(all);
    const wrong = count.critical + count.warning;
    const own = fleet.reasons;
    const level = count.critical || own.some((r) => r.level === "critical") ? "critical" : wrong || own.length ? "warning" : "ok";
    parts.headline.className = `headline ${level}`;
    parts.headline.replaceChildren(h("span", {class: "shape", "aria-hidden": "true"}, kShapes[level]), " ", wrong ? t("attention", wrong, all.length) : own.length ? t(level) : t("allWell"),
      h("span", {class: "own"}, own.map((r) => h("span", {class: `reason ${r.level}`}, reasonText(r)))));
    document.title = `${kShapes[level]} ${wrong ? `${wrong}/${all.length}` : t("ok")} · Stele`;
    const points = all.map((d) => [recoveryPoint(d, now()), d]).filter(([v]) => v !== null);
    const [worst, whose] = points.reduce((a, b) => (b[0] > a[0] ? b : a), [-1, null]);
    const short = all.filter((d) => d.to).reduce((a, d) => (a === null || windowLength(d) < windowLength(a) ? d : a), null);
    const expiry = nextExpiry(fleet, all);
    const {store} = fleet;
    const name = (d) => siteTitle(d, currentLanguage());
    const focused = document.activeElement?.id;
    parts.tiles.replaceChildren(
      h("div", {class: "tile states", role: "group", "aria-label": t("state")}, ["critical", "warning", "ok"].map((s) =>
        h("button", {type: "button", id: `state-${s}`, class: `state ${s}`, "aria-pressed": chosen.states.has(s) ? "true" : "false", onclick: () => toggle(s)}, h("strong", {}, count[s]), h("span", {}, h("span", {"aria-hidden": "true"}, kShapes[s]), " ", t(s))))),
      tile(t("worstRpo"), whose ? shortDuration(worst) : "–", whose && worst > 0 ? name(whose) : ""),
      tile(t("shortestWindow"), short ? shortDuration(windowLength(short)) : "–", short ? name(short) : ""),
      tile(t("storeFree"), bytes(store.free), store.full_in !== null ? t("fullIn", shortDuration(store.full_in)) : store.growth === null ? t("watched") : store.growth > 0 ? t("growth", bytes(store.growth * kDay)) : t("notGrowing")),
      tile(t("nextExpiry"), expiry ? shortDuration(expiry.at - now()) : "–", expiry ? (expiry.whose === "receiver" ? t("expiryReceiver") : expiry.whose === "ca" ? t("expiryCa") : t("expiryAgent", name(expiry.database))) : ""));
    if (focused?.startsWith("state-")) document.getElementById(focused)?.focus();
  }

  function axis(from, to) {
    const marks = h("div", {class: "marks"});
    for (const {at, label} of ticks(from, to, innerWidth < 900 ? 4 : 8)) {
      const mark = h("span", {}, label);
      const place = (100 * (at - from)) / (to - from);
      mark.style.left = `${place}%`;
      mark.className = place < 3 ? "first" : place > 97 ? "last" : ""; // in the middle of their moment, but inside
      marks.append(mark);
    }
    parts.axis.replaceChildren(h("span", {class: "c-state"}, t("state")), h("span", {class: "c-name"}, t("database")), h("span", {class: "c-rpo"}, t("rpo")), h("span", {class: "c-line"}, marks),
      h("span", {class: "c-snap"}, t("snapshot")), h("span", {class: "c-drill"}, t("drill")), h("span", {class: "c-recv"}, t("receivers")));
  }

  function rpoText(d) {
    const v = recoveryPoint(d, now());
    return v === null ? "–" : duration(v);
  }

  function row(d, from, to) {
    const line = state.lines.get(keyOf(d));
    const target = d.rpo_target ?? null, point = recoveryPoint(d, now());
    const rpo = h("strong", {class: target !== null && point !== null && point > target ? "over" : ""}, rpoText(d));
    const [connected, configured, quorum] = d.receivers ?? [];
    const element = h("article", {class: `row ${d.state}`, "data-key": keyOf(d), "data-state": d.state},
      h("div", {class: "c-state"}, badge(d.state)),
      h("div", {class: "c-name"}, h("a", {href: databaseLink(d)}, h("b", {}, siteTitle(d, currentLanguage())), " ", h("span", {class: "code"}, keyOf(d)))),
      h("div", {class: "c-rpo"}, hidden(t("rpo")), rpo, h("span", {class: "note"}, target ? t("target", shortDuration(target)) : ""), line ? spark(line.rpo, target) : null),
      h("div", {class: "c-line"}, hidden(t("window")), line ? timeline(line, from, to) : null,
        h("span", {class: "note ends"}, d.to ? h("span", {}, `${day(d.from)} – ${moment(d.to).slice(5)}`) : t("notRestorable"), d.to ? h("span", {}, shortDuration(windowLength(d))) : "")),
      h("div", {class: "c-snap"}, h("span", {class: "label"}, t("snapshot")), h("span", {}, d.snapshot ? t("ago", shortDuration(now() - d.snapshot)) : t("none")), h("span", {class: "note"}, d.snapshots > 1 ? `× ${d.snapshots}` : "")),
      h("div", {class: "c-drill"}, h("span", {class: "label"}, t("drill")), drill(d)),
      h("div", {class: "c-recv"}, h("span", {class: "label"}, t("receivers")), h("span", {}, configured !== undefined ? `${connected ?? "–"}/${configured ?? "–"}` : "–"), h("span", {class: "note"}, d.connected ? (quorum ? t("quorum", quorum) : "") : t("away"))),
      d.reasons.length ? h("ul", {class: "reasons"}, d.reasons.map((r) => h("li", {class: r.level}, reasonText(r)))) : null);
    return {element, rpo};
  }

  function drill(d) {
    if (!d.drill) return h("span", {}, t("none"));
    return h("span", {class: d.drill.outcome === "passed" ? "good" : "over"}, drillWord(d.drill, t("ago", shortDuration(now() - d.drill.at))), h("span", {class: "note below"}, drillMeasured(d.drill)));
  }

  function show() {
    if (!state.fleet) return;
    showTiles();
    const all = state.fleet.databases, to = now();
    const from = chosen.days > 0 ? to - chosen.days * kDay : oldest(state.lines.values(), to);
    axis(from, to);
    const selected = select(all, chosen, to, currentLanguage());
    parts.empty.hidden = selected.length !== 0;
    document.getElementById("shown").textContent = t("showing", selected.length);
    // Time moves the drawing by a pixel now and then; once a minute is often enough.
    const minute = Math.floor(to / 60);
    const drawn = chosen.group ? bySite(selected, currentLanguage()).flatMap((g) => g.databases).slice(0, limit) : selected.slice(0, limit);
    parts.more.hidden = drawn.length === selected.length;
    parts.more.textContent = t("more", selected.length - drawn.length);
    for (const d of drawn) {
      const key = keyOf(d), line = state.lines.get(key);
      const signature = JSON.stringify([d, chosen.days, minute, line ? [line.snapshots.length, line.rpo.at(-1)] : 0, state.linesVersion]);
      const known = rows.get(key);
      if (known?.signature === signature) continue;
      const made = row(d, from, to);
      // The one that has the keyboard's focus keeps it.
      const focused = known?.element.contains(document.activeElement);
      known?.element.replaceWith(made.element);
      if (focused) made.element.querySelector("a").focus();
      rows.set(key, {...made, signature, d});
    }
    const layout = chosen.group ? bySite(drawn, currentLanguage()) : [{databases: drawn}];
    const next = JSON.stringify(layout.map((g) => [g.site, g.databases.map(keyOf)]));
    if (next === order) return;
    order = next;
    parts.list.replaceChildren(...layout.flatMap((g) => [
      ...(g.site === undefined ? [] : [h("h2", {class: "group"}, g.title, " ", h("span", {class: "code"}, g.site), " ", h("span", {class: "note"}, t("databases", g.databases.length)))]),
      ...g.databases.map((d) => rows.get(keyOf(d)).element)]));
  }

  return {
    show,
    close: () => watcher.disconnect(),
    tick() {
      for (const {rpo, d, element} of rows.values()) {
        if (!d.caught_up && element.isConnected) rpo.textContent = rpoText(d);
      }
    },
  };
}
