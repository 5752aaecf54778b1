// What a client's tests in TypeScript do with the package; compiled only.
import { program, startStub, StubError } from "thanos-login";
import type { Fault, Order, Request, RequestFilter, Stub, StubOptions } from "thanos-login";

const orders: readonly Order[] = [{ code: 503, times: 2 }, {}, { fault: "reset", delayMs: 5, path: "/api/organizations/" }];
const filter: RequestFilter = { wait: "2s", count: 2, since: 1 };
const options: StubOptions = {
  fixture: { organizations: [{ name: "Corner Shop", org_type: "RETAILER", users: [] }] },
  flags: ["--token-ttl", "5m"],
  binary: program(),
  startTimeoutMs: 1000,
};

export async function use(): Promise<string[]> {
  const stub: Stub = await startStub(options);
  try {
    await stub.next({ code: 502, body: { any: ["JSON"] }, headers: { "X-Any": "text" } });
    await stub.next(orders);
    await stub.next([]);
    await stub.advance("2h");
    await stub.reset();
    const requests: Request[] = await stub.requests(filter);
    const fault: Fault | null | undefined = requests[0]?.fault;
    const user: string | null | undefined = requests[0]?.tokenUser;
    return [stub.url, String(fault), String(user), requests[0]?.answer.headers["Allow"] ?? ""];
  } catch (error) {
    return [error instanceof StubError ? error.name : "another"];
  } finally {
    await stub.stop();
  }
}

export async function useInABlock(): Promise<void> {
  await using stub = await startStub();
  // @ts-expect-error: it is a key of the wire, not of this package.
  await stub.next({ delay_ms: 5 });
  // @ts-expect-error: there is no such fault.
  await stub.next({ fault: "flood" });
  // @ts-expect-error: a duration has a unit.
  await stub.advance(2);
  // @ts-expect-error: where it listens is its own choice.
  stub.url = "";
  // @ts-expect-error: not an option.
  await startStub({ port: 8080 });
}
