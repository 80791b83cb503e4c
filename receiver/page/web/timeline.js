// The recoverable window of one database as a line: spans that can be restored, gaps, snapshots, branches.
import {svg} from "./dom.js";
import {duration, moment, t} from "./words.js";

const kDay = 86400;

/** The oldest moment that any of the lines shows; for "everything". */
export function oldest(lines, now) {
  let first = now - kDay;
  for (const line of lines) {
    for (const [from] of line.windows) if (from) first = Math.min(first, from);
    for (const [at] of line.snapshots) if (at) first = Math.min(first, at);
  }
  return first;
}

/** Moments for an axis over [from, to], at most `most`: {at, label}. */
export function ticks(from, to, most) {
  const steps = [3600, 2 * 3600, 6 * 3600, 12 * 3600, kDay, 2 * kDay, 7 * kDay, 14 * kDay, 30 * kDay, 90 * kDay, 365 * kDay];
  const step = steps.find((s) => (to - from) / s <= most) ?? 365 * kDay;
  const zone = -new Date(to * 1000).getTimezoneOffset() * 60; // days begin at local midnight
  const out = [];
  for (let at = Math.ceil((from + zone) / step) * step - zone; at <= to; at += step) {
    out.push({at, label: step < kDay ? moment(at).slice(11) : step >= 90 * kDay ? moment(at).slice(0, 7) : moment(at).slice(5, 10)});
  }
  return out;
}

/** The drawing; `tall` adds titles to every mark. Described in words for whoever does not see it. */
export function timeline(line, from, to, tall = false) {
  const x = (at) => `${((100 * (Math.min(Math.max(at, from), to) - from)) / (to - from)).toFixed(3)}%`;
  const width = (a, b) => `${Math.max(0, (100 * (Math.min(b, to) - Math.max(a, from))) / (to - from)).toFixed(3)}%`;
  const inside = (at) => at >= from && at <= to;
  const height = tall ? 44 : 26, bar = tall ? 14 : 10, top = (height - bar) / 2;
  const span = line.windows.length ? [Math.min(...line.windows.map((w) => w[0] ?? to)), Math.max(...line.windows.map((w) => w[1] ?? from))] : null;
  const words = span ? t("timelineOf", moment(span[0]), moment(span[1]), line.snapshots.length, line.gaps.length, line.branches.length) : t("notRestorable");
  const picture = svg("svg", {class: tall ? "timeline tall" : "timeline", role: "img", "aria-label": words, height});
  picture.append(svg("title", {}, words));
  picture.append(svg("rect", {class: "base", x: 0, y: height / 2 - 1, width: "100%", height: 2}));
  for (const {at} of ticks(from, to, tall ? 10 : 8)) picture.append(svg("line", {class: "grid", x1: x(at), x2: x(at), y1: 0, y2: height}));
  for (const [begin, end, current] of [...line.windows].sort((a, b) => a[2] - b[2])) {
    if (!begin || !end || end < from || begin > to) continue;
    picture.append(svg("rect", {class: current ? "window" : "window old", x: x(begin), y: current ? top : top + 2, width: width(begin, end), height: current ? bar : bar - 4, rx: 2}));
  }
  for (const [before, after] of line.gaps) {
    if (!before && !after) continue;
    const a = before || after, b = after || before;
    if (b < from || a > to) continue;
    const mark = svg("rect", {class: "gap", x: x(a), y: top - 3, width: `max(3px, ${width(a, b)})`, height: bar + 6});
    mark.style.width = `max(3px, ${width(a, b)})`;
    mark.append(svg("title", {}, t("gapMark", moment(a), moment(b))));
    picture.append(mark);
  }
  for (const [at, good] of line.snapshots) {
    if (!at || !inside(at)) continue;
    const mark = svg("line", {class: good ? "snapshot" : "snapshot bad", x1: x(at), x2: x(at), y1: top - 4, y2: top + bar + 4});
    mark.append(svg("title", {}, t("snapshotMark", moment(at))));
    picture.append(mark);
  }
  for (const [at, number] of line.branches) {
    if (!at || !inside(at)) continue;
    const place = svg("svg", {x: x(at), y: top - 1, overflow: "visible"}, svg("path", {class: "branch", d: "M0 -5 L4.5 0 L0 5 L-4.5 0 Z"}));
    place.append(svg("title", {}, t("branchMark", number, moment(at))));
    picture.append(place);
  }
  return picture;
}

/** What the marks mean. */
export function legend(hItem) {
  const mark = (kind) => svg("svg", {class: "timeline key", width: 18, height: 14, "aria-hidden": "true"}, {
    window: () => svg("rect", {class: "window", x: 0, y: 3, width: 18, height: 8, rx: 2}),
    old: () => svg("rect", {class: "window old", x: 0, y: 5, width: 18, height: 4, rx: 2}),
    gap: () => svg("rect", {class: "gap", x: 3, y: 1, width: 12, height: 12}),
    snapshot: () => svg("line", {class: "snapshot", x1: 9, x2: 9, y1: 0, y2: 14}),
    bad: () => svg("line", {class: "snapshot bad", x1: 9, x2: 9, y1: 0, y2: 14}),
    branch: () => svg("path", {class: "branch", d: "M9 2 L13.5 7 L9 12 L4.5 7 Z"}),
  }[kind]());
  return [["window", "legendWindow"], ["old", "legendOld"], ["gap", "legendGap"], ["snapshot", "legendSnapshot"], ["bad", "legendBad"], ["branch", "legendBranch"]]
    .map(([kind, word]) => hItem("span", {class: "key"}, mark(kind), t(word)));
}

/** The recovery point of the last hours, small: a line over a dashed target. Unknown stretches stay empty. */
export function spark(values, target) {
  const known = values.filter((v) => v !== null);
  const most = Math.max(target ? target * 1.5 : 1, ...known, 1);
  const w = 100, hgt = 22;
  const y = (v) => (hgt - 2 - ((hgt - 4) * Math.min(v, most)) / most).toFixed(1);
  const px = (i) => ((w * i) / Math.max(1, values.length - 1)).toFixed(1);
  let path = "", pen = false;
  values.forEach((v, i) => {
    if (v === null) pen = false;
    else {
      path += `${pen ? "L" : "M"}${px(i)} ${y(v)}`;
      if (!pen) path += `h0.01`;
      pen = true;
    }
  });
  const over = target && known.some((v) => v > target);
  const words = `${t("rpoHours")}: ${known.length ? duration(Math.max(...known)) : "–"}`;
  return svg("svg", {class: over ? "spark over" : "spark", viewBox: `0 0 ${w} ${hgt}`, preserveAspectRatio: "none", role: "img", "aria-label": words}, svg("title", {}, words),
    target ? svg("line", {class: "target", x1: 0, x2: w, y1: y(target), y2: y(target)}) : null, svg("path", {d: path || "M0 0"}));
}
