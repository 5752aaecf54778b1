// Checks the types with TypeScript's compiler, for each kind of module resolution.
"use strict";

const assert = require("node:assert");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const { test } = require("node:test");

const compile = (compiler, target, ...flags) =>
  spawnSync(
    process.execPath,
    [`node_modules/${compiler}/bin/tsc`, "--noEmit", "--strict", "--target", target, ...flags],
    { encoding: "utf8" },
  );

const PROJECTS = [
  ["typed.cts", "--module", "node16"],
  ["typed.mts", "--module", "nodenext"],
  ["typed.ts", "--module", "esnext", "--moduleResolution", "bundler"],
  ["typed.ts", "--module", "commonjs", "--moduleResolution", "node10"],
];
for (const [file, ...flags] of PROJECTS) {
  test(`${file} compiles with ${flags.join(" ")}`, () => {
    if (file !== "typed.ts") {
      fs.copyFileSync("typed.ts", file);
    }
    for (const types of [["--types", "node"], ["--typeRoots", "./none"]]) {
      const { status, stdout } = compile("typescript", "es2022", ...flags, ...types, file);
      assert.equal(status, 0, stdout);
    }
  });
}

const OLD = "typescript-4.9";
test("a project with TypeScript 4.9 and an old target compiles", { skip: !fs.existsSync(`node_modules/${OLD}`) }, () => {
  // It does not know `await using`.
  fs.writeFileSync("old.mts", fs.readFileSync("typed.ts", "utf8").replace("await using", "const"));
  const { status, stdout } = compile(OLD, "es2020", "--module", "nodenext", "--typeRoots", "./none", "old.mts");
  assert.equal(status, 0, stdout);
});
