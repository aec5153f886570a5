// The dashboard as somebody sees it: a real shim before a real origin, and Chromium.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";

import { chromium } from "playwright-core";

import { startDemoOrigin } from "../edge/harness/demo-origin.mjs";
import { start } from "../edge/harness/process.mjs";
import { inRepository, program } from "../edge/harness/repository.mjs";

/** Milliseconds that anything may take to be seen: the shim tells each second. */
const PATIENCE = 20_000;

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

let browser;

/** The browser of this process. */
export async function openBrowser() {
  browser ??= await chromium.launch({
    executablePath: process.env.CHROMIUM_BIN ?? "/usr/bin/chromium",
    // Who tests in a container is root, which Chromium's own sandbox refuses.
    args: ["--no-sandbox", "--force-color-profile=srgb"],
  });
  return browser;
}

export const closeBrowser = () => browser?.close();

/**
 * A page of a new visitor; nothing may be said against it to the console.
 *
 * @param {import("node:test").TestContext} t
 * @param {import("playwright-core").BrowserContextOptions} [options]
 * @param {RegExp} [provoked] what the test wants to be said
 */
export async function openPage(t, options = {}, provoked = /^$/) {
  const context = await (await openBrowser()).newContext({ reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // A request that is refused is told to the page, which says what it thinks of it.
    const isOfAnswer = /^Failed to load resource/.test(message.text());
    if (message.type() === "error" && !isOfAnswer && !provoked.test(message.text())) complaints.push(message.text());
  });
  t.after(async () => {
    await context.close();
    // Among them would be each violation of the content security policy.
    assert.deepEqual(complaints, []);
  });
  return page;
}

/**
 * A shim with an admin listener.
 *
 * @param {import("node:test").TestContext} t
 * @param {{ admin?: string, env?: Record<string, string>, args?: string[] }} [options] `admin` is what the
 *   section of the policy has besides
 */
export async function openShim(t, { admin = "", env = {}, args = [] } = {}) {
  const origin = await startDemoOrigin();
  t.after(() => origin.stop());
  const folder = await mkdtemp(path.join(tmpdir(), "tidegate-dashboard-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const policy = path.join(folder, "tidegate.toml");
  const text = await readFile(inRepository("tests/dashboard/policy.toml"), "utf8");
  await writeFile(policy, text.replace("[admin]\n", `[admin]\n${admin}\n`));
  const { found, stop } = await start(
    program("TIDEGATE_BIN", "tidegate"),
    ["serve", "--policy", policy, "--listen", "127.0.0.1:0", ...args],
    [/^tidegate: listening on (http:\S+)$/, /^tidegate: admin listener on (http:\S+)$/],
    { env: { BASE_SVC: origin.base, PLUGIN_SERVER: origin.plugins, ...env } },
  );
  t.after(stop);
  const [url, operatedAt] = found.map((match) => match[1]);
  return { url, admin: operatedAt, origin, policy, stop, ask: asker(url) };
}

/** Asks over connections that are kept, as `client`. */
function asker(url) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  return (target, { method = "GET", client = "192.0.2.1", headers = {} } = {}) =>
    new Promise((resolve, reject) => {
      const all = { "X-Forwarded-For": client, ...headers };
      const request = http.request(url + target, { method, agent, headers: all }, (answer) => {
        answer.resume();
        answer.once("end", () => resolve(answer.statusCode));
      });
      request.once("error", reject);
      request.end();
    });
}

/** Some traffic of every kind. */
export async function traffic(shim, rounds = 1) {
  for (let round = 0; round < rounds; round += 1) {
    const bundles = ["app.js", "widget.js", "app.css", "logo.svg"].map((name) => `/plugins/${name}`);
    await Promise.all(bundles.map((path) => shim.ask(path)));
    await Promise.all([shim.ask("/api/v1/plugins"), shim.ask(`/api/v1/teams/${round % 5}/my-plugins`)]);
    await shim.ask("/nowhere/at/all");
  }
}

/** Blocks these clients under the limit `strict`. */
export async function block(shim, ...clients) {
  for (const client of clients) {
    let status;
    for (let asked = 0; asked < 4; asked += 1) status = await shim.ask("/api/v1/time", { client });
    assert.equal(status, 429);
  }
}

/** What axe finds against the page as it is. */
export async function accessibility(page) {
  // Injected by the tools of the browser, past the policy of the page, which forbids it.
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

/** Goes to a control as somebody without a pointer does. */
export async function tabTo(page, control) {
  for (let pressed = 0; pressed < 60; pressed += 1) {
    if (await control.evaluate((node) => node === document.activeElement)) {
      const outline = await control.evaluate((node) => getComputedStyle(node).outlineStyle);
      assert.equal(outline, "solid", "who has the focus can be seen");
      return;
    }
    await page.keyboard.press("Tab");
  }
  assert.fail("the control cannot be reached by keyboard");
}
