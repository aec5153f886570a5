// Runs the whole suite against a cache and prints one JSON object for each case.
//
//   node client.mjs http://127.0.0.1:8080
//
// The suite's own command line does the same, but for the number of cases at a time: a case
// is a conversation with pauses of three seconds and answers that live for one or two, so
// what waits long for its turn on a busy machine would be judged by the machine.
import process from 'node:process'
import fetch from 'node-fetch'
import { getResults, runTests } from 'http-cache-tests/client/runner.mjs'
import suites from 'http-cache-tests/tests/index.mjs'
import surrogateControl from 'http-cache-tests/tests/surrogate-control.mjs'

const AT_A_TIME = 50
// A cache that leaves one request without an answer would hold up the suite forever.
const PATIENCE = 120_000

const groups = [...suites, surrogateControl]
setTimeout(giveUp, PATIENCE).unref()
await runTests(groups, fetch, false, process.argv[2], AT_A_TIME)

const results = getResults()
for (const group of groups) {
  for (const test of testsOf(group)) {
    const result = results[test.id]
    const passed = result === true
    console.log(JSON.stringify({
      group: group.name,
      id: test.id,
      kind: test.kind ?? 'required',
      passed,
      reason: passed ? null : result.join(': ')
    }))
  }
}

function testsOf (group) {
  return group.tests.filter(test => !test.browser_only)
}

function giveUp () {
  const results = getResults()
  const waiting = groups.flatMap(testsOf).filter(test => !(test.id in results))
  console.error(`no end after ${PATIENCE / 1000} s; without a result: ${waiting.map(test => test.id).join(' ')}`)
  process.exit(1)
}
