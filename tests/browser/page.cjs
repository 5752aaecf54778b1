// Uses the stub's page as a person would, in a real browser, and checks what a person would not notice.
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
const WIDE = { width: 1280, height: 800 };
const VIEWPORTS = { 1280: WIDE, 390: { width: 390, height: 844 }, 360: { width: 360, height: 740 } };
const LOGIN = "/api/organizations/user-login/";

async function main() {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    await logIn(browser);
    await copyTheCall(browser);
    await useTheToken(browser);
    await setTheClock(browser);
    await steerOthers(browser);
    await watchRequests(browser);
    await seeWhatIsRecorded(browser);
    await seeTheServerStop(browser);
    await useByKeyboard(browser);
    await picture(browser);
    for (const colorScheme of ["light", "dark"]) {
      for (const [name, viewport] of Object.entries(VIEWPORTS)) {
        await look(browser, colorScheme, name, viewport);
      }
    }
  } finally {
    await browser.close();
  }
}

/** The page of a stub that is as at start; its console must stay empty. */
async function open(browser, options, prepare = () => {}) {
  await fetch(new URL("/__stub/reset/", url), { method: "POST" });
  const context = await browser.newContext({ viewport: WIDE, permissions: ["clipboard-read", "clipboard-write"], ...options });
  const page = await context.newPage();
  page.complaints = [];
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("console", (message) => {
    // The browser itself logs the forced 503 here, as expected.
    const isAnswer = message.text().startsWith("Failed to load resource: the server responded");
    if (message.type() !== "log" && !isAnswer) page.complaints.push(message.text());
  });
  await prepare(page);
  await page.goto(url);
  await page.locator("#accounts button").first().waitFor();
  page.logIn = page.getByRole("button", { name: "Log in", exact: true });
  page.card = (name) => page.locator("#accounts").getByRole("button", { name });
  page.shows = (selector, text) => page.locator(selector).getByText(text).first().waitFor();
  page.reads = (selector, text) => page.waitForFunction(([selector, text]) => document.querySelector(selector).textContent.includes(text), [selector, text]);
  return page;
}

async function close(page, expected = /^$/) {
  assert.deepStrictEqual(page.complaints.filter((complaint) => !expected.test(complaint)), []);
  await page.context().close();
}

async function logIn(browser) {
  const page = await open(browser);
  assert.match(await page.locator("h1").textContent(), /version \d+\.\d+\.\d+/);
  for (const [name, purpose] of [[/^jweir@/, "200: pinned token"], [/^supplier@/, "200: new token each time"], [/^deactivated@/, "403: user deactivated"],
    [/^waiting@/, "403: user confirmation waiting"], [/^pending@/, "403: organization pending"]]) {
    await page.card(name).getByText(purpose, { exact: true }).waitFor();
  }
  const chosen = page.locator("#accounts [aria-pressed=true]");
  assert.match(await chosen.textContent(), /^jweir@/);
  await page.card(/^supplier@/).click();
  assert.match(await chosen.textContent(), /^supplier@/);
  assert.strictEqual(await page.getByLabel("Password").inputValue(), "thanossupplies");
  await page.getByLabel("Password").fill("another");
  assert.strictEqual(await chosen.count(), 0);

  await page.card(/^jweir@/).click();
  await page.logIn.click();
  await page.reads("#answer-status", "200 OK");
  await page.shows("#answer", '"auth_token": "a0f17278bed479ee719ea890b8caf0329e1f3e5b"');
  await page.shows("#answer", "content-type: application/json");
  await page.getByLabel("Answer").selectOption("503");
  await page.shows("#code-note", "The database cannot be used");
  await page.logIn.click();
  await page.reads("#answer-status", "503 Service Unavailable");
  await page.shows("#answer", "retry-after: 1");

  await page.getByLabel("Answer").selectOption("");
  await page.getByLabel("Delay in ms").fill("1500");
  await page.logIn.click();
  await page.reads("#answer-status", "waiting for the answer");
  assert.strictEqual(await page.locator("#answer-status").getAttribute("class"), "status ");
  await page.reads("#answer-status", "200 OK");
  await page.getByLabel("Delay in ms").fill("0");
  await page.getByLabel("Fault").selectOption("reset");
  await page.logIn.click();
  await page.reads("#answer-status", "no answer");
  await close(page, /ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE/);
}

