// Starts stubs that end with this process, and calls their control API below /__stub/.
"use strict";

const { spawn } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const os = require("node:os");
const path = require("node:path");
const { createInterface } = require("node:readline");

// Keep the original functions, since tests replace the global ones with fake timers.
const { setTimeout, clearTimeout } = globalThis;

const MS_TO_START = 30_000;
const MS_TO_STOP = 10_000;
// Longer than any call: the longest is `requests`, which waits for up to 60 s.
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

  async next(instructions) {
    if (!Array.isArray(instructions)) {
      await this.#call("PUT", "next", renameKeys(instructions ?? {}, snakeCase));
    } else if (instructions.length > 0) {
      await this.#call("PUT", "next", instructions.map((instruction) => renameKeys(instruction, snakeCase)));
    } else {
      await this.#call("DELETE", "next");
    }
  }

  async advance(by) {
    await this.#call("POST", "clock", { advance: by });
  }

  async requests(filter) {
    const given = Object.entries(filter ?? {}).filter(([, value]) => value !== undefined);
    const query = given.length > 0 ? `?${new URLSearchParams(given)}` : "";
    const { requests } = await this.#call("GET", "requests", undefined, query);
    return requests.map((request) => renameKeys(request, camelCase));
  }

  stop() {
    this.#stopped ??= end(this.#child).finally(() => this.#log.close());
    return this.#stopped;
  }

  async #call(method, name, body, query = "") {
    const call = `${method} /__stub/${name}/${query}`;
    if (this.#stopped) {
      throw new StubError(`${call} failed: the stub was stopped`);
    }
    let answer;
    try {
      answer = await exchange(method, `${this.url}/__stub/${name}/${query}`, body);
    } catch (error) {
      const reason = hasEnded(this.#child) ? `the stub has ended; ${this.#log.quoted()}` : error.message;
      throw new StubError(`${call} failed: ${reason}`, { cause: error });
    }
    if (answer.status >= 300) {
      throw new StubError(`${call} was answered ${answer.status}: ${answer.text}`);
    }
    return answer.text === "" ? undefined : JSON.parse(answer.text);
  }
}

// The symbol exists from Node 18.18 on.
if (Symbol.asyncDispose) {
  Object.defineProperty(Stub.prototype, Symbol.asyncDispose, { value: Stub.prototype.stop });
}

function program() {
  return path.join(__dirname, "lib", "thanos-login");
}

async function startStub(options) {
  const { fixture, flags = [], binary = program(), startTimeoutMs = MS_TO_START } = options ?? {};
  let files, log, child;
  try {
    if (!Array.isArray(flags)) {
      throw new Error('`flags` is not a list, such as ["--token-ttl", "5m"]');
    }
    files = fs.mkdtempSync(path.join(os.tmpdir(), "thanos-stub-"));
    log = new Log(path.join(files, "log"));
    const args = ["serve", "--demo", "--exit-with-parent", "--listen", "127.0.0.1:0"];
    if (fixture !== undefined) {
      args.push("--fixture", isPath(fixture) ? pathOf(fixture) : writeFixture(fixture, files));
    }
    args.push(...flags);
    child = spawn(pathOf(binary), args, {
      // Where the stub cannot watch this process, it ends when standard input is closed.
      stdio: ["pipe", "pipe", log.descriptor],
      env: withoutSettings(process.env),
      // Ctrl-C must not reach the stub: the tests still need it to clean up.
      detached: true,
    });
    const url = await readUrl(child, startTimeoutMs, log);
    letProcessEnd(child);
    return new Stub(url, child, log);
  } catch (error) {
    // A process that could not be spawned has no pid.
    if (child?.pid !== undefined) {
      await end(child);
    }
    log?.close();
    throw error instanceof StubError
      ? error
      : new StubError(`the stub did not start: ${error.message}`, { cause: error });
  } finally {
    if (files !== undefined) {
      fs.rmSync(files, { recursive: true, force: true });
    }
  }
}

/** Reads the URL from the line that the stub prints when it is ready. */
async function readUrl(child, timeoutMs, log) {
  let timer;
  const { line, failure } = await new Promise((resolve) => {
    child.once("error", (error) => resolve({ failure: error.message }));
    child.once("exit", (code, signal) =>
      resolve({ failure: signal ? `it was ended by ${signal}` : `it ended with exit code ${code}` }),
    );
    timer = setTimeout(() => resolve({ failure: `it was not ready after ${timeoutMs} ms` }), timeoutMs);
    // Undefined if this process has too many open files. Keeps reading after the first line, so that the pipe does not fill up.
    child.stdout && createInterface(child.stdout).once("line", (line) => resolve({ line }));
  });
  clearTimeout(timer);
  const url = /^listening on (https?:\S+)/.exec(line)?.[1];
  if (!url) {
    const reason = failure ?? `its first line is ${JSON.stringify(line)}`;
    throw new StubError(`the stub did not start: ${reason}; ${log.quoted()}`);
  }
  return url;
}

/** Lets this process exit while the stub is running. */
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
  const timer = setTimeout(() => child.kill("SIGKILL"), MS_TO_STOP);
  await ended;
  clearTimeout(timer);
}

function hasEnded(child) {
  return child.exitCode !== null || child.signalCode !== null;
}

/** The stub's standard error, in a file without a name, which cannot be left behind. */
class Log {
  constructor(file) {
    this.descriptor = fs.openSync(file, "wx+", 0o600);
    fs.rmSync(file);
  }

  /** Quotes the log for an error message. */
  quoted() {
    const text = this.#read().trim();
    return text === "" ? "it logged nothing" : `it logged:\n${text}`;
  }

  close() {
    fs.closeSync(this.descriptor);
  }

  #read() {
    const bytes = Buffer.alloc(fs.fstatSync(this.descriptor).size);
    // An explicit position, since the descriptor's offset is where the stub writes.
    return bytes.toString("utf8", 0, fs.readSync(this.descriptor, bytes, 0, bytes.length, 0));
  }
}

/** Sends one request, without a proxy, and without `fetch`, which tests replace. */
function exchange(method, url, body) {
  const content = body === undefined ? "" : JSON.stringify(body);
  const options = {
    method,
    agent: false,
    timeout: MS_TO_ANSWER,
    headers: { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(content) },
    // The stub runs on this machine, with a self-signed certificate.
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

/** Writes the fixture to a file in the directory, and returns the path. */
function writeFixture(fixture, directory) {
  const file = path.join(directory, "fixture.json");
  fs.writeFileSync(file, JSON.stringify(fixture), { mode: 0o600 });
  return file;
}

/** Copies the environment without the variables that set flags. */
function withoutSettings(variables) {
  return Object.fromEntries(Object.entries(variables).filter(([name]) => !name.startsWith("THANOS_LOGIN_")));
}

/** Copies an object with its keys renamed. The stub rejects what is no object. */
function renameKeys(object, rename) {
  if (typeof object !== "object" || object === null) {
    return object;
  }
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [rename(name), value]));
}

function snakeCase(name) {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function camelCase(name) {
  return name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());
}

// A literal object, so that `import` finds the names.
module.exports = { startStub, program, StubError };
