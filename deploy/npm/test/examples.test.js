// Runs every example that uses the package, in its README and in docs/stub.md, unchanged.
"use strict";

const assert = require("node:assert");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const { test } = require("node:test");

const examples = ["stub.md", "node_modules/thanos-login/README.md"].flatMap((page) => {
  const blocks = [...fs.readFileSync(page, "utf8").matchAll(/^```javascript\n(.*?)^```$/gms)];
  const using = blocks.map(([, block]) => block).filter((block) => block.includes('from "thanos-login"'));
  return using.map((block, index) => ({ name: `${index + 1} of ${page}`, block }));
});

test("there are examples", () => {
  assert.ok(examples.length >= 3, `only ${examples.length}`);
});

for (const [index, { name, block }] of examples.entries()) {
  // Playwright requires Node 20.
  const skip = block.includes("playwright") && Number(process.versions.node.split(".")[0]) < 20;
  test(`example ${name}`, { skip }, () => {
    const text = block.replaceAll("/usr/bin/chromium", process.env.CHROMIUM ?? "/usr/bin/chromium");
    const file = `example-${index}.mjs`;
    fs.writeFileSync(file, text);
    // A separate run, which must not report to this one.
    const { NODE_TEST_CONTEXT, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--test", file], { encoding: "utf8", env });
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, /^. pass [1-9]/m);
  });
}
