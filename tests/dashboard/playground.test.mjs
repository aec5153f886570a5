// The playground, in a browser: as a file, and on the admin listener of a shim.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { inRepository, program } from "../edge/harness/repository.mjs";
import { accessibility, closeBrowser, openPage, openShim, tabTo } from "./harness.mjs";

after(closeBrowser);

const PAGE = process.env.PLAYGROUND ?? inRepository("playground/build/playground.html");
const TOKEN = "correct horse battery staple";

/** The page as a file, with nothing beside it. */
async function openFile(t, options) {
  const page = await openPage(t, options);
  await page.goto(pathToFileURL(PAGE).href);
  await page.locator(".tier").first().waitFor();
  return page;
}

const summary = (page, text) => page.locator("#summary", { hasText: text }).waitFor();
const edge = (page) => page.locator(".tier").first();

test("C2: as a file the page explains a request of the sample, by itself", async (t) => {
  const asked = [];
  const page = await openPage(t);
  page.on("request", (request) => asked.push(request.url()));
  await page.goto(pathToFileURL(PAGE).href);
  await summary(page, "https://www.example.com/plugins/app.js?v=2 by anonymous. edge: cache; origin: bypass.");
  assert.equal(await page.locator("#policy").inputValue(), await readFile(inRepository("tidegate.toml"), "utf8"));
  assert.deepEqual(asked.filter((url) => !url.startsWith("file:") && !url.startsWith("data:")), []);
  assert.equal(await page.locator("#pages").isVisible(), false, "there is no listener to go to");
});

test("C2: decisions change as one types, and are those of `tidegate explain`", async (t) => {
  const page = await openFile(t);
  await page.getByLabel("URL, or a path").fill("https://www.example.com/api/v1/teams/7/my-plugins");
  await page.getByLabel("Headers, one a line").fill("Authorization: Bearer t\naccept-encoding: gzip");
  await summary(page, "by credential ~");
  await summary(page, "edge: bypass; origin: cache.");
  const { stdout } = await promisify(execFile)(program("TIDEGATE_BIN", "tidegate"), [
    ...["explain", "--policy", inRepository("tidegate.toml"), "--client", "203.0.113.7"],
    ...["-H", "authorization: Bearer t", "-H", "accept-encoding: gzip"],
    "https://www.example.com/api/v1/teams/7/my-plugins",
  ]);
  const told = stdout.split("\n").map((line) => line.replace(/ {2}\(.*\)$/, "").trim());
  const values = await page.locator(".tier dl").evaluateAll((lists) =>
    lists.flatMap((list) => [...list.querySelectorAll("dd")].map((value) => value.firstChild.textContent)),
  );
  assert.ok(values.length > 12, String(values));
  for (const value of values) assert.ok(told.some((line) => line.endsWith(value)), `${value} in\n${stdout}`);
  const headers = (await page.locator(".tier pre").allTextContents()).join("\n").split("\n");
  assert.ok(headers.length > 4, String(headers));
  for (const line of headers) assert.ok(told.includes(line.replace(/ {2}\(.*\)$/, "")), `${line} in\n${stdout}`);

  await page.getByLabel("User a token has proved").fill("ada");
  await summary(page, "by user ada");
  await page.getByLabel("Method").fill("POST");
  await page.getByLabel("Headers, one a line").fill("");
  await summary(page, "edge: bypass; origin: bypass.");
});

test("C2: all errors of a policy are shown at their lines, with a hint, and lead there", async (t) => {
  const page = await openFile(t);
  const policy = 'schema = 1\n[limits.a]\nlimit = 5\n\n[[routes]]\nname = "x"\nmatsch = "/x"\n';
  await page.locator("#policy").fill(policy);
  await page.getByText("Nothing is decided by a policy with errors.").waitFor();
  const { stdout, stderr } = await check(policy, t);
  const lines = page.locator("#lines li.error");
  const said = await lines.allTextContents();
  assert.ok(said.length >= 2, String(said));
  for (const text of said) {
    const [, line, column, message, hint] = text.match(/^Line (\d+), column (\d+): (.*)Hint: (.*)$/s);
    const whole = stdout + stderr;
    assert.ok(whole.includes(`:${line}:${column}: ${message}`), `${text} in\n${whole}`);
    assert.ok(whole.includes(`= hint: ${hint}`), `${text} in\n${whole}`);
  }
  const marked = await page.locator("#gutter .error").allTextContents();
  assert.ok(marked.includes("3") && marked.includes("7"), String(marked));
  assert.equal(await page.locator("#policy").getAttribute("aria-invalid"), "true");
  await page.getByRole("button", { name: "Line 7, column 1" }).click();
  const cursor = await page.locator("#policy").evaluate((field) => [field.selectionStart, document.activeElement === field]);
  assert.deepEqual(cursor, [policy.indexOf("matsch"), true]);
  assert.deepEqual(await accessibility(page), []);

  await page.keyboard.press("Control+A");
  await page.keyboard.insertText('schema = 1\n[ttl]\nx = "${X}"\n');
  await page.getByRole("button", { name: /^Line 3/ }).waitFor();
  await page.getByText("Its environment").click();
  await page.getByLabel("Variables, one NAME=value a line").fill("X=5s");
  await page.locator("#said", { hasText: "hash" }).waitFor();
  assert.equal(await page.locator("#gutter .error").count(), 0);
});

