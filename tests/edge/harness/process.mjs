// Programs as child processes: started, waited for, ended.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** How long a program may take to come up, and to go. */
const PATIENCE = { start: 60_000, stop: 10_000 };

const running = new Set();
// If the test runner is stopped half-way, nothing may stay behind.
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/**
 * Starts a program and waits until its lines match each of `awaited`, in order.
 *
 * @param {string} file
 * @param {string[]} args
 * @param {RegExp[]} awaited
 * @param {{ env?: Record<string, string>, cwd?: string }} [options]
 * @returns {Promise<{ found: RegExpMatchArray[], stop: () => Promise<void> }>}
 */
export async function start(file, args, awaited, { env, cwd } = {}) {
  const child = spawn(file, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  const program = { stop: () => stop(child) };
  try {
    return { ...program, found: await matches(file, child, awaited) };
  } catch (error) {
    await program.stop();
    throw error;
  }
}

function matches(file, child, awaited) {
  const said = [];
  const found = [];
  return new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${file} ${why}; it said:\n${said.join("\n")}`));
    const timer = setTimeout(() => fail("did not come up"), PATIENCE.start);
    child.once("error", (error) => fail(`cannot be started (${error.message})`));
    // `close` and not `exit`: by then all that was said has been read.
    child.once("close", (code, signal) => fail(`ended with ${signal ?? code}`));
    child.once("close", () => clearTimeout(timer));
    createInterface({ input: child.stderr }).on("line", (line) => said.push(line));
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (found.length === awaited.length) return;
      said.push(line);
      const match = line.match(awaited[found.length]);
      if (match && found.push(match) === awaited.length) {
        clearTimeout(timer);
        resolve(found);
      }
    });
  });
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), PATIENCE.stop);
  await gone;
  clearTimeout(timer);
}
