// Uses the stub's page as a person does: node page.cjs URL

"use strict";
const assert = require("node:assert");
const { execFileSync } = require("node:child_process");
const { LOGIN, close, open, record, run, url } = require("./stub-page.cjs");

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
  await page.getByLabel("Forced answer").selectOption("503");
  await page.shows("#code-note", "The database cannot be used");
  await page.logIn.click();
  await page.reads("#answer-status", "503 Service Unavailable");
  await page.shows("#answer", "retry-after: 1");

  await page.getByLabel("Forced answer").selectOption("");
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
  await page.getByLabel("Forced answer").selectOption("503");
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
  const commands = { curl: ["sh", "-c"], JavaScript: ["node", "--input-type=module", "--eval"] };
  const runCall = async (name) => {
    await language(name);
    const [program, ...parts] = [...commands[name], await call.textContent()];
    return execFileSync(program, parts, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  };
  await page.getByLabel("Forced answer").selectOption("");
  await page.getByLabel("Password").fill("=it's \"x\" \\ $HOME `é` \u{1f600}");
  for (const name of Object.keys(commands)) {
    const answer = await runCall(name);
    assert(answer.includes("401") && answer.includes("Unable to log in"), answer);
  }
  await page.card(/^jweir@/).click();
  await page.logIn.click();
  for (const [button, expected] of [["GET organizations/", "projectthanos"], ["POST user-logout/", "204"]]) {
    await page.getByRole("button", { name: button, exact: true }).click();
    await page.reads("#answer-status", "20");
    for (const name of Object.keys(commands)) {
      const answer = await runCall(name);
      assert(answer.includes(expected), answer);
    }
  }
  await close(page);
}

async function useTheToken(browser) {
  const page = await open(browser);
  const call = (name) => page.locator("#calls").getByRole("button", { name, exact: true }).click();
  await page.getByLabel("Forced answer").selectOption("200");
  await page.logIn.click();
  await page.reads("#answer-status", "200 OK");
  assert(await page.locator("#token").isHidden(), "a forced token was never issued");
  await page.getByLabel("Forced answer").selectOption("");
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

  await page.getByRole("button", { name: "Advance" }).click();
  await page.shows("#shift", "2h ahead of this machine's clock.");
  await page.shows("#token-state", "Expired at");
  await call("GET organizations/");
  await page.reads("#answer-status", "401 Unauthorized");

  await page.logIn.click();
  await page.shows("#token-state", "in 1h 59m");
  await call("POST user-logout/");
  await page.reads("#answer-status", "204 No Content");
  await page.shows("#token-state", "The server no longer accepts it.");
  await call("GET token-verify/");
  await page.reads("#answer-status", "401 Unauthorized");

  // Another client changes the clock.
  await fetch(new URL("/__stub/clock/", url), { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"advance":"3h"}' });
  await page.shows("#shift", "5h ahead of this machine's clock.");
  const before = await page.locator("#now").textContent();
  await page.waitForFunction((before) => document.querySelector("#now").textContent !== before, before);
  await page.getByLabel("Advance by").fill("soon");
  await page.getByRole("button", { name: "Advance" }).click();
  await page.shows("#clock-note", "a duration is");
  await page.getByRole("button", { name: "Reset the stub" }).click();
  await page.shows("#shift", "Same as this machine's clock.");
  assert(await page.locator("#token").isHidden());
  await close(page);
}

async function steerOthers(browser) {
  const page = await open(browser);
  await page.shows("#pending", "Nothing is pending");
  await page.getByLabel("Forced answer").selectOption("503");
  await page.getByLabel("Delay in ms").fill("20");
  const put = page.getByRole("button", { name: /any client/ });
  await put.click();
  await page.shows("#pending", "The next login of any client gets 503 after 20 ms.");
  const login = await fetch(new URL(LOGIN, url), { method: "POST" });
  assert.strictEqual(login.status, 503);
  await page.getByLabel("Delay in ms").fill("30");
  await put.click();
  await page.shows("#pending", "The next login of any client gets 503 after 30 ms.");
  await page.getByRole("button", { name: "Clear pending" }).click();
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
  await fetch(new URL("/api/another-client/", url));
  await page.getByText("GET /api/another-client/").waitFor();
  assert.strictEqual(await rows.nth(1).locator("details").evaluate((details) => details.open), true);
  await rows.nth(1).getByText("jweir@projectthanos.com").first().waitFor();
  assert(!(await page.locator("#requests").textContent()).includes("thanosrocks"));
  const login = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ username: "a\u202eb\u200b", password: "x" }) };
  await fetch(new URL(LOGIN, url), login);
  await page.locator("#requests .notes").getByText("a\\u{202e}b\\u{200b}").waitFor();
  await page.getByRole("button", { name: "Clear the list" }).click();
  await page.getByText("No requests yet.").waitFor();
  await close(page);
}

async function setTheClock(browser) {
  const changes = [];
  const page = await open(browser, {}, (page) => page.route("**/__stub/clock/", (route) => {
    const body = route.request().postDataJSON();
    if (body) changes.push(body);
    return route.fulfill({ json: { now: "2026-12-31T23:59:00.000000Z", advanced_seconds: -90061, frozen: changes.at(-1)?.frozen ?? false } });
  }));
  await page.shows("#shift", "1d 1h 1m 1s behind this machine's clock.");
  await page.getByLabel("Set to (UTC)").fill("2026-12-31T23:59");
  await page.getByRole("button", { name: "Set", exact: true }).click();
  const freeze = page.getByRole("button", { name: "Freeze" });
  await freeze.click();
  await page.shows("#shift", "Frozen.");
  await page.shows("#now", "2026-12-31 23:59:00 UTC");
  await page.locator("#freeze[aria-pressed=true]").click();
  await page.locator("#freeze[aria-pressed=false]").waitFor();
  assert.deepStrictEqual(changes, [{ set: "2026-12-31T23:59:00Z" }, { frozen: true }, { frozen: false }]);
  await close(page);
}

async function seeWhatIsRecorded(browser) {
  const page = await open(browser, {}, record);
  await page.shows("#pending", "The next 2 logins of any client get 503 after 1500 ms (1 of 3 used); then the next request of any client gets 429 with a custom body or headers, "
    + "then a truncated answer; then the next 2 requests to /api/organizations/ of any client get a connection reset.");
  const rows = page.locator("#requests li");
  assert.deepStrictEqual(await rows.evaluateAll((items) => items.map((item) => [...item.querySelectorAll(".notes span")].map((note) => note.textContent))), [
    ["in progress", "delayed 60000 ms", "supplier@projectthanos.com"],
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
  const before = await page.locator("#now").textContent();
  await page.logIn.click();
  await page.reads("#answer-status", "no answer");
  assert.strictEqual(await page.locator("#now").textContent(), before);
  await page.context().setOffline(false);
  await page.getByRole("alert").waitFor({ state: "hidden" });
  await page.waitForFunction((before) => document.querySelector("#now").textContent !== before, before);
  await close(page, /ERR_INTERNET_DISCONNECTED/);
}

run(logIn, copyTheCall, useTheToken, setTheClock, steerOthers, watchRequests, seeWhatIsRecorded, seeTheServerStop);
