// The command, as npm links it and as npx runs it.
"use strict";

const assert = require("node:assert");
const { spawn, spawnSync } = require("node:child_process");
const { once } = require("node:events");
const { createInterface } = require("node:readline");
const { test } = require("node:test");

const LINKED = "node_modules/.bin/thanos-login";
const SERVE = ["serve", "--demo", "--listen", "127.0.0.1:0"];
const { version } = require("thanos-login/package.json");

const WAYS = [
  ["the linked command", LINKED, []],
  ["npx", "npx", ["thanos-login"]],
];

async function serving(program, args) {
  // In a group of its own, as a shell at a terminal starts it.
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"], detached: true });
  const [line] = await once(createInterface(child.stdout), "line");
  return { child, url: line.split(" ").at(-1), ended: once(child, "close") };
}

for (const [name, program, args] of WAYS) {
  test(`${name} is the program`, () => {
    const { status, stdout } = spawnSync(program, [...args, "--version"], { encoding: "utf8" });
    assert.deepEqual([status, stdout], [0, `thanos-login ${version}\n`]);
  });

  test(`${name} has its exit codes and messages`, () => {
    const { status, stderr } = spawnSync(program, [...args, "nonsense"], { encoding: "utf8" });
    assert.equal(status, 2);
    assert.match(stderr, /'nonsense'\n\nUsage: thanos-login /);
  });

  const endings = [
    ["SIGTERM", (child) => child.kill("SIGTERM")],
    ["Ctrl-C, which the whole group gets", (child) => process.kill(-child.pid, "SIGINT")],
  ];
  for (const [ending, end] of endings) {
    test(`${name} ends its server on ${ending}`, async () => {
      const { child, url, ended } = await serving(program, [...args, ...SERVE]);
      assert.equal((await fetch(url)).status, 200);
      end(child);
      // The server holds standard output until it ends.
      await ended;
      await assert.rejects(fetch(url));
    });
  }

  test(`${name} goes on serving without standard input`, async () => {
    const { child, url, ended } = await serving(program, [...args, ...SERVE]);
    child.stdin.end();
    assert.equal((await fetch(`${url}/__stub/requests/?wait=300ms`)).status, 200);
    child.kill();
    await ended;
  });

  test(`${name} ends with standard input when it is asked to`, async () => {
    const { child, ended } = await serving(program, [...args, ...SERVE, "--exit-with-parent"]);
    child.stdin.end();
    await ended;
  });
}

test("the linked command ends in good order", async () => {
  const { child, ended } = await serving(LINKED, SERVE);
  child.kill();
  assert.deepEqual(await ended, [0, null]);
});
