// Checks the types with TypeScript's compiler, for each kind of module resolution.
"use strict";

const assert = require("node:assert");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const { test } = require("node:test");

const compile = (file, ...flags) =>
  spawnSync(
    process.execPath,
    ["node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--target", "es2022", ...flags, file],
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
      const { status, stdout } = compile(file, ...flags, ...types);
      assert.equal(status, 0, stdout);
    }
  });
}
