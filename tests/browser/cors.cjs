// Calls the stub from pages of other origins in a real browser.
//
//     node cors.cjs URL

"use strict";
const assert = require("node:assert");
const http = require("node:http");
const { chromium } = require("playwright-core");

const [url] = process.argv.slice(2);

async function main() {
  const pages = http.createServer((_, response) => response.writeHead(200, { "Content-Type": "text/html" }).end("<!doctype html><title>x</title>"));
  await new Promise((ready) => pages.listen(0, "127.0.0.1", ready));
  const { port } = pages.address();
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"],
  });
  try {
    for (const host of ["127.0.0.1", "localhost"]) {
      const page = await browser.newPage();
      await page.goto(`http://${host}:${port}/`);
      const login = await page.evaluate(call, [url, {}]);
      assert.strictEqual(login.status, 200, JSON.stringify(login));
      assert.strictEqual(login.json.auth_token, "a0f17278bed479ee719ea890b8caf0329e1f3e5b");
      const throttled = await page.evaluate(call, [url, { Prefer: "code=429" }]);
      assert.deepStrictEqual([throttled.status, throttled.retryAfter, throttled.applied], [429, "1", "code=429"]);
      const refused = await page.evaluate(call, [url, { Prefer: "code=401" }]);
      assert.deepStrictEqual([refused.status, refused.challenge], [401, "Token"]);
      const traced = await page.evaluate(call, [url, { traceparent: "00-1-1-00", "X-Requested-With": "x", "X-CSRF-Token": "x" }, "include"]);
      assert.strictEqual(traced.status, 200, JSON.stringify(traced));
      assert.strictEqual(await page.evaluate(status, [url, "/api/organizations/user-login", "POST"]), 404);
      assert.strictEqual(await page.evaluate(status, [url, "/nothing", "PUT"]), 404);
      assert.strictEqual(await page.evaluate(status, [url, "/api/organizations/", "PATCH"]), 405);
      assert.strictEqual(await page.evaluate(status, [url, "/__stub/next/", "PUT"]), 200);
      assert.strictEqual(await page.evaluate(status, [url, "/__stub/next/", "DELETE"]), 204);
    }
    const page = await browser.newPage();
    await page.goto(`http://evil.example:${port}/`);
    const evil = await page.evaluate(call, [url, {}]);
    assert.match(evil.error ?? "", /Failed to fetch/, JSON.stringify(evil));
    for (const path of ["/__stub/next/", "/nothing"]) {
      assert.match(await page.evaluate(status, [url, path, "DELETE"]), /Failed to fetch/);
    }
  } finally {
    await browser.close();
    pages.close();
  }
}

function call([url, headers, credentials]) {
  const body = JSON.stringify({ username: "jweir@projectthanos.com", password: "thanosrocks" });
  return fetch(new URL("/api/organizations/user-login/", url), { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body, credentials }).then(
    async (response) => ({
      status: response.status,
      retryAfter: response.headers.get("Retry-After"),
      challenge: response.headers.get("WWW-Authenticate"),
      applied: response.headers.get("Preference-Applied"),
      json: await response.json(),
    }),
    (error) => ({ error: String(error) }),
  );
}

function status([url, path, method]) {
  const headers = { "Content-Type": "application/json" };
  return fetch(new URL(path, url), { method, headers, body: "{}" }).then((response) => response.status, String);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