async function copyTheCall(browser) {
  const page = await open(browser);
  const call = page.locator("#call");
  const language = (name) => page.getByRole("button", { name, exact: true }).click();
  await page.getByLabel("Answer").selectOption("503");
  for (const [name, part] of [["curl", "curl -i "], ["HTTPie", "http "], ["Python", "requests.post("], ["JavaScript", "await fetch("]]) {
    await language(name);
    const text = await call.textContent();
    for (const expected of [part, "jweir@projectthanos.com", "thanosrocks", "code=503", url.replace(/\/$/, "")]) {
      assert(text.includes(expected), `${expected} in ${text}`);
    }
    await page.locator("#copied").evaluate((element) => { element.textContent = ""; });
    await page.getByRole("button", { name: "Copy", exact: true }).click();
    await page.shows("#copied", "Copied.");
    assert.strictEqual(await page.evaluate(() => navigator.clipboard.readText()), text);
  }
  const runs = { curl: ["sh", "-c"], JavaScript: ["node", "--input-type=module", "--eval"] };
  const run = async (name) => {
    await language(name);
    const [program, ...parts] = [...runs[name], await call.textContent()];
    return execFileSync(program, parts, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  };
  await page.getByLabel("Answer").selectOption("");
  await page.getByLabel("Password").fill("=it's \"x\" \\ $HOME `é` \u{1f600}");
  for (const name of Object.keys(runs)) {
    const answer = await run(name);
    assert(answer.includes("401") && answer.includes("Unable to log in"), answer);
  }
  await page.card(/^jweir@/).click();
  await page.logIn.click();
  for (const [button, expected] of [["GET organizations/", "projectthanos"], ["POST user-logout/", "204"]]) {
    await page.getByRole("button", { name: button, exact: true }).click();
    await page.reads("#answer-status", "20");
    for (const name of Object.keys(runs)) {
      const answer = await run(name);
      assert(answer.includes(expected), answer);
    }
  }
  await close(page);
}

async function useTheToken(browser) {
  const page = await open(browser);
  const call = (name) => page.locator("#calls").getByRole("button", { name, exact: true }).click();
  await page.getByLabel("Answer").selectOption("200");
  await page.logIn.click();
  await page.reads("#answer-status", "200 OK");
  assert(await page.locator("#token").isHidden(), "a forced token was never issued");
  await page.getByLabel("Answer").selectOption("");
  await page.logIn.click();
  await page.shows("#token-state", "Pinned: it never expires");

  await page.card(/^supplier@/).click();
  await page.logIn.click();
  await page.shows("#token-title", "Token of supplier@projectthanos.com");
  await page.shows("#token-state", "in 1h 59m");
  await page.getByRole("button", { name: "Copy the token" }).click();
  await page.shows("#token-note", "Copied.");
  const token = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(token, /^[0-9a-f]{40}$/);
  for (const [name, expected] of [["GET token-verify/", "200"], ["GET organizations/", "Thanos Supply Co"], ["GET users/all/", "supplier@"], ["GET users/detail/", "supplier@"]]) {
    await call(name);
    await page.reads("#answer-status", "200 OK");
    await page.waitForFunction((expected) => document.querySelector("#answer").textContent.includes(expected), expected === "200" ? "content-type" : expected);
  }
  assert((await page.locator("#call").textContent()).includes(token));

  await page.getByRole("button", { name: "Move forward" }).click();
  await page.shows("#shift", "2h ahead of this machine's clock.");
  await page.shows("#token-state", "Expired at");
  await call("GET organizations/");
  await page.reads("#answer-status", "401 Unauthorized");

  await page.logIn.click();
  await page.shows("#token-state", "in 1h 59m");
  await call("POST user-logout/");
  await page.reads("#answer-status", "204 No Content");
  await page.shows("#token-state", "The server no longer takes it.");
  await call("GET token-verify/");
  await page.reads("#answer-status", "401 Unauthorized");

  // Another client changes the clock.
  await fetch(new URL("/__stub/clock/", url), { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"advance":"3h"}' });
  await page.shows("#shift", "5h ahead of this machine's clock.");
  const before = await page.locator("#now").textContent();
  await page.waitForFunction((before) => document.querySelector("#now").textContent !== before, before);
  await page.getByLabel("Move it forward by").fill("soon");
  await page.getByRole("button", { name: "Move forward" }).click();
  await page.shows("#clock-note", "a duration is");
  await page.getByRole("button", { name: /as at start/ }).click();
  await page.shows("#shift", "As this machine's clock.");
  assert(await page.locator("#token").isHidden());
  await close(page);
}

async function steerOthers(browser) {
  const page = await open(browser);
  await page.shows("#pending", "Nothing is pending");
  await page.getByLabel("Answer").selectOption("503");
  await page.getByLabel("Delay in ms").fill("20");
  const put = page.getByRole("button", { name: /any client/ });
  await put.click();
  await page.shows("#pending", "The next login of any client gets 503 after 20 ms.");
  const login = await fetch(new URL(LOGIN, url), { method: "POST" });
  assert.strictEqual(login.status, 503);
  await page.getByLabel("Delay in ms").fill("30");
  await put.click();
  await page.shows("#pending", "The next login of any client gets 503 after 30 ms.");
  await page.getByRole("button", { name: "Clear what is pending" }).click();
  await page.shows("#pending", "Nothing is pending");
  await page.getByLabel("Delay in ms").fill("99999");
  await put.click();
  await page.locator("#login-note").getByText(/60000/).waitFor();
  await close(page);
}

async function watchRequests(browser) {
  const page = await open(browser);
  const rows = page.locator("#requests li");
  await page.logIn.click();
  await rows.first().waitFor();
  await rows.first().locator("summary").click();
  // Requests of other clients appear without a reload, and open entries stay open.
  await fetch(new URL("/api/somebody-else/", url));
  await page.getByText("GET /api/somebody-else/").waitFor();
  assert.strictEqual(await rows.nth(1).locator("details").evaluate((details) => details.open), true);
  await rows.nth(1).getByText("jweir@projectthanos.com").first().waitFor();
  assert(!(await page.locator("#requests").textContent()).includes("thanosrocks"));
  await page.getByRole("button", { name: "Empty the list" }).click();
  await page.getByText("None yet.").waitFor();
  await close(page);
}

/** What a stub answers of what it has recorded. */
const ENTRY = {
  time: "2026-11-24T22:34:32.000001Z", method: "POST", path: LOGIN, headers: { "content-type": "application/json" }, body: "", status: 200, duration_ms: 4.5,
  username: "supplier@projectthanos.com", token: "none", token_user: null, password: "right", code: null, delay_ms: 0, fault: null, delivered: true, repeats: 0,
  answer: { headers: { "content-length": "270" }, body: '{"auth_token":"[redacted]","org_uuid":"e7409ece-e923-4aa8-a41b-4aacb9e475be","user_uuid":"3a7acb28-ab13-437e-8c35-46cf4f0bea49"}' },
};
const RECORDED = {
  last: 6,
  requests: [
    ENTRY,
    { ...ENTRY, status: 401, password: "wrong" },
    { ...ENTRY, method: "GET", path: "/api/organizations/", username: null, token: "expired", token_user: "supplier@projectthanos.com", password: null, status: 401 },
    { ...ENTRY, code: 503, delay_ms: 1500, status: 503 },
    { ...ENTRY, fault: "reset", delivered: false, repeats: 2 },
    { ...ENTRY, delivered: null, delay_ms: 60000 },
  ].map((entry, index) => ({ number: index + 1, ...entry })),
};
const PENDING = {
  used: 1,
  pending: [
    { times: 3, used: 1, code: 503, delay_ms: 1500, fault: null, path: LOGIN },
    { times: 1, used: 0, code: 429, delay_ms: 0, fault: "cut", path: null, body: { detail: "of one's own" } },
    { times: 2, used: 0, code: null, delay_ms: 0, fault: "reset", path: "/api/organizations/" },
  ],
};

/** Answers to the page as if all that had happened. */
async function record(page) {
  const answer = (body) => (route) => (route.request().method() === "GET" ? route.fulfill({ json: body }) : route.continue());
  await page.route("**/__stub/requests/*", answer(RECORDED));
  await page.route("**/__stub/next/", answer(PENDING));
}

async function setTheClock(browser) {
  const asked = [];
  const page = await open(browser, {}, (page) => page.route("**/__stub/clock/", (route) => {
    const body = route.request().postDataJSON();
    if (body) asked.push(body);
    return route.fulfill({ json: { now: "2026-12-31T23:59:00.000000Z", advanced_seconds: -90061, frozen: asked.at(-1)?.frozen ?? false } });
  }));
  await page.shows("#shift", "1d 1h 1m 1s behind this machine's clock.");
  await page.getByLabel("Set it to (UTC)").fill("2026-12-31T23:59");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  const freeze = page.getByRole("button", { name: "Freeze" });
  await freeze.click();
  await page.shows("#shift", "Frozen.");
  await page.shows("#now", "2026-12-31 23:59:00 UTC");
  await page.locator("#freeze[aria-pressed=true]").click();
  await page.locator("#freeze[aria-pressed=false]").waitFor();
  assert.deepStrictEqual(asked, [{ set: "2026-12-31T23:59:00Z" }, { frozen: true }, { frozen: false }]);
  await close(page);
}

async function seeWhatIsRecorded(browser) {
  const page = await open(browser, {}, record);
  await page.shows("#pending", "The next 2 logins of any client get 503 after 1500 ms (1 of 3 done); then the next request of any client gets 429 with content of its own, "
    + "then an answer cut short; then the next 2 requests to /api/organizations/ of any client get a reset connection.");
  const rows = page.locator("#requests li");
  assert.deepStrictEqual(await rows.evaluateAll((items) => items.map((item) => [...item.querySelectorAll(".notes span")].map((note) => note.textContent))), [
    ["on its way", "delayed 60000 ms", "supplier@projectthanos.com"],
    ["injected reset, repeated 2×", "supplier@projectthanos.com"],
    ["forced", "delayed 1500 ms", "supplier@projectthanos.com"],
    ["token expired (supplier@projectthanos.com)"],
    ["supplier@projectthanos.com", "password wrong"],
    ["supplier@projectthanos.com"],
  ]);
  assert.deepStrictEqual(await rows.locator("summary > span:nth-child(2)").evaluateAll((spans) => spans.map((span) => span.className)), ["", "bad lost", "bad", "bad", "bad", "good"]);
  await rows.first().locator("summary").click();
  await rows.first().getByText("content-length: 270").waitFor();
  await close(page);
}

async function seeTheServerStop(browser) {
  const page = await open(browser);
  await page.context().setOffline(true);
  await page.getByRole("alert").getByText("The server has not answered since").waitFor();
  assert.deepStrictEqual(await axeFindings(page), []);
  const before = await page.locator("#now").textContent();
  await page.logIn.click();
  await page.reads("#answer-status", "no answer");
  assert.strictEqual(await page.locator("#now").textContent(), before);
  await page.context().setOffline(false);
  await page.getByRole("alert").waitFor({ state: "hidden" });
  await page.waitForFunction((before) => document.querySelector("#now").textContent !== before, before);
  await close(page, /ERR_INTERNET_DISCONNECTED/);
}

async function useByKeyboard(browser) {
  const page = await open(browser);
  /** Presses the tabulator until this has the focus, which must be seen. */
  const reach = async (locator) => {
    for (let steps = 0; steps < 40; steps += 1) {
      await page.keyboard.press("Tab");
      if (await locator.evaluate((element) => element === document.activeElement)) {
        assert.notStrictEqual(await locator.evaluate((element) => getComputedStyle(element).outlineStyle), "none");
        return;
      }
    }
    assert.fail(`not reached: ${locator}`);
  };
  await reach(page.card(/^deactivated@/));
  await page.keyboard.press("Enter");
  assert.strictEqual(await page.getByLabel("Username").inputValue(), "deactivated@projectthanos.com");
  await reach(page.getByLabel("Password"));
  await page.keyboard.press("Enter");
  await page.reads("#answer-status", "403 Forbidden");
  await reach(page.locator("#requests summary").first());
  await page.keyboard.press("Enter");
  await page.locator("#requests pre").first().waitFor();
  await reach(page.getByLabel("Move it forward by"));
  await page.keyboard.press("Enter");
  await page.shows("#shift", "2h ahead");
  await reach(page.getByRole("button", { name: "Python" }));
  await page.keyboard.press("Space");
  await page.shows("#call", "import requests");
  await close(page);
}

/** No finding of axe, nothing wider than the window, no text cut, and a picture for people. */
async function look(browser, colorScheme, name, viewport) {
  const page = await open(browser, { viewport, colorScheme }, record);
  await page.card(/^supplier@/).click();
  await page.getByLabel("Answer").selectOption("415");
  await page.getByLabel("Fault").selectOption("garbage");
  const cut = await page.evaluate(textsCut);
  await page.getByLabel("Answer").selectOption("");
  await page.getByLabel("Fault").selectOption("");
  await page.logIn.click();
  await page.reads("#answer-status", "200 OK");
  await page.shows("#token-state", "Expires at");
  await page.locator("#requests li").nth(1).locator("summary").click();
  const where = `${colorScheme}, ${name}`;
  assert.deepStrictEqual([...cut, ...(await page.evaluate(textsCut))], [], where);
  assert.deepStrictEqual(await axeFindings(page), [], where);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert(overflow <= 0, `${overflow} px too wide, ${where}`);
  if (viewport === WIDE) {
    for (const title of ["Accounts", "Requests"]) {
      await page.evaluate(() => scrollTo(0, 0));
      const { y, height } = await page.getByRole("heading", { name: title }).boundingBox();
      assert(y + height < viewport.height / 2, `${title} are not on the first screen`);
    }
  }
  if (pictures) {
    await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}.png`) });
    await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}-whole.png`), fullPage: true });
  }
  await close(page);
}

