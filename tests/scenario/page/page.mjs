// The page in a real Chromium, with a real receiver behind it: page.mjs NPM_DIR PAGE_URL METRICS_URL MEETING_DIR. Exit code 0: everything was
// as it must be. page_test.cc starts it, waits for the files it writes, and breaks things in between.
import assert from "node:assert/strict";
import {existsSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";

const [npm, url, metricsUrl, meeting] = process.argv.slice(2);
const {chromium} = createRequire(`${npm}/package.json`)("playwright-core");
const kPatience = 150_000;
const key = "440000/registry";
const saw = (what) => { console.log("saw", what); writeFileSync(`${meeting}/${what}`, ""); };

/** Waits for a file of the other side. */
async function told(what) {
  const end = Date.now() + kPatience;
  while (!existsSync(`${meeting}/${what}`)) {
    assert.ok(Date.now() < end, `nobody said ${what}`);
    await new Promise((go) => setTimeout(go, 50));
  }
}

const program = process.env.PATH.split(":").map((folder) => `${folder}/chromium`).find((file) => existsSync(file));
assert.ok(program, "chromium is not installed (packages.txt)");
const browser = await chromium.launch({executablePath: program, args: ["--no-sandbox", "--disable-dev-shm-usage"]});
const context = await browser.newContext({viewport: {width: 1400, height: 900}, locale: "en-GB", colorScheme: "dark"});
context.setDefaultTimeout(kPatience);
const page = await context.newPage();
const complaints = [];
page.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") complaints.push(m.text()); });
page.on("pageerror", (e) => complaints.push(e.message));
page.on("response", (r) => { if (r.status() >= 400) complaints.push(`${r.status()} ${r.url()}`); });
page.on("request", (r) => { if (!r.url().startsWith(url)) complaints.push(`asked elsewhere: ${r.url()}`); });

const row = page.locator(`.row[data-key="${key}"]`);
const inState = (...states) => page.waitForSelector(states.map((s) => `.row[data-key="${key}"][data-state="${s}"]`).join(","));
const metric = (text, name) => Number(new RegExp(`^${name}\\{[^}]*site="440000"[^}]*\\} (\\S+)$`, "m").exec(text)?.[1]);

await page.goto(url);
await inState("ok");
assert.match(await row.innerText(), /OK/);
await page.waitForSelector(`.row[data-key="${key}"] .timeline .window`);

// The page, `status` and the metrics say the same.
const status = await (await fetch(`${metricsUrl}/status`)).json();
const metrics = await (await fetch(`${metricsUrl}/metrics`)).text();
const fleet = await (await fetch(`${url}/data/fleet.json`)).json();
assert.equal(fleet.databases.length, status.databases.length);
const short = fleet.databases.find((d) => d.site === "440000"), full = status.databases.find((d) => d.site === "440000");
assert.equal(short.state, full.state);
assert.equal(short.snapshots, full.snapshots.length);
assert.equal(short.rpo_target, metric(metrics, "stele_rpo_target_seconds"));
assert.ok(Math.abs(short.to - metric(metrics, "stele_receiver_window_latest_timestamp_seconds")) < 60, `${short.to}`);
assert.equal(await row.locator("line.snapshot").count(), full.snapshots.length);
assert.match(await row.locator(".c-recv").innerText(), new RegExp(`${metric(metrics, "stele_receivers_connected")}/${metric(metrics, "stele_receivers_configured")}`));

const hostile = page.locator('.row[data-key="666666/registry"]');
// So does the drill, which a restore host has really run and signed.
await page.waitForFunction((k) => document.querySelector(`.row[data-key="${k}"] .c-drill .good`), key);
const {databases: drilled} = await (await fetch(`${metricsUrl}/status`)).json();
const drill = drilled.find((d) => d.site === "440000").drill;
assert.equal(drill.outcome, "passed");
assert.equal(metric(await (await fetch(`${metricsUrl}/metrics`)).text(), "stele_receiver_drill_passed"), 1);
assert.match(await row.locator(".c-drill").innerText(), /passed .* ago\s+RTO [\d.]+ (s|min) · RPO [\d.]+ (s|min)/);
assert.match(await hostile.locator(".c-drill").innerText(), /none/);

// A hostile name is text.
assert.match(await hostile.innerText(), /<img src=x onerror="document.title=1">"&/);
assert.equal(await page.locator("img").count(), 0);
assert.match(await page.title(), /Stele/);
saw("well");

await inState("warning", "critical");
assert.match(await row.innerText(), /no agent is connected/);
assert.match(await page.locator(".headline").innerText(), /2 of 2 databases need attention/);
// Problems stand first; filters count them.
assert.notEqual(await page.locator(".list .row").first().getAttribute("data-state"), "ok");
saw("outage");
await inState("ok");
assert.match(await page.locator(".headline").innerText(), /1 of 2 databases need attention/);
saw("well-again");

// Both languages, both colours, everything by keyboard.
await page.locator("#language").focus();
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.documentElement.lang === "zh-CN");
assert.match(await row.innerText(), /正常/);
assert.match(await row.innerText(), /广东|440000/);
assert.match(await page.locator(".headline").innerText(), /2 个数据库中有 1 个需要处理/);
const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const before = await background();
await page.locator("#theme").press("Enter");
assert.notEqual(await background(), before);

// Filter and group.
await page.locator("#search").fill("广东");
await page.waitForFunction(() => document.querySelectorAll(".list .row").length === 1);
await page.locator("#search").fill("");
await page.locator("#state-warning").click();
await page.waitForFunction(() => [...document.querySelectorAll(".list .row")].every((r) => r.dataset.state === "warning"));
await page.locator("#state-warning").click();
await page.locator("#group").check();
await page.waitForSelector("h2.group");

// A database's own page.
await row.locator("a").press("Enter");
await page.waitForSelector(".database .timeline.tall .window");
assert.match(await page.locator(".database").innerText(), new RegExp(full.streams[0].stream ? "0/" : ""));
assert.match(await page.locator(".database h1").innerText(), /440000\/registry/);
assert.match(await page.locator(".database").innerText(), new RegExp(`演练 1[^]*通过[^]*${drill.host}`), "its drills are a table");

// A narrow screen: nothing sticks out, on either page.
const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
await page.setViewportSize({width: 390, height: 844});
assert.ok(await fits(), "the database's page is wider than a telephone");
await page.goto(`${url}/#/`);
await page.waitForSelector(".list .row");
assert.ok(await fits(), "the fleet page is wider than a telephone");
await page.locator("#language").click();
await page.waitForFunction(() => document.documentElement.lang === "en");
assert.ok(await fits(), "the English page is wider than a telephone");

// What has no visible text has a name for those who do not see it.
const nameless = await page.evaluate(() => [...document.querySelectorAll("button, a, input, select, [role=img]")]
  .filter((e) => !(e.innerText || e.textContent || "").trim() && !e.getAttribute("aria-label") && !e.labels?.length).map((e) => e.outerHTML.slice(0, 80)));
assert.deepEqual(nameless, []);
await page.goto(`${url}/licences.html`);
assert.match(await page.locator("main").innerText(), /uPlot/);
await page.goto(`${url}/`);
await page.waitForSelector(".list .row");
assert.deepEqual(complaints, []);
saw("looked-at-everything");

// A receiver that is gone is said loudly, and what was shown is marked as old.
await told("receiver-stopped");
await page.waitForSelector("#alarm:not([hidden])");
assert.match(await page.locator("#alarm").innerText(), /No contact with the receiver/);
assert.ok(await page.evaluate(() => document.body.classList.contains("stale")));
saw("no-contact");
await browser.close();
