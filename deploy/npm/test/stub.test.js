"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const { after, afterEach, before, describe, test } = require("node:test");
const { startStub, StubError } = require("thanos-login");

const LOGIN = "/api/organizations/user-login/";
const SUPPLIER = { username: "supplier@projectthanos.com", password: "thanossupplies" };
const ANN = { username: "ann@corner.example", password: "a long and secret sentence" };
const FIXTURE = { organizations: [{ name: "Corner Shop", org_type: "RETAILER", users: [ANN] }] };

const logIn = (stub, credentials = SUPPLIER) =>
  fetch(stub.url + LOGIN, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(credentials),
  });
const statusOfToken = async (stub, token) => {
  const answer = await fetch(`${stub.url}/api/organizations/`, { headers: { Authorization: `Token ${token}` } });
  return answer.status;
};

describe("the methods", () => {
  let stub;
  before(async () => (stub = await startStub()));
  afterEach(() => stub.reset());
  after(() => stub.stop());

  test("a token expires when the clock advances", async () => {
    const { auth_token } = await (await logIn(stub)).json();
    assert.equal(await statusOfToken(stub, auth_token), 200);
    await stub.advance("2h");
    assert.equal(await statusOfToken(stub, auth_token), 401);
  });

  test("an instruction is for a number of requests", async () => {
    await stub.next({ code: 503, times: 2 });
    const statuses = [];
    for (let call = 0; call < 3; call++) {
      statuses.push((await logIn(stub)).status);
    }
    assert.deepEqual(statuses, [503, 503, 200]);
  });

  test("a list of instructions is used in sequence, and an empty list removes the pending ones", async () => {
    await stub.next([{ code: 503 }, {}, { code: 429 }]);
    assert.deepEqual([(await logIn(stub)).status, (await logIn(stub)).status], [503, 200]);
    await stub.next([]);
    assert.equal((await logIn(stub)).status, 200);
  });

  test("an answer can be custom, delayed, and for one path only", async () => {
    const custom = { code: 502, body: "<p>Bad gateway</p>", headers: { "Content-Type": "text/html" } };
    await stub.next({ ...custom, delayMs: 20, path: LOGIN });
    assert.equal((await fetch(`${stub.url}/api/organizations/`)).status, 401);
    const answer = await logIn(stub);
    assert.deepEqual([answer.status, await answer.text()], [502, custom.body]);
    const [request] = await stub.requests({ status: 502 });
    assert.equal(request.delayMs, 20);
  });

  test("a fault is injected", async () => {
    await stub.next({ fault: "garbage" });
    await assert.rejects(logIn(stub));
  });

  test("requests are reported without secrets", async () => {
    await logIn(stub);
    const [request, ...others] = await stub.requests();
    assert.deepEqual(others, []);
    const { method, path, username, password, status, tokenUser, delivered } = request;
    assert.deepEqual(
      { method, path, username, password, status, tokenUser },
      { method: "POST", path: LOGIN, username: SUPPLIER.username, password: "right", status: 200, tokenUser: null },
    );
    assert.notEqual(delivered, false);
    assert.ok(!JSON.stringify(request).includes(SUPPLIER.password));
  });

  test("requests are filtered and waited for", async () => {
    const waiting = stub.requests({ path: LOGIN, wait: "30s", count: 2, status: undefined });
    await logIn(stub);
    await logIn(stub, { ...SUPPLIER, password: "wrong" });
    const [first, second] = await waiting;
    assert.deepEqual([first.password, second.password], ["right", "wrong"]);
    const since = await stub.requests({ since: first.number });
    assert.deepEqual(since.map((request) => request.number), [second.number]);
    assert.deepEqual(await stub.requests({ username: "nobody" }), []);
  });

  test("reset restores the state at the start", async () => {
    await stub.next({ code: 503 });
    await stub.advance("2h");
    await logIn(stub);
    await stub.next({ code: 503 });
    await stub.reset();
    assert.deepEqual(await stub.requests(), []);
    assert.equal((await logIn(stub)).status, 200);
  });

  test("a rejected call is an error with the reason of the stub", async () => {
    const rejections = [
      [() => stub.next({ cod: 503 }), /^PUT \/__stub\/next\/ was answered 400: .*"cod"/],
      [() => stub.next([{ code: 503 }, { code: 1 }]), /^PUT \/__stub\/next\/ was answered 400: .*"code"/],
      [() => stub.next([null]), /^PUT \/__stub\/next\/ was answered 400: /],
      [() => stub.next("503"), /^PUT \/__stub\/next\/ was answered 400: /],
      [() => stub.advance("soon"), /^POST \/__stub\/clock\/ was answered 400: .*such as 250ms or 2h/],
      [() => stub.requests({ count: "many" }), /^GET \/__stub\/requests\/\?count=many was answered 400: .*"count"/],
    ];
    for (const [rejected, message] of rejections) {
      await assert.rejects(rejected, (error) => {
        assert.ok(error instanceof StubError);
        assert.match(error.message, message);
        return true;
      });
    }
  });

  test("its calls do not use global functions that a test replaces", async (context) => {
    const replaced = () => assert.fail("it was called");
    context.mock.method(globalThis, "fetch", replaced);
    context.mock.method(globalThis, "setTimeout", replaced);
    context.mock.method(globalThis, "clearTimeout", replaced);
    await stub.reset();
    await (await startStub()).stop();
  });
});

