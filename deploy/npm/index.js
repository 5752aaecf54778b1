// Starts a stub that lives as long as the process that wants it, and sends it what its verbs say.
"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const os = require("node:os");
const path = require("node:path");
const { createInterface } = require("node:readline");

// Those of this moment: tests put clocks of their own in their place.
const { setTimeout, clearTimeout } = globalThis;

const MS_TO_START = 30_000;
const MS_TO_STOP = 10_000;
// The longest that a call takes is the wait for requests, of up to a minute.
const MS_TO_ANSWER = 90_000;

class StubError extends Error {
  name = "StubError";
}

class Stub {
  #child;
  #log;
  #stopped;

  constructor(url, child, log) {
    this.url = url;
    this.#child = child;
    this.#log = log;
  }

  async reset() {
    await this.#call("POST", "reset");
  }

  async next(orders = {}) {
    if (!Array.isArray(orders)) {
      await this.#call("PUT", "next", renamed(orders, snakeCase));
    } else if (orders.length > 0) {
      await this.#call("PUT", "next", orders.map((order) => renamed(order, snakeCase)));
    } else {
      await this.#call("DELETE", "next");
    }
  }

  async advance(by) {
    await this.#call("POST", "clock", { advance: by });
  }

  async requests(filter = {}) {
    const given = Object.entries(filter).filter(([, value]) => value !== undefined);
    const query = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
    const { requests } = await this.#call("GET", "requests", undefined, query);
    return requests.map((request) => renamed(request, camelCase));
  }

  stop() {
    this.#stopped ??= end(this.#child).finally(() => this.#log.close());
    return this.#stopped;
  }

  async #call(method, verb, body, query = "") {
    const call = `${method} /__stub/${verb}/${query}`;
    if (this.#stopped) {
      throw new StubError(`${call} failed: the stub was stopped`);
    }
    let answer;
    try {
      answer = await exchange(method, `${this.url}/__stub/${verb}/${query}`, body);
    } catch (error) {
      const why = hasEnded(this.#child) ? `the stub has ended; ${this.#log.shown()}` : error.message;
      throw new StubError(`${call} failed: ${why}`, { cause: error });
    }
    if (answer.status >= 300) {
      throw new StubError(`${call} was answered ${answer.status}: ${answer.text}`);
    }
    return answer.text === "" ? undefined : JSON.parse(answer.text);
  }
}

// Node has it from 18.18 on.
if (Symbol.asyncDispose) {
  Object.defineProperty(Stub.prototype, Symbol.asyncDispose, { value: Stub.prototype.stop });
}

function program() {
  return path.join(__dirname, "lib", "thanos-login");
}

async function startStub({ fixture, flags = [], binary = program(), startTimeoutMs = MS_TO_START } = {}) {
  const log = new Log();
  const files = fs.mkdtempSync(path.join(os.tmpdir(), "thanos-stub-"));
  let child;
  try {
    const args = ["serve", "--demo", "--exit-with-parent", "--listen", "127.0.0.1:0"];
    if (fixture !== undefined) {
      args.push("--fixture", isPath(fixture) ? pathOf(fixture) : written(fixture, files));
    }
    args.push(...flags);
    child = started(pathOf(binary), args, log);
    const url = await ready(child, startTimeoutMs, log);
    letProcessEnd(child);
    return new Stub(url, child, log);
  } catch (error) {
    // Has no number if it never was one.
    if (child?.pid !== undefined) {
      await end(child);
    }
    log.close();
    throw error;
  } finally {
    fs.rmSync(files, { recursive: true, force: true });
  }
}

function started(binary, args, log) {
  try {
    return spawn(binary, args, {
      // The end of standard input is the end of the stub where a process cannot be watched.
      stdio: ["pipe", "pipe", log.descriptor],
      env: withoutSettings(process.env),
      // Ctrl-C is for the tests, whose last steps need the stub.
      detached: true,
    });
  } catch (error) {
    throw new StubError(`the stub did not start: ${error.message}`, { cause: error });
  }
}

/** The address in the line that says that it is ready. */
async function ready(child, timeoutMs, log) {
  let tooLong;
  const { line, failure } = await new Promise((resolve) => {
    child.once("error", (error) => resolve({ failure: error.message }));
    child.once("exit", (code, signal) =>
      resolve({ failure: signal ? `it was ended by ${signal}` : `it ended with exit code ${code}` }),
    );
    tooLong = setTimeout(() => resolve({ failure: `it was not ready after ${timeoutMs} ms` }), timeoutMs);
    // Not there when this process has too many files open. Goes on to read what else is printed.
    child.stdout && createInterface(child.stdout).once("line", (line) => resolve({ line }));
  });
  clearTimeout(tooLong);
  const url = /^listening on (https?:\S+)/.exec(line)?.[1];
  if (!url) {
    const why = failure ?? `its first line is ${JSON.stringify(line)}`;
    throw new StubError(`the stub did not start: ${why}; ${log.shown()}`);
  }
  return url;
}

/** The stub is no reason for this process to go on. */
function letProcessEnd(child) {
  for (const handle of [child, child.stdin, child.stdout]) {
    handle.unref();
  }
}

async function end(child) {
  if (hasEnded(child)) {
    return;
  }
  child.ref();
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const tooLong = setTimeout(() => child.kill("SIGKILL"), MS_TO_STOP);
  await ended;
  clearTimeout(tooLong);
}

function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

/** What the stub writes to standard error, in a file without a name, of which nothing is left. */
class Log {
  constructor() {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), "thanos-stub-"));
    this.descriptor = fs.openSync(path.join(directory, "log"), "wx+", 0o600);
    fs.rmSync(directory, { recursive: true });
  }

  shown() {
    const text = this.#read().trim();
    return text === "" ? "it logged nothing" : `it logged:\n${text}`;
  }

  close() {
    fs.closeSync(this.descriptor);
  }

  #read() {
    const bytes = Buffer.alloc(fs.fstatSync(this.descriptor).size);
    // The position is given, since the stub writes where the descriptor is.
    return bytes.toString("utf8", 0, fs.readSync(this.descriptor, bytes, 0, bytes.length, 0));
  }
}

/** One request; never by a proxy or by what tests put in the place of `fetch`. */
function exchange(method, url, body) {
  const content = body === undefined ? "" : JSON.stringify(body);
  const options = {
    method,
    agent: false,
    timeout: MS_TO_ANSWER,
    headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(content) },
    // The stub is on this machine, and its certificate its own.
    rejectUnauthorized: false,
  };
  return new Promise((resolve, reject) => {
    const request = (url.startsWith("https:") ? https : http).request(url, options, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => resolve({ status: response.statusCode, text: Buffer.concat(chunks).toString() }));
    });
    request.on("timeout", () => request.destroy(new Error(`no answer in ${MS_TO_ANSWER} ms`)));
    request.on("error", reject);
    request.end(content);
  });
}

function isPath(value) {
  return typeof value === "string" || value instanceof URL;
}

function pathOf(value) {
  return value instanceof URL ? require("node:url").fileURLToPath(value) : value;
}

/** The path of a file with this fixture. */
function written(fixture, directory) {
  const file = path.join(directory, "fixture.json");
  fs.writeFileSync(file, JSON.stringify(fixture), { mode: 0o600 });
  return file;
}

/** Without variables that set flags. */
function withoutSettings(variables) {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !name.startsWith("THANOS_LOGIN_")));
}

/** With other names for the same values. */
function renamed(object, rename) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [rename(name), value]));
}

function snakeCase(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camelCase(name) {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

// Spelled like this, so that `import` finds the names.
module.exports = { startStub, program, StubError };
