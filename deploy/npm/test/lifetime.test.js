// The stub ends when the process that started it ends, in whatever way.
"use strict";

const assert = require("node:assert");
const { spawn } = require("node:child_process");
const { once } = require("node:events");
const { createInterface } = require("node:readline");
const { test } = require("node:test");
const { setTimeout: sleep } = require("node:timers/promises");

/** Starts a process that starts a stub and then runs the script; returns the process and the stub's address. */
async function run(script) {
  const start = `require("thanos-login").startStub().then((stub) => { console.log(stub.url); ${script} })`;
  const child = spawn(process.execPath, ["--eval", start], { stdio: ["ignore", "pipe", "ignore"] });
  const [url] = await once(createInterface(child.stdout), "line");
  return { child, url };
}

/** Waits until nothing listens at the address; fails after 20 s. */
async function assertEnds(url) {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await sleep(10)) {
    try {
      await (await fetch(url)).arrayBuffer();
    } catch {
      return;
    }
  }
  assert.fail(`${url} still answers`);
}

const endings = [
  ["by itself", "", 0],
  ["after calls", "stub.reset();", 0],
  ["by an exit", "process.exit(3);", 3],
  ["by an error", "throw new Error();", 1],
  ["by an abort", "process.abort();", null],
  ["by kill -9", 'process.kill(process.pid, "SIGKILL");', null],
  ["by Ctrl-C", 'process.kill(process.pid, "SIGINT");', null],
];
for (const [how, script, code] of endings) {
  test(`the stub ends when its process ends ${how}`, async () => {
    const { child, url } = await run(script);
    if (child.exitCode === null && child.signalCode === null) {
      await once(child, "exit");
    }
    assert.equal(child.exitCode, code);
    await assertEnds(url);
  });
}

test("the stub runs as long as its process", async () => {
  const { child, url } = await run("setInterval(() => {}, 1000);");
  assert.equal((await fetch(url)).status, 200);
  child.kill("SIGKILL");
  await assertEnds(url);
});

test("the stub ends when its worker thread is terminated", async () => {
  const { Worker } = require("node:worker_threads");
  const script = `
    const { parentPort } = require("node:worker_threads");
    require("thanos-login").startStub().then((stub) => parentPort.postMessage(stub.url));
    setInterval(() => {}, 1000);`;
  const worker = new Worker(script, { eval: true });
  const [url] = await once(worker, "message");
  assert.equal((await fetch(url)).status, 200);
  await worker.terminate();
  await assertEnds(url);
});
