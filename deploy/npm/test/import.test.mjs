import assert from "node:assert";
import { createRequire } from "node:module";
import { test } from "node:test";
import * as imported from "thanos-login";
import { startStub } from "thanos-login";

test("import and require return the same exports", async () => {
  const required = createRequire(import.meta.url)("thanos-login");
  for (const name of ["startStub", "program", "StubError"]) {
    assert.equal(imported[name], required[name], name);
  }
  const stub = await startStub();
  assert.equal((await fetch(stub.url)).status, 200);
  await stub.stop();
});
