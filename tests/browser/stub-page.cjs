// Opens the stub's page in Chromium, for the scripts beside this file: node SCRIPT URL [DIRECTORY-FOR-SCREENSHOTS]

"use strict";
const assert = require("node:assert");
const { chromium } = require("playwright-core");

const [url, pictures] = process.argv.slice(2);
const LOGIN = "/api/organizations/user-login/";
const DESKTOP = { width: 1280, height: 800 };

/** Runs the functions one after another with a browser. The process fails with the first of them that fails. */
async function run(...functions) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
  try {
    for (const use of functions) await use(browser);
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  } finally {
    await browser.close();
  }
}

/** Resets the stub and opens its page. `prepare` gets the page before it loads. */
async function open(browser, options, prepare = () => {}) {
  await fetch(new URL("/__stub/reset/", url), { method: "POST" });
  const context = await browser.newContext({ viewport: DESKTOP, permissions: ["clipboard-read", "clipboard-write"], ...options });
  const page = await context.newPage();
  page.errors = [];
  page.on("pageerror", (error) => page.errors.push(String(error)));
  page.on("console", (message) => {
    // Chromium logs each answer with an error status, which the scripts ask for.
    const isAnswer = message.text().startsWith("Failed to load resource: the server responded");
    if (message.type() !== "log" && !isAnswer) page.errors.push(message.text());
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

/** Closes the page, whose console must have no errors but those that are expected. */
async function close(page, expected = /^$/) {
  assert.deepStrictEqual(page.errors.filter((error) => !expected.test(error)), []);
  await page.context().close();
}

/** An entry of the list of requests. */
const ENTRY = {
  time: "2026-11-24T22:34:32.000001Z", method: "POST", path: LOGIN, headers: { "content-type": "application/json" }, body: "", status: 200, duration_ms: 4.5,
  username: "supplier@projectthanos.com", token: "none", token_user: null, password: "right", code: null, delay_ms: 0, fault: null, delivered: true, repeats: 0,
  answer: { headers: { "content-length": "270" }, body: '{"auth_token":"[redacted]","org_uuid":"e7409ece-e923-4aa8-a41b-4aacb9e475be","user_uuid":"3a7acb28-ab13-437e-8c35-46cf4f0bea49"}' },
};
/** The answer of a stub that has recorded each kind of request. */
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
/** The answer of a stub with several pending instructions. */
const PENDING = {
  used: 1,
  pending: [
    { times: 3, used: 1, code: 503, delay_ms: 1500, fault: null, path: LOGIN },
    { times: 1, used: 0, code: 429, delay_ms: 0, fault: "cut", path: null, body: { detail: "custom" } },
    { times: 2, used: 0, code: null, delay_ms: 0, fault: "reset", path: "/api/organizations/" },
  ],
};

/** Gives the page these answers in place of the stub's own. */
async function record(page) {
  const answer = (body) => (route) => (route.request().method() === "GET" ? route.fulfill({ json: body }) : route.continue());
  await page.route("**/__stub/requests/*", answer(RECORDED));
  await page.route("**/__stub/next/", answer(PENDING));
}

module.exports = { DESKTOP, LOGIN, close, open, pictures, record, run, url };
