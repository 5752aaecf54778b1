// Looks at the stub's page in windows of a desktop and of phones, in light and dark mode: node appearance.cjs URL [DIRECTORY-FOR-SCREENSHOTS]

"use strict";
const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const { DESKTOP, close, open, pictures, record, run } = require("./stub-page.cjs");

const axe = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const VIEWPORTS = [DESKTOP, { width: 390, height: 844 }, { width: 360, height: 740 }];
const SCHEMES = ["light", "dark"];

async function lookAtAll(browser) {
  for (const colorScheme of SCHEMES) {
    for (const viewport of VIEWPORTS) await look(browser, colorScheme, viewport);
  }
}

/** Fills every part of the page, then checks it; does so again when the server has stopped. */
async function look(browser, colorScheme, viewport) {
  const where = `${colorScheme}, ${viewport.width} px`;
  const page = await open(browser, { viewport, colorScheme }, record);
  assert.strictEqual(await page.evaluate(isDark), colorScheme === "dark", where);
  await page.card(/^supplier@/).click();
  await page.getByLabel("Forced answer").selectOption("415");
  await page.getByLabel("Fault").selectOption("garbage");
  assert.deepStrictEqual(await page.evaluate(textsCut), [], where);
  await page.getByLabel("Forced answer").selectOption("");
  await page.getByLabel("Fault").selectOption("");
  await page.logIn.click();
  await page.reads("#answer-status", "200 OK");
  await page.shows("#token-state", "Expires at");
  await page.getByLabel("Advance by").fill("soon");
  await page.getByRole("button", { name: "Advance" }).click();
  await page.shows("#clock-note", "a duration is");
  await page.locator("#requests li").nth(1).locator("summary").click();
  if (viewport === DESKTOP) await checkFirstScreen(page, viewport);
  if (pictures) await takePictures(page, `${viewport.width}-${colorScheme}`);
  await check(page, where);
  await page.context().setOffline(true);
  await page.getByRole("alert").getByText("The server has not answered since").waitFor();
  await check(page, `${where}, offline`);
  await close(page, /ERR_INTERNET_DISCONNECTED/);
}

/** Expects no finding of axe, no text that is cut, and no horizontal scrolling. */
async function check(page, where) {
  assert.deepStrictEqual(await page.evaluate(textsCut), [], where);
  assert.deepStrictEqual(await axeFindings(page), [], where);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert(overflow <= 0, `${overflow} px too wide, ${where}`);
}

async function checkFirstScreen(page, viewport) {
  await page.evaluate(() => scrollTo(0, 0));
  for (const title of ["Accounts", "Requests"]) {
    const { y, height } = await page.getByRole("heading", { name: title }).boundingBox();
    assert(y + height < viewport.height / 2, `${title} is below the first screen`);
  }
}

async function takePictures(page, name) {
  await page.screenshot({ path: path.join(pictures, `${name}.png`) });
  await page.screenshot({ path: path.join(pictures, `${name}-whole.png`), fullPage: true });
}

/** Runs in the page: whether the text is lighter than the background. */
function isDark() {
  const style = getComputedStyle(document.body);
  const sum = (color) => color.match(/\d+/g).slice(0, 3).reduce((sum, value) => sum + Number(value), 0);
  return sum(style.color) > sum(style.backgroundColor);
}

/** Runs in the page: the elements whose text does not fit. */
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

/**
 * Runs axe in an isolated world, since the page's policy forbids other scripts. Nothing may need scrolling: axe does not decide the
 * contrast of covered text. A contrast that it does not decide is a finding too.
 */
async function axeFindings(page) {
  await page.locator("#requests").evaluate((list) => { list.style.maxHeight = "none"; });
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  await page.setViewportSize({ width: page.viewportSize().width, height });
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send("Page.getFrameTree");
  const world = await session.send("Page.createIsolatedWorld", { frameId: frameTree.frame.id });
  const evaluate = async (expression) => {
    const { result, exceptionDetails } = await session.send("Runtime.evaluate", {
      expression, contextId: world.executionContextId, awaitPromise: true, returnByValue: true,
    });
    assert(!exceptionDetails, JSON.stringify(exceptionDetails));
    return result.value;
  };
  await evaluate(axe + "; 0");
  return evaluate(`axe.run({ rules: { "target-size": { enabled: true } } }).then(({ violations, incomplete }) =>
    [...violations, ...incomplete.filter(({ id }) => id === "color-contrast")].map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html).join(" ")))`);
}

run(lookAtAll);
