// Makes one file of the page: `node build.mjs BUNDLE WASM SAMPLE OUTPUT`.
//
// A page that is opened as a file may load neither modules nor wasm, so that everything stands
// in it. Its content security policy names the one script and the one style by their hashes.

import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const [bundle, wasm, sample, output] = process.argv.slice(2);
const here = (name) => new URL(name, import.meta.url);
const text = (name) => readFile(name, "utf8");

const style = await text(here("style.css"));
// An end tag in a string would end the element.
const script = (await text(bundle)).replaceAll("</script", "<\\/script");
const policy = await text(sample);
if (/<\/script/i.test(policy)) throw new Error(`${sample} would end the element that it stands in`);

const hash = (source) => `'sha256-${createHash("sha256").update(source).digest("base64")}'`;
const parts = {
  style,
  script,
  sample: policy,
  core: gzipSync(await readFile(wasm), { level: 9 }).toString("base64"),
  policy: [
    "default-src 'none'",
    `script-src ${hash(script)} 'wasm-unsafe-eval'`,
    `style-src ${hash(style)}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "require-trusted-types-for 'script'",
  ].join("; "),
};
const page = await text(here("index.html"));
await writeFile(output, page.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name]));