test("stubs do not share instructions", async () => {
  const [one, other] = await Promise.all([startStub(), startStub()]);
  await one.next({ code: 503 });
  assert.equal((await logIn(other)).status, 200);
  assert.equal((await logIn(one)).status, 503);
  await Promise.all([one.stop(), other.stop()]);
});

test("a fixture can be an object or a file, and a reset restores it", async () => {
  fs.writeFileSync("accounts.json", JSON.stringify(FIXTURE));
  const file = require("node:url").pathToFileURL("accounts.json");
  for (const fixture of [FIXTURE, "accounts.json", file]) {
    const stub = await startStub({ fixture });
    await stub.reset();
    assert.deepEqual([(await logIn(stub, ANN)).status, (await logIn(stub)).status], [200, 401]);
    await stub.stop();
  }
});

test("further flags are passed on, and a self-signed certificate is accepted", async () => {
  const stub = await startStub({ flags: ["--tls-self-signed", "localhost"] });
  assert.match(stub.url, /^https:\/\/127\.0\.0\.1:\d+$/);
  assert.deepEqual(await stub.requests(), []);
  await stub.stop();
});

test("environment variables that set flags have no effect on the stub", async () => {
  process.env.THANOS_LOGIN_TLS_CERT = "missing.pem";
  try {
    await (await startStub()).stop();
  } finally {
    delete process.env.THANOS_LOGIN_TLS_CERT;
  }
});

test("the error of a failed start has the reason and the log", async () => {
  const failures = [
    [{ flags: ["--nonsense"] }, /^the stub did not start: it ended with exit code 2; it logged:\n.*'--nonsense'/],
    [{ fixture: { organizations: [{ name: 1 }] } }, /exit code 1; it logged:\n.*organizations\[0\]\.name/],
    [{ fixture: "missing.json" }, /exit code 1; it logged:\n.*missing\.json/],
    [{ binary: "./missing" }, /^the stub did not start: .*missing ENOENT/],
    [{ binary: __filename }, /^the stub did not start: .*EACCES/],
    [{ binary: "/bin/sh" }, /^the stub did not start: /],
    [{ flags: "--token-ttl 5m" }, /^the stub did not start: `flags` is not a list, such as \["--token-ttl", "5m"\]$/],
    [{ binary: null }, /^the stub did not start: /],
    [{ startTimeoutMs: 0 }, /^the stub did not start: it was not ready after 0 ms; it logged/],
  ];
  for (const [options, message] of failures) {
    await assert.rejects(startStub(options), (error) => {
      assert.ok(error instanceof StubError, error);
      assert.match(error.message, message);
      return true;
    });
  }
});

test("a missing temporary directory is an error of the start", async (context) => {
  const { TMPDIR } = process.env;
  context.after(() => (process.env.TMPDIR = TMPDIR));
  process.env.TMPDIR = "/missing";
  await assert.rejects(startStub(), { name: "StubError", message: /^the stub did not start: ENOENT.*\/missing\// });
});

test("a failed start leaves no open files", async () => {
  const open = () => fs.readdirSync("/proc/self/fd").length;
  const before = open();
  for (const options of [{ fixture: 1n }, { binary: null }, { flags: ["--nonsense"] }]) {
    await assert.rejects(startStub(options), StubError);
  }
  assert.equal(open(), before);
});

test("null is the same as no options, no filter and an empty instruction", async () => {
  const stub = await startStub(null);
  await stub.next(null);
  assert.deepEqual(await stub.requests(null), []);
  await stub.stop();
});

test("calls to a stopped stub are rejected", async () => {
  const stub = await startStub();
  await stub.stop();
  await stub.stop();
  await assert.rejects(fetch(stub.url));
  await assert.rejects(stub.reset(), { name: "StubError", message: /the stub was stopped/ });
});

test("a disposed stub is stopped", { skip: !Symbol.asyncDispose }, async () => {
  const stub = await startStub();
  await stub[Symbol.asyncDispose]();
  await assert.rejects(fetch(stub.url));
});
