// Takes pictures of pages in Chromium: pictures.mjs NPM_DIR JOBS.json. A job: {url, file, language, dark, width, height, full, paper, wait}.
import assert from "node:assert/strict";
import {existsSync, readFileSync} from "node:fs";
import {createRequire} from "node:module";

const [npm, jobs] = process.argv.slice(2);
const {chromium} = createRequire(`${npm}/package.json`)("playwright-core");
const program = process.env.PATH.split(":").map((folder) => `${folder}/chromium`).find((file) => existsSync(file));
assert.ok(program, "chromium is not installed (packages.txt)");
const browser = await chromium.launch({executablePath: program, args: ["--no-sandbox", "--disable-dev-shm-usage"]});
for (const job of JSON.parse(readFileSync(jobs, "utf8"))) {
  const context = await browser.newContext({viewport: {width: job.width, height: job.height}, locale: job.language === "zh" ? "zh-CN" : "en-GB", colorScheme: job.dark ? "dark" : "light"});
  context.setDefaultTimeout(120_000);
  const page = await context.newPage();
  if (job.paper) await page.emulateMedia({media: "print"});
  const begin = performance.now();
  await page.goto(job.url);
  if (job.wait) await page.waitForSelector(job.wait);
  const shown = performance.now() - begin;
  if (job.pause) await page.waitForTimeout(job.pause);
  // The whole page by a tall window: what is not on the screen is not drawn.
  for (let last = 0; job.full && last !== page.viewportSize().height;) {
    last = page.viewportSize().height;
    await page.setViewportSize({width: job.width, height: await page.evaluate(() => document.documentElement.scrollHeight)});
    await page.waitForTimeout(300);
  }
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await page.screenshot({path: job.file});
  console.log(`${job.file}: shown after ${shown.toFixed(0)} ms${wide > 0 ? `, ${wide} px wider than the screen` : ""}`);
  await context.close();
}
await browser.close();
