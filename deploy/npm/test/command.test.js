// The command, run by npm's link and by npx.
"use strict";

const assert = require("node:assert");
const { spawn, spawnSync } = require("node:child_process");
const { once } = require("node:events");
const { createInterface } = require("node:readline");
const { test } = require("node:test");

const LINKED = "node_modules/.bin/thanos-login";
const SERVE = ["serve", "--demo", "--listen", "127.0.0.1:0"];
const { version } = require("thanos-login/package.json");

const COMMANDS = [
  ["the linked command", LINKED, []],
  ["npx", "npx", ["thanos-login"]],
];

async function serving(program, args) {
  // In a separate process group, as a shell at a terminal does it.
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"], detached: true });
  const [line] = await once(createInterface(child.stdout), "line");
  return { child, url: line.split(" ").at(-1), ended: once(child, "close") };
}

for (const [name, program, args] of COMMANDS) {
  test(`${name} runs the program`, () => {
    const { status, stdout } = spawnSync(program, [...args, "--version"], { encoding: "utf8" });
    assert.deepEqual([status, stdout], [0, `thanos-login ${version}\n`]);
  });

  test(`${name} passes on exit codes and messages`, () => {
    const { status, stderr } = spawnSync(program, [...args, "nonsense"], { encoding: "utf8" });
    assert.equal(status, 2);
    assert.match(stderr, /'nonsense'\n\nUsage: thanos-login /);
  });

  const endings = [
    ["SIGTERM", (child) => child.kill("SIGTERM")],
    ["Ctrl-C, which signals the whole group", (child) => process.kill(-child.pid, "SIGINT")],
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

  test(`${name} keeps serving when standard input is closed`, async () => {
    const { child, url, ended } = await serving(program, [...args, ...SERVE]);
    child.stdin.end();
    assert.equal((await fetch(`${url}/__stub/requests/?wait=300ms`)).status, 200);
    child.kill();
    await ended;
  });

  test(`${name} with --exit-with-parent ends when standard input is closed`, async () => {
    const { child, ended } = await serving(program, [...args, ...SERVE, "--exit-with-parent"]);
    child.stdin.end();
    await ended;
  });
}

test("npx leaves standard input to commands other than serve", () => {
  const database = ["--db", "accounts.db"];
  const run = (args, input) => spawnSync("npx", ["thanos-login", ...args, ...database], { encoding: "utf8", input });
  for (const [args, input] of [
    [["init"]],
    [["org", "add", "--type", "RETAILER", "We serve food"]],
    [["user", "add", "--org", "We serve food", "ann", "--password-stdin"], "a long and secret sentence\n"],
  ]) {
    const { status, stderr } = run(args, input);
    assert.equal(status, 0, stderr);
  }
});

test("a server that a tool under npx starts does not end with its parent", async () => {
  const env = { ...process.env, npm_lifecycle_event: "npx", npm_lifecycle_script: "'tool'" };
  const script = `${LINKED} ${SERVE.join(" ")} & read end`;
  const tool = spawn("sh", ["-c", script], { stdio: ["pipe", "pipe", "ignore"], detached: true, env });
  const exited = once(tool, "exit");
  const ended = once(tool, "close");
  const [line] = await once(createInterface(tool.stdout), "line");
  const url = line.split(" ").at(-1);
  tool.stdin.end();
  await exited;
  try {
    assert.equal((await fetch(`${url}/__stub/requests/?wait=300ms`)).status, 200);
  } finally {
    process.kill(-tool.pid, "SIGTERM");
  }
  await ended;
});

test("the linked command exits with 0 on SIGTERM", async () => {
  const { child, ended } = await serving(LINKED, SERVE);
  child.kill();
  assert.deepEqual(await ended, [0, null]);
});
