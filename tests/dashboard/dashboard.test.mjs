// P10: the dashboard, in a browser, beside a shim that has something to do.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import { accessibility, block, closeBrowser, openPage, openShim, tabTo, traffic } from "./harness.mjs";

after(closeBrowser);

const TOKEN = "correct horse battery staple";

/** A dashboard that shows numbers. */
async function open(t, shim, options) {
  const page = await openPage(t, options);
  await page.goto(`${shim.admin}/`);
  await page.locator("#numbers").waitFor();
  return page;
}

/** The texts of a table's row, by its columns; waits for the row. */
async function row(page, place, name) {
  const found = page.locator(`${place} tbody tr`, { has: page.getByRole("rowheader", { name, exact: true }) });
  await found.waitFor();
  const cells = await found.locator("th, td").allTextContents();
  const titles = await page.locator(`${place} thead th`).allTextContents();
  return Object.fromEntries(titles.map((title, at) => [title, cells[at]]));
}

/** Asks until `isSo`; the last value in the failure. */
async function eventually(look, isSo) {
  const end = Date.now() + 20_000;
  for (;;) {
    const value = await look();
    if (isSo(value)) return value;
    assert.ok(Date.now() < end, `at last: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("P10: a dashboard without traffic says so", async (t) => {
  const shim = await openShim(t);
  const page = await open(t, shim);
  const empty = await page.locator("td.empty").allTextContents();
  assert.deepEqual(empty.filter(Boolean), [
    "No request has come yet.",
    "No request has come yet.",
    "Every answer was a hit so far.",
    "Nobody is blocked.",
    "Nothing is in the sample yet.",
    "Nothing was missed yet.",
  ]);
  assert.equal((await row(page, "#upstreams", "base"))["Servers up"], "1 of 1");
  assert.equal(await page.locator("#state").textContent(), "ok");
  assert.deepEqual(await accessibility(page), []);
});

test("P10: numbers change as requests come, without a reload", async (t) => {
  const shim = await openShim(t);
  const page = await open(t, shim);
  await shim.ask("/plugins/app.js");
  const requests = async () => (await row(page, "#routes", "bundles"))["All requests"];
  await eventually(requests, (text) => text === "1");
  for (let asked = 0; asked < 3; asked += 1) await shim.ask("/plugins/app.js");
  await eventually(requests, (text) => text === "4");
  const bundles = await row(page, "#routes", "bundles");
  assert.equal(bundles["All hits"], "75.0 %");
  assert.match(bundles.p99, /ms$/);
  assert.equal((await row(page, "#outcomes", "HIT"))["Since the start"], "3");
  assert.deepEqual(await row(page, "#reasons", "uri-miss"), { Reason: "uri-miss", "Mostly on": "bundles", Requests: "1" });
  const miss = await row(page, "#misses", "/plugins/app.js");
  assert.deepEqual([miss.Outcome, miss.Why, miss.Route, miss.Status], ["MISS", "uri\u2011miss", "bundles", "200"]);
  assert.equal((await row(page, "#zones", "default")).URLs, "1");
  const hot = await row(page, "#hottest", "/plugins/app.js");
  assert.equal(hot.Route, "bundles");
  await eventually(() => page.locator("#charts svg").first().getAttribute("aria-label"), (text) => /at most [1-9]/.test(text));
  for (const path of await page.locator("#charts svg path").all()) {
    assert.doesNotMatch(await path.getAttribute("d"), /NaN|undefined/);
  }
});

test("P10: the history is there for who comes later", async (t) => {
  const shim = await openShim(t);
  await traffic(shim);
  await eventually(
    () => fetch(`${shim.admin}/stats`).then((answer) => answer.json()).then(({ requests }) => requests.count),
    (count) => count >= 7,
  );
  // The second in which they came has passed.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const page = await open(t, shim);
  const chart = page.locator("#charts svg").first();
  await eventually(() => chart.getAttribute("aria-label"), (text) => /at most [1-9]/.test(text));
  const line = () => chart.locator("path").first().getAttribute("d");
  const short = await line();
  await page.getByLabel("Show").selectOption("an hour");
  assert.equal(await page.locator(".axis span").first().textContent(), "an hour ago");
  assert.notEqual(await line(), short);
});

test("P10: pausing holds the numbers still", async (t) => {
  const shim = await openShim(t);
  const page = await open(t, shim);
  await shim.ask("/plugins/app.js");
  const requests = async () => (await row(page, "#routes", "bundles"))["All requests"];
  await eventually(requests, (text) => text === "1");
  await page.getByRole("button", { name: "Pause" }).click();
  assert.equal(await page.locator("#state").textContent(), "paused");
  await shim.ask("/plugins/app.js");
  // Longer than it takes to be told.
  await page.waitForTimeout(2500);
  assert.equal(await requests(), "1");
  await page.getByRole("button", { name: "Pause" }).click();
  await eventually(requests, (text) => text === "2");
});

test("R9: a blocked client is let in after a question, by keyboard alone", async (t) => {
  const shim = await openShim(t);
  await block(shim, "203.0.113.7", "203.0.113.8");
  const page = await open(t, shim);
  assert.equal((await row(page, "#blocked", "ip:203.0.113.7")).Limit, "strict");
  assert.equal((await row(page, "#limits", "strict"))["All refused"], "2");
  const button = page.getByRole("button", { name: "Unblock ip:203.0.113.7 under strict" });
  await tabTo(page, button);
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog", { name: "Unblock this client?" });
  await dialog.waitFor();
  assert.deepEqual(await accessibility(page), []);
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
  assert.equal(await shim.ask("/api/v1/time", { client: "203.0.113.7" }), 429, "nothing was changed");
  assert.ok(await button.evaluate((node) => node === document.activeElement), "the focus is back");

  await page.keyboard.press("Enter");
  await tabTo(page, page.getByRole("button", { name: "Unblock", exact: true }));
  await page.keyboard.press("Enter");
  await page.getByText("ip:203.0.113.7 is let in again under strict.").waitFor();
  await button.waitFor({ state: "detached" });
  assert.equal(await shim.ask("/api/v1/time", { client: "203.0.113.7" }), 200);
  assert.equal(await shim.ask("/api/v1/time", { client: "203.0.113.8" }), 429, "nobody else is let in");
});

test("C9: each kind of purge voids what it names, after a question", async (t) => {
  const shim = await openShim(t);
  const page = await open(t, shim);
  const asked = (path) => shim.origin.served(path);
  const fill = async () => {
    for (const path of ["/plugins/app.js", "/plugins/app.css"]) await shim.ask(path);
    return [await asked("/plugins/app.js"), await asked("/plugins/app.css")];
  };
  const purge = async (kind, value, name) => {
    await page.getByLabel("What", { exact: true }).selectOption(kind);
    if (value !== undefined) await page.locator("#purge-value").fill(value);
    await page.getByRole("button", { name: "Purge…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Purge" }).click();
    await page.getByText(`Purged: ${name}, here now.`).waitFor();
  };
  assert.deepEqual(await fill(), [1, 1]);
  assert.deepEqual(await fill(), [1, 1]);
  await purge("a URL", "/plugins/app.js", "the stored answers to /plugins/app.js");
  assert.deepEqual(await fill(), [2, 1]);
  await purge("a tag", "bundles", "all that is stored with the tag bundles");
  assert.deepEqual(await fill(), [3, 2]);
  await purge("what begins with", "/plugins/app.c", "all that is stored for URLs that begin with /plugins/app.c");
  assert.deepEqual(await fill(), [3, 3]);
  await purge("everything", undefined, "everything that is stored");
  assert.deepEqual(await fill(), [4, 4]);

  await page.getByLabel("What", { exact: true }).selectOption("a URL");
  await page.locator("#purge-value").fill("/plugins/app.js");
  await page.getByRole("button", { name: "Purge…" }).click();
  await page.getByRole("button", { name: "Leave it" }).click();
  assert.deepEqual(await fill(), [4, 4]);
  await page.locator("#purge-value").fill("no url");
  await page.getByRole("button", { name: "Purge…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Purge" }).click();
  const refused = page.locator(".notice.bad");
  await refused.waitFor();
  assert.match(await refused.textContent(), /no url/);
});

test("R9: the policy in force, overrides and maintenance are shown as they change", async (t) => {
  const shim = await openShim(t);
  const page = await open(t, shim);
  const fact = (name) => page.locator(`#force dt:text-is("${name}") + dd`);
  await fact("Policy").waitFor();
  assert.equal(await fact("Policy").textContent(), shim.policy);
  assert.equal(await fact("Maintenance").textContent(), "off");
  const put = (path, body) =>
    fetch(shim.admin + path, { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  await put("/maintenance", { message: "Back at six.", retry_after: "10m" });
  await put("/limits/strict", { limit: "9 per 1h" });
  await page.getByRole("status", { name: "Notices" }).getByText("they are told “Back at six.”").waitFor();
  assert.match(await fact("Override of strict").textContent(), /9 per 1h/);
  assert.equal(await fact("A restart").textContent(), "keeps the overrides");
  await eventually(
    async () => (await row(page, "#limits", "strict")).Says,
    (text) => text === "9 per 1h, block 1h, overridden; the policy says 3 per 1h",
  );
});

test("P9: an upstream that is down, and a shim that is gone, are said", async (t) => {
  const shim = await openShim(t);
  const page = await open(t, shim);
  await shim.origin.stop();
  for (let asked = 0; asked < 12; asked += 1) await shim.ask("/api/v1/plugins");
  await page.getByText(/^upstream base is degraded/).waitFor();
  assert.equal(await page.locator("#state").textContent(), "degraded");
  const tile = page.locator(".tiles div", { hasText: "Failed (5xx)" });
  await eventually(() => tile.getAttribute("class"), (classes) => classes === "bad");
  await shim.stop();
  await page.getByText("The shim does not answer.").waitFor();
  assert.equal(await page.locator("#state").textContent(), "not connected");
  assert.equal((await row(page, "#routes", "api"))["All requests"], "12", "what was known stays");
});

test("P10: where there is a token the page asks for it, and keeps it for the tab", async (t) => {
  const shim = await openShim(t, { admin: 'token = "${OPS_TOKEN}"', env: { OPS_TOKEN: TOKEN } });
  const page = await openPage(t);
  await page.goto(`${shim.admin}/`);
  const field = page.getByLabel("Token", { exact: true });
  await field.waitFor();
  assert.deepEqual(await accessibility(page), []);
  await eventually(() => field.evaluate((node) => node === document.activeElement), Boolean);
  await page.keyboard.type("a wrong token, long enough");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("This is not the token").waitFor();
  assert.equal(await page.locator("#numbers").isVisible(), false);
  await field.fill(TOKEN);
  await page.getByRole("button", { name: "Open" }).click();
  await page.locator("#numbers").waitFor();
  await page.reload();
  await page.locator("#numbers").waitFor();
  const kept = await page.evaluate(() => [localStorage.length, document.cookie, location.href]);
  assert.deepEqual(kept, [0, "", `${shim.admin}/`]);
  await page.getByRole("button", { name: "Forget the token" }).click();
  await field.waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
});

test("P10: the page can be read on a narrow screen, in the dark, and from afar", async (t) => {
  const shim = await openShim(t);
  await block(shim, "203.0.113.7");
  await traffic(shim, 20);
  await shim.ask(`/plugins/${"a-long-name-without-an-end".repeat(8)}`);
  for (const options of [
    { viewport: { width: 360, height: 740 } },
    { viewport: { width: 360, height: 740 }, colorScheme: "dark" },
    { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
    { viewport: { width: 1280, height: 800 } },
  ]) {
    const page = await open(t, shim, options);
    await row(page, "#blocked", "ip:203.0.113.7");
    const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= screen, `${wide} of ${screen} pixels`);
    // Nothing is cut off, or stands beyond what it belongs to.
    const beyond = await page.evaluate(() =>
      [...document.querySelectorAll("section *")]
        .filter((node) => node.getBoundingClientRect().width > 0 && getComputedStyle(node).position !== "absolute")
        .filter((node) => !node.closest("thead, svg"))
        .filter((node) => node.getBoundingClientRect().right > node.closest("section").getBoundingClientRect().right + 1)
        .map((node) => node.outerHTML),
    );
    assert.deepEqual(beyond, []);
    assert.deepEqual(await accessibility(page), [], JSON.stringify(options));
    const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const isDark = Number(background.match(/\d+/)[0]) < 100;
    assert.equal(isDark, options.colorScheme === "dark", background);
  }
});

test("P10: what changes each second is not read aloud, and what is wrong is", async (t) => {
  const shim = await openShim(t);
  const page = await open(t, shim);
  const live = await page.evaluate(() =>
    [...document.querySelectorAll("[aria-live], [role=status], [role=alert], [role=log]")].map((node) => node.id),
  );
  assert.deepEqual(live, ["notices", "token-error"]);
  await page.evaluate(() => {
    globalThis.changes = 0;
    const count = (records) => (globalThis.changes += records.length);
    new MutationObserver(count).observe(document.getElementById("notices"), { childList: true, characterData: true, subtree: true });
  });
  await traffic(shim, 3);
  await row(page, "#routes", "bundles");
  await page.waitForTimeout(2500);
  assert.equal(await page.evaluate(() => globalThis.changes), 0);
});

test("P10: the page is closed to others: its policy allows nothing from elsewhere", async (t) => {
  const shim = await openShim(t);
  const answer = await fetch(`${shim.admin}/`);
  const fields = answer.headers;
  const policy = fields.get("content-security-policy");
  for (const rule of ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]) {
    assert.ok(policy.includes(rule), policy);
  }
  assert.ok(!policy.includes("unsafe"), policy);
  assert.equal(fields.get("x-content-type-options"), "nosniff");
  assert.equal(fields.get("referrer-policy"), "no-referrer");
  const asked = [];
  const page = await openPage(t, {}, /TrustedScriptURL/);
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(`${shim.admin}/`);
  await page.locator("#numbers").waitFor();
  assert.deepEqual(asked.filter((url) => !url.startsWith(`${shim.admin}/`)), []);
  const whatCame = await page.evaluate(() => {
    const script = document.createElement("script");
    try {
      script.src = `${location.origin}/dashboard/main.js`;
      return "a script";
    } catch (error) {
      return error.name;
    }
  });
  assert.equal(whatCame, "TypeError", "not even a script of ours is added by a text");
});
