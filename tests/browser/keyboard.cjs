// Uses the stub's page by keyboard alone: node keyboard.cjs URL

"use strict";
const assert = require("node:assert");
const { DESKTOP, close, open, record, run } = require("./stub-page.cjs");

const PHONE = { width: 360, height: 740 };
const MIN_OUTLINE_PX = 2;
/** Of WCAG 2.2 for what is not text. */
const MIN_CONTRAST = 3;

async function tabThrough(browser) {
  for (const viewport of [DESKTOP, PHONE]) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await open(browser, { viewport, colorScheme }, record);
      await page.card(/^supplier@/).click();
      await page.logIn.click();
      await page.shows("#token-state", "Expires at");
      await page.locator("#requests summary").first().waitFor();
      const controls = await page.evaluate(numberControls);
      assert(controls.length > 40, controls.join("\n"));
      // The Tab key continues from the last click.
      await page.locator("h1").click();
      const where = `${viewport.width} px, ${colorScheme}`;
      assert.deepStrictEqual(await tabStops(page, "Tab", where), controls, where);
      assert.deepStrictEqual(await tabStops(page, "Shift+Tab", where), controls.toReversed(), where);
      await close(page);
    }
  }
}

/** Presses the key until the focus has left the last control, and returns the controls that had the focus. The focus must be visible on each. */
async function tabStops(page, key, where) {
  const stops = [];
  for (let presses = 0; presses < 200; presses += 1) {
    await page.keyboard.press(key);
    const focus = await page.evaluate(inspectFocus);
    // A date has several fields.
    if (focus && focus.name === stops.at(-1)) continue;
    if (!focus || stops.includes(focus.name)) return stops;
    stops.push(focus.name);
    const isVisible = focus.isOnTop && focus.outline >= MIN_OUTLINE_PX && focus.contrast >= MIN_CONTRAST;
    assert(isVisible, `${JSON.stringify(focus)}, ${where}`);
  }
  assert.fail(`the focus stays on ${stops.at(-1)}`);
}

/** Runs in the page: numbers its controls, and returns their names in the order of the document. */
function numberControls() {
  const controls = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex]")].filter((element) => element.checkVisibility());
  return controls.map((element, index) => (element.dataset.control = `${index}: ${element.id || element.textContent}`));
}

/** Runs in the page: what has the focus, whether it is on the screen, and the width and contrast of its outline. */
function inspectFocus() {
  const element = document.activeElement;
  if (element === document.body) return null;
  const { left, top, width, height } = element.getBoundingClientRect();
  const atCentre = document.elementFromPoint(left + width / 2, top + Math.min(height / 2, 20));
  const style = getComputedStyle(element);
  const luminance = (color) => {
    const parts = color.match(/[\d.]+/g).slice(0, 3).map((value) => value / 255);
    const [red, green, blue] = parts.map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  let around = element.parentElement;
  while (getComputedStyle(around).backgroundColor === "rgba(0, 0, 0, 0)") around = around.parentElement;
  const [dark, light] = [luminance(style.outlineColor), luminance(getComputedStyle(around).backgroundColor)].sort((one, other) => one - other);
  return {
    name: element.dataset.control,
    isOnTop: atCentre === element || element.contains(atCentre),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    contrast: (light + 0.05) / (dark + 0.05),
  };
}

async function useEachPart(browser) {
  const page = await open(browser, { viewport: PHONE });
  const reach = async (locator) => {
    for (let steps = 0; steps < 60; steps += 1) {
      await page.keyboard.press("Tab");
      if (await locator.evaluate((element) => element === document.activeElement)) return;
    }
    assert.fail(`not reached: ${locator}`);
  };
  const press = async (locator, key = "Enter") => {
    await reach(locator);
    await page.keyboard.press(key);
  };
  const button = (name) => page.getByRole("button", { name });

  await press(page.card(/^deactivated@/));
  assert.strictEqual(await page.getByLabel("Username").inputValue(), "deactivated@projectthanos.com");
  await press(page.getByLabel("Password"));
  await page.reads("#answer-status", "403 Forbidden");
  await reach(page.getByLabel("Forced answer"));
  await page.keyboard.type("429");
  await press(button(/any client/));
  await page.shows("#pending", "The next login of any client gets 429.");
  await press(button("Clear pending"), "Space");
  await page.shows("#pending", "Nothing is pending");
  await press(page.locator("#requests summary").first());
  await page.locator("#requests pre").first().waitFor();
  await press(button("Clear the list"));
  await page.getByText("No requests yet.").waitFor();
  await press(page.getByLabel("Advance by"));
  await page.shows("#shift", "2h ahead");
  await press(button("Freeze"), "Space");
  await page.shows("#shift", "Frozen.");
  await press(button("Python"), "Space");
  await page.shows("#call", "import requests");
  await press(button("Reset the stub"));
  await page.shows("#shift", "Same as this machine's clock.");
  await press(page.card(/^supplier@/));
  await press(page.logIn);
  // The list still forces the answer 429.
  await page.reads("#answer-status", "429 Too Many Requests");
  await reach(page.getByLabel("Forced answer"));
  await page.keyboard.press("Home");
  await press(page.logIn);
  await page.shows("#token-state", "Expires at");
  await press(button("GET organizations/"), "Space");
  await page.reads("#answer-status", "GET /api/organizations/: 200 OK");
  await close(page);
}

run(tabThrough, useEachPart);
