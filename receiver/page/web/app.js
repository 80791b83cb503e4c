// The page's one loop: ask the receiver, keep what it said, let the view of the moment show it. Read-only.
import {h} from "./dom.js";
import {databaseView} from "./database.js";
import {fleetView} from "./fleet.js";
import {currentLanguage, duration, moment, recall, remember, setLanguage, t} from "./words.js";

const kSlowest = 15, kLinesEvery = 30; // seconds

/** What the receiver said last. `offset`: its clock minus this one's, in seconds. */
const state = {fleet: null, lines: new Map(), linesVersion: null, offset: 0, heard: null, size: 0};
const now = () => Date.now() / 1000 + state.offset;
let view = null;
let linesAt = 0;

async function ask(path) {
  const answer = await fetch(path, {cache: "no-cache", signal: AbortSignal.timeout(10000)});
  const clock = Number(answer.headers.get("Stele-Time"));
  if (clock > 0) state.offset = clock - Date.now() / 1000;
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  const text = await answer.text();
  state.heard = Date.now();
  return {body: JSON.parse(text), size: text.length};
}

async function refresh() {
  const fleet = await ask("/data/fleet.json");
  state.size = fleet.size;
  state.fleet = fleet.body;
  if (state.linesVersion !== state.fleet.lines || now() - linesAt > kLinesEvery) {
    const lines = await ask("/data/lines.json");
    state.lines = new Map(lines.body.databases.map((l) => [`${l.site}/${l.database}`, l]));
    state.linesVersion = state.fleet.lines;
    linesAt = now();
  }
  await view.refresh?.(ask);
}

function showContact() {
  const alarm = document.getElementById("alarm");
  const silent = state.heard === null ? null : (Date.now() - state.heard) / 1000;
  const lost = silent !== null && silent > Math.max(10, 3 * pause());
  alarm.hidden = !lost;
  if (lost) alarm.textContent = t("lost", duration(silent));
  document.body.classList.toggle("stale", lost);
  const contact = document.getElementById("contact");
  contact.textContent = lost || silent === null ? "" : t("live");
  document.getElementById("clock").textContent = moment(now(), true);
}

/** Seconds between two questions: longer where much is told. */
const pause = () => Math.min(kSlowest, Math.max(2, state.size / 100_000));

function showFrame() {
  document.documentElement.lang = currentLanguage() === "zh" ? "zh-CN" : "en";
  document.getElementById("skip").textContent = t("skip");
  const language = document.getElementById("language");
  language.textContent = t("language");
  language.setAttribute("aria-label", t("languageLabel"));
  const theme = document.getElementById("theme");
  theme.textContent = t(dark() ? "themeLight" : "themeDark");
  theme.setAttribute("aria-label", `${t("themeLabel")}: ${theme.textContent}`);
  if (!state.fleet) return;
  document.getElementById("receiver").textContent = t("receiver", state.fleet.receiver);
  document.getElementById("footer").replaceChildren(t("footer", state.fleet.version), " · ", h("a", {href: "/licences.html"}, t("licences")));
}

const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark")) === "dark";

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  view?.themed?.();
  showFrame();
}

/** "#/db/440000/registry" is one database; everything else is the fleet. */
function route() {
  const [, kind, site, database] = location.hash.split("/");
  const main = document.getElementById("main");
  view?.close?.();
  main.replaceChildren();
  view = kind === "db" && site && database ? databaseView(main, state, now, decodeURIComponent(site), decodeURIComponent(database)) : fleetView(main, state, now);
  show();
}

function show() {
  showFrame();
  showContact();
  if (state.fleet) view.show();
}

async function loop() {
  for (;;) {
    if (document.visibilityState === "visible") {
      try {
        await refresh();
        show();
      } catch (error) {
        if (!(error instanceof TypeError || error.name === "TimeoutError" || error.message.includes("/data/"))) throw error;
      }
    }
    await new Promise((go) => {
      const timer = setTimeout(go, pause() * 1000);
      document.addEventListener("visibilitychange", () => { clearTimeout(timer); go(); }, {once: true});
    });
  }
}

document.getElementById("language").addEventListener("click", () => {
  setLanguage(currentLanguage() === "zh" ? "en" : "zh");
  route();
});
document.getElementById("theme").addEventListener("click", () => {
  const next = dark() ? "light" : "dark";
  remember("stele.theme", next);
  setTheme(next);
});
window.addEventListener("hashchange", () => {
  route();
  refresh().then(show, () => {});
  document.getElementById("main").focus();
  scrollTo(0, 0);
});
setInterval(() => {
  showContact();
  if (state.fleet) view.tick?.();
}, 1000);

setTheme(recall("stele.theme"));
route();
loop();
