// What the page decides about the receiver's facts: order, filter, sums. No elements in here.
import {siteTitle} from "./sites.js";

const kRank = {critical: 0, warning: 1, ok: 2};
export const keyOf = (d) => `${d.site}/${d.database}`;

/** Seconds that would be lost now; null: nothing can be restored. `now` is the receiver's clock. */
export function recoveryPoint(d, now) {
  if (!d.to) return null;
  return d.caught_up ? 0 : Math.max(0, now - d.to);
}

export const windowLength = (d) => (d.to && d.from ? Math.max(0, d.to - d.from) : 0);

export function counts(databases) {
  const out = {critical: 0, warning: 0, ok: 0};
  for (const d of databases) ++out[d.state];
  return out;
}

/** Databases that match what the reader asked for, in the order asked for. */
export function select(databases, view, now, language) {
  const needle = view.search.trim().toLowerCase();
  const shown = databases.filter((d) => {
    if (view.states.size !== 0 && !view.states.has(d.state)) return false;
    return needle === "" || `${keyOf(d)} ${d.title} ${siteTitle(d, "zh")} ${siteTitle(d, "en")}`.toLowerCase().includes(needle);
  });
  const byName = (a, b) => (keyOf(a) < keyOf(b) ? -1 : 1);
  const lost = (d) => recoveryPoint(d, now) ?? Infinity;
  const orders = {
    state: (a, b) => kRank[a.state] - kRank[b.state],
    rpo: (a, b) => (lost(a) === lost(b) ? 0 : lost(b) - lost(a)),
    name: () => 0,
    window: (a, b) => windowLength(a) - windowLength(b),
    snapshot: (a, b) => (a.snapshot ?? 0) - (b.snapshot ?? 0),
  };
  return shown.sort((a, b) => orders[view.sort](a, b) || byName(a, b));
}

/** [{site, title, databases}], in the order in which sites first appear. */
export function bySite(databases, language) {
  const groups = new Map();
  for (const d of databases) {
    if (!groups.has(d.site)) groups.set(d.site, {site: d.site, title: siteTitle(d, language), databases: []});
    groups.get(d.site).databases.push(d);
  }
  return [...groups.values()];
}

/** The certificate that ends first: {at, whose, site}. */
export function nextExpiry(receiver, databases) {
  const all = [
    {at: receiver.certificates.receiver, whose: "receiver"},
    {at: receiver.certificates.ca, whose: "ca"},
    ...databases.map((d) => ({at: d.certificate, whose: "agent", database: d})),
  ].filter((e) => e.at);
  return all.reduce((first, e) => (first === null || e.at < first.at ? e : first), null);
}