test("C2: what is wrong with a request is said at its field", async (t) => {
  const page = await openFile(t);
  await page.getByLabel("URL, or a path").fill("ftp://a/b");
  await page.getByLabel("Headers, one a line").fill("no colon here");
  await page.getByLabel("Client's address").fill("nobody");
  await page.locator("#url-error", { hasText: "neither http nor https" }).waitFor();
  await page.locator("#headers-error", { hasText: "has no colon" }).waitFor();
  await page.locator("#client-error", { hasText: "is no address" }).waitFor();
  assert.equal(await page.getByLabel("URL, or a path").getAttribute("aria-invalid"), "true");
  await page.getByText("Nothing is decided without a request.").waitFor();
  assert.deepEqual(await accessibility(page), []);
});

test("C2: a line of the policy is reached from the value that it made, by keyboard alone", async (t) => {
  const page = await openFile(t, { viewport: { width: 1100, height: 700 } });
  const button = edge(page).locator("dt:text-is('ttl') + dd button");
  const line = Number((await button.textContent()).replace("line ", ""));
  await tabTo(page, button);
  await page.keyboard.press("Enter");
  const there = await page.locator("#policy").evaluate((field) => {
    const before = field.value.slice(0, field.selectionStart).split("\n");
    return [before.length, field.value.split("\n")[before.length - 1]];
  });
  assert.equal(there[0], line);
  assert.match(there[1], /ttl = "1d"/);
  const [text, numbers] = await page.evaluate(() => [
    document.getElementById("policy").scrollTop,
    document.getElementById("gutter").scrollTop,
  ]);
  assert.ok(text > 0 && Math.abs(text - numbers) <= 1, `${numbers} beside ${text}`);
});

test("C2: the page can be read on a narrow screen and in the dark", async (t) => {
  for (const options of [
    { viewport: { width: 360, height: 740 } },
    { viewport: { width: 360, height: 740 }, colorScheme: "dark" },
    { viewport: { width: 1280, height: 800 } },
    { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  ]) {
    const page = await openFile(t, options);
    await page.getByLabel("URL, or a path").fill(`/plugins/${"a-long-name".repeat(40)}`);
    await summary(page, "a-long-name");
    const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= screen, `${wide} of ${screen} pixels`);
    assert.deepEqual(await accessibility(page), [], JSON.stringify(options));
  }
});

test("R9: on the admin listener the page begins with the policy in force, and changes nothing", async (t) => {
  const shim = await openShim(t, { args: ["--playground", PAGE] });
  const before = await readFile(shim.policy, "utf8");
  const page = await openPage(t);
  await page.goto(`${shim.admin}/`);
  await page.getByRole("link", { name: "Explain" }).click();
  await page.getByRole("textbox", { name: "tidegate.toml" }).waitFor();
  await page.locator("#whose", { hasText: "as it is in force" }).waitFor();
  assert.equal(await page.locator("#policy").inputValue(), before);
  // Where its servers are is for its environment to say.
  await page.getByText("Its environment").click();
  await page.getByLabel("Variables, one NAME=value a line").fill("BASE_SVC=127.0.0.1:1\nPLUGIN_SERVER=127.0.0.1:2");
  await summary(page, "edge: cache; origin: cache.");
  await page.locator("#policy").fill(before.replace('ttl = "1d"', 'ttl = "2d"'));
  await edge(page).locator("dd", { hasText: "2d" }).first().waitFor();
  assert.equal(await readFile(shim.policy, "utf8"), before);
  const { text } = await fetch(`${shim.admin}/policy`).then((answer) => answer.json());
  assert.equal(text, before);
  const answer = await fetch(`${shim.admin}/playground`);
  assert.match(answer.headers.get("content-security-policy"), /frame-ancestors 'none'/);
  await page.getByRole("link", { name: "Dashboard" }).click();
  await page.locator("#numbers").waitFor();
});

test("R9: with a token the policy in force is for who has shown it to the dashboard", async (t) => {
  const options = { admin: 'token = "${OPS_TOKEN}"', env: { OPS_TOKEN: TOKEN }, args: ["--playground", PAGE] };
  const shim = await openShim(t, options);
  const page = await openPage(t);
  await page.goto(`${shim.admin}/playground`);
  await page.locator("#whose", { hasText: "open the dashboard with its token" }).waitFor();
  assert.ok(!(await page.content()).includes("[limits.strict]"));
  await page.getByRole("link", { name: "Dashboard" }).click();
  await page.locator("#token").fill(TOKEN);
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Explain" }).click();
  await page.locator("#whose", { hasText: "as it is in force" }).waitFor();
  const policy = await page.locator("#policy").inputValue();
  assert.ok(policy.includes("${OPS_TOKEN}") && !policy.includes(TOKEN), "the name alone");
});

test("R9: a shim without the page says how to have it, and leads nobody there", async (t) => {
  const shim = await openShim(t);
  const answer = await fetch(`${shim.admin}/playground`);
  assert.equal(answer.status, 404);
  assert.match((await answer.json()).hint, /--playground FILE/);
  const page = await openPage(t);
  await page.goto(`${shim.admin}/`);
  await page.locator("#force dt").first().waitFor();
  assert.equal(await page.getByRole("link", { name: "Explain" }).isVisible(), false);
});

/** What `tidegate check` says of a policy. */
async function check(policy, t) {
  const folder = await mkdtemp(path.join(tmpdir(), "tidegate-check-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = path.join(folder, "tidegate.toml");
  await writeFile(file, policy);
  const bin = program("TIDEGATE_BIN", "tidegate");
  return promisify(execFile)(bin, ["check", "--policy", file]).catch((refused) => refused);
}
