// Uses the stub's page as a person would, in a real browser, and looks for what a person would not notice.
//
//     node page.cjs URL [DIRECTORY-FOR-SCREENSHOTS]

"use strict";
const assert = require("node:assert");
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const [url, pictures] = process.argv.slice(2);
const WIDE = { width: 1280, height: 1000 };
const PHONE = { width: 375, height: 812 };

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    await use(browser);
    for (const colorScheme of ["light", "dark"]) {
      for (const [name, viewport] of [["wide", WIDE], ["phone", PHONE]]) {
        await look(browser, colorScheme, name, viewport);
      }
    }
    await useByKeyboard(browser);
  } finally {
    await browser.close();
  }
}

/** A page whose console must stay empty. */
async function open(browser, options) {
  const context = await browser.newContext({ viewport: WIDE, permissions: ["clipboard-read", "clipboard-write"], ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    // A forced 503 is a line of the browser's own there, and is what was asked for.
    const isAnswer = message.text().startsWith("Failed to load resource: the server responded");
    if (message.type() !== "log" && !isAnswer) page.complaints.push(message.text());
  });
  await page.goto(url);
  await page.locator("#accounts button").first().waitFor();
  return page;
}

async function close(page) {
  assert.deepStrictEqual(page.complaints, []);
  await page.context().close();
}

async function use(browser) {
  const page = await open(browser, {});
  const answer = page.locator("#answer");
  const logIn = page.getByRole("button", { name: "Log in", exact: true });

  await page.getByRole("button", { name: /^supplier@/ }).click();
  assert.strictEqual(await page.getByLabel("Password").inputValue(), "thanossupplies");
  await page.getByRole("button", { name: /^jweir@/ }).click();
  await logIn.click();
  await answer.getByText("200 OK").waitFor();
  await answer.getByText('"auth_token": "a0f17278bed479ee719ea890b8caf0329e1f3e5b"').waitFor();
  await answer.getByText("content-type: application/json").waitFor();

  await page.getByLabel("Answer").selectOption("503");
  await logIn.click();
  await answer.getByText("503 Service Unavailable").waitFor();
  await answer.getByText("retry-after: 1").waitFor();

  const call = page.locator("#call");
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  for (const [language, part] of [["curl", "curl -i "], ["HTTPie", "http "], ["Python", "requests.post("], ["JavaScript", "await fetch("]]) {
    await page.getByRole("button", { name: language, exact: true }).click();
    const text = await call.textContent();
    for (const expected of [part, "jweir@projectthanos.com", "thanosrocks", "code=503", url.replace(/\/$/, "")]) {
      assert(text.includes(expected), `${expected} in ${text}`);
    }
    await page.locator("#copied").evaluate((element) => { element.textContent = ""; });
    await page.getByRole("button", { name: "Copy" }).click();
    await page.getByText("Copied.").waitFor();
    assert.strictEqual(await copied(), text);
  }

  await page.getByLabel("Password").fill("=it's \"x\" \\ $HOME `é` \u{1f600}");
  for (const [language, run] of [["curl", ["sh", "-c"]], ["JavaScript", ["node", "--input-type=module", "--eval"]]]) {
    await page.getByRole("button", { name: language, exact: true }).click();
    await page.getByLabel("Answer").selectOption("");
    const refused = execFileSync(run[0], [...run.slice(1), await call.textContent()], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    assert(refused.includes("401") && refused.includes("Unable to log in"), refused);
  }
  await page.getByLabel("Password").fill("thanosrocks");
  await page.getByLabel("Answer").selectOption("503");

  await page.getByRole("button", { name: /any client/ }).click();
  await page.getByText('"code":503').first().waitFor();
  await page.getByRole("button", { name: "Clear what is pending" }).click();
  await page.getByText("Nothing is pending.").waitFor();

  await page.getByLabel("Answer").selectOption("");
  await page.getByLabel("Fault").selectOption("reset");
  await logIn.click();
  await answer.getByText("No answer").waitFor();
  await page.getByLabel("Fault").selectOption("");

  await page.getByRole("button", { name: "Move forward" }).click();
  await page.getByText("(7200 s ahead)").waitFor();
  await page.getByLabel("Move it forward by").fill("soon");
  await page.getByRole("button", { name: "Move forward" }).click();
  await page.getByText("a duration is").waitFor();

  const rows = page.locator("#requests li");
  await rows.nth(2).waitFor();
  // Somebody else's requests come by themselves.
  await fetch(new URL("/api/somebody-else/", url));
  await page.getByText("GET /api/somebody-else/").waitFor();
  await rows.nth(1).locator("summary").click();
  await page.getByText('"password":"[redacted]"').first().waitFor();
  assert(!(await page.locator("#requests").textContent()).includes("thanosrocks"));
  await page.getByRole("button", { name: "Empty the list" }).click();
  await page.getByText("None yet.").waitFor();
  await page.getByRole("button", { name: /as at start/ }).click();
  await page.getByText("(0 s ahead)").waitFor();
  page.complaints = page.complaints.filter((complaint) => !complaint.includes("ERR_CONNECTION_RESET") && !complaint.includes("ERR_EMPTY_RESPONSE"));
  await close(page);
}

/** No finding of axe, nothing wider than the window, and a picture for people. */
async function look(browser, colorScheme, name, viewport) {
  const page = await open(browser, { viewport, colorScheme });
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.locator("#answer").getByText("200 OK").waitFor();
  await page.locator("#requests li").first().locator("summary").click();
  // In a world of its own, since the page runs no script but its own.
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const world = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const run = async (expression) => {
    const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
      expression, contextId: world.executionContextId, awaitPromise: true, returnByValue: true,
    });
    assert(!exceptionDetails, JSON.stringify(exceptionDetails));
    return result.value;
  };
  await run(axe + "; 0");
  const findings = await run("axe.run().then((results) => results.violations.map((found) => found.id + ': ' + found.nodes.map((node) => node.html).join(' ')))");
  assert.deepStrictEqual(findings, [], `${colorScheme}, ${name}`);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert(overflow <= 0, `${overflow} px too wide, ${name}`);
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}.png`), fullPage: true });
  await close(page);
}

async function useByKeyboard(browser) {
  const page = await open(browser, {});
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const username = await page.getByLabel("Username").inputValue();
  assert.strictEqual(username, "deactivated@projectthanos.com");
  await page.getByLabel("Password").focus();
  await page.keyboard.press("Enter");
  await page.locator("#answer").getByText("403 Forbidden").waitFor();
  await close(page);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
