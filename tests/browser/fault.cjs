// Checks that a page sees a fault that was requested once, even though the browser silently repeats the request.
//
//     node fault.cjs URL

"use strict";
const assert = require("node:assert");
const { chromium } = require("playwright-core");

const [url] = process.argv.slice(2);

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    const page = await browser.newPage();
    await page.goto(url);
    for (const fault of ["reset", "empty"]) {
      // A browser repeats only requests on a connection that it has used before.
      await page.evaluate(() => fetch("/healthz").then((response) => response.text()));
      const order = { method: "PUT", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ fault }) };
      assert.strictEqual((await fetch(new URL("/__stub/next/", url), order)).status, 200);
      const seen = await page.evaluate(() => fetch("/api/organizations/").then((response) => response.status, String));
      assert.match(String(seen), /Failed to fetch/, fault);
      const { requests } = await (await fetch(new URL("/__stub/requests/", url))).json();
      const kept = requests.filter((kept) => kept.fault === fault);
      assert.strictEqual(kept.length, 1, JSON.stringify(requests));
      assert(kept[0].repeats >= 1, `${fault}: ${kept[0].repeats} repeats`);
    }
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
