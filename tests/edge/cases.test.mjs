// The cases in wasm: the same small world, compiled for the platform of the worker, comes to
// the same verdicts in all they say.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { promisify } from "node:util";

import { inRepository, program } from "./harness/repository.mjs";

const WORLD =
  process.env.TIDEGATE_WORLD_WASM ??
  inRepository("target", "wasm32-unknown-unknown", "debug", "tidegate_world.wasm");

test("every case comes to the same verdict in wasm", async (t) => {
  const world = await WebAssembly.compile(await readFile(WORLD));
  assert.deepEqual(WebAssembly.Module.imports(world), [], "the world needs nothing from outside");
  const { stdout } = await promisify(execFile)(program("VERDICTS_BIN", "verdicts"), [], {
    maxBuffer: 1 << 28,
  });
  for (const line of stdout.trimEnd().split("\n")) {
    const [json, native] = JSON.parse(line);
    await t.test(json.id, async () => {
      assert.deepEqual(await judge(world, json), native);
    });
  }
});

/** In a memory of its own for each case, which is never freed but thrown away. */
async function judge(world, json) {
  const { exports } = await WebAssembly.instantiate(world);
  const text = new TextEncoder().encode(JSON.stringify(json));
  const at = exports.reserve(text.length) >>> 0;
  new Uint8Array(exports.memory.buffer, at, text.length).set(text);
  const verdict = BigInt.asUintN(64, exports.judge_case(at, text.length));
  const place = [Number(verdict >> 32n), Number(verdict & 0xffffffffn)];
  const bytes = new Uint8Array(exports.memory.buffer, ...place);
  return JSON.parse(new TextDecoder().decode(bytes));
}
