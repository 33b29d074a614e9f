// Walks through the pages as a person does: node pages.mjs URL, with CHROMIUM naming the browser. With SCREENSHOTS
// naming a folder, leaves a picture of each page there.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const url = process.argv[2];
const profile = mkdtempSync(join(tmpdir(), "trivium-ui-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: process.env.CHROMIUM,
  headless: true,
  viewport: { width: 1280, height: 900 },
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});
const page = await context.newPage();
page.setDefaultTimeout(20_000);
const problems = [];
page.on("pageerror", (error) => problems.push(String(error)));
page.on("console", (message) => message.type() === "error" && problems.push(message.text()));

const picture = async (name) => {
  const folder = process.env.SCREENSHOTS;
  if (folder) await page.screenshot({ path: join(folder, `${name}.png`) });
};

try {
  // The query page: an expression gives a table, then a graph; both stand in the URL.
  await page.goto(`${url}/`);
  await page.waitForURL(/\/t\/query/);
  const editor = page.getByLabel("Expression");
  await editor.click();
  await page.keyboard.type('scrapes_total{job="good"');
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Execute" }).click();
  const table = page.getByRole("table", { name: "Result" });
  await table.getByText("scrapes_total").waitFor();
  assert.match(await table.innerText(), /instance="127\.0\.0\.1:\d+".*\n?\s*\d+/s);
  assert.match(page.url(), /g0\.expr=scrapes_total/);
  await picture("query-table");

  await page.getByRole("tab", { name: "Graph" }).click();
  // Over an hour the last step may lie before the first scrape; over a minute it does not.
  await page.getByRole("textbox", { name: "Range" }).fill("1m");
  await page.getByRole("textbox", { name: "Range" }).press("Enter");
  await page.waitForURL(/g0\.range_input=1m/);
  await page.getByRole("img", { name: "Graph of 1 series" }).waitFor();
  await page.locator(".uplot canvas").waitFor();
  const drawn = await page.locator(".uplot canvas").evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const found = new Set();
    for (let i = 0; i < data.length; i += 4)
      if (data[i + 3] > 200) found.add(`${data[i]},${data[i + 1]},${data[i + 2]}`);
    return found.size;
  });
  assert.ok(drawn > 2, `the graph shows ${drawn} colours`);
  await picture("query-graph");
  await page.reload();
  await page.getByRole("img", { name: "Graph of 1 series" }).waitFor();

  // A mistake is explained.
  await page.goto(`${url}/query?g0.expr=sum(&g0.tab=1`);
  await page.getByRole("alert").getByText("parse error").waitFor();

  // A link of an alert, as Prometheus writes it.
  await page.goto(`${url}/graph?g0.expr=up+%3D%3D+0&g0.tab=1`);
  await page.getByRole("table", { name: "Result" }).getByText('job="bad"').waitFor();

  // Targets with their state and error.
  await page.getByRole("link", { name: "Targets" }).click();
  const bad = page.getByRole("region", { name: "Job bad" });
  await bad.getByText("0 of 1 up").waitFor();
  assert.match(await bad.getByRole("status").innerText(), /refused/);
  await page.getByRole("region", { name: "Job good" }).getByText("1 of 1 up").waitFor();
  await picture("targets");

  // Alerts with their state, labels and annotations.
  await page.getByRole("link", { name: "Alerts" }).click();
  const group = page.getByRole("region", { name: "Group demo" });
  await group.getByText("firing").first().waitFor();
  const rule = group.getByRole("button", { name: /TargetDown/ });
  if ((await rule.getAttribute("aria-expanded")) !== "true") await rule.click();
  await group.getByText("It is down: 127.0.0.1").waitFor();
  await group.getByText('severity="page"').first().waitFor();
  await picture("alerts");

  // The browser reports the parse error's status 400 itself; nothing else may be wrong.
  assert.deepEqual(
    problems.filter((text) => !text.includes("status of 400")),
    [],
  );
  console.log("all pages work");
} finally {
  await context.close();
  rmSync(profile, { recursive: true, force: true });
}