/** The one that README.md shows. */
async function picture(browser) {
  if (!pictures) return;
  const page = await open(browser);
  const call = (headers, path = LOGIN, body = { username: "jweir@projectthanos.com", password: "thanosrocks" }) =>
    fetch(new URL(path, url), { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body) }).catch(String);
  await call({}, LOGIN, { username: "jweir@projectthanos.com", password: "wrong" });
  await call({ "X-Stub-Fault": "reset" });
  await call({ Prefer: "code=503", "X-Stub-Delay": "20" });
  await page.card(/^supplier@/).click();
  await page.logIn.click();
  await page.shows("#token-state", "Expires at");
  await page.locator("#calls").getByRole("button", { name: "GET organizations/" }).click();
  await page.reads("#answer-status", "200 OK");
  await page.getByLabel("Answer").selectOption("429");
  await page.getByRole("button", { name: /any client/ }).click();
  await page.shows("#pending", "The next login of any client gets 429.");
  await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
  await page.setViewportSize({ width: 1280, height: 960 });
  await page.screenshot({ path: path.join(pictures, "page.png") });
  await close(page);
}

/** In the page: what is written in a control or a box and does not fit. */
function textsCut() {
  const pen = document.createElement("canvas").getContext("2d");
  const needed = (element) => {
    if (element.tagName !== "SELECT") return element.scrollWidth;
    const style = getComputedStyle(element);
    pen.font = style.font;
    const arrow = 20;
    return pen.measureText(element.selectedOptions[0].text).width + parseFloat(style.paddingLeft) + parseFloat(style.paddingRight) + arrow;
  };
  return [...document.querySelectorAll("main *, header *")]
    .filter((element) => element.clientWidth > 0 && getComputedStyle(element).display !== "inline" && needed(element) > element.clientWidth)
    .map((element) => element.outerHTML.slice(0, 80));
}

/** In a world of its own, since the page runs no script but its own. */
async function axeFindings(page) {
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
  return run("axe.run().then((results) => results.violations.map((found) => found.id + ': ' + found.nodes.map((node) => node.html).join(' ')))");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
