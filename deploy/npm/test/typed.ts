// Uses the package as tests in TypeScript do. It is compiled, but not run.
import { program, startStub, StubError } from "thanos-login";
import type { Fault, Instruction, Request, RequestFilter, Stub, StubOptions } from "thanos-login";

const instructions: readonly Instruction[] = [{ code: 503, times: 2 }, {}, { fault: "reset", delayMs: 5, path: "/api/organizations/" }];
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
    await stub.next(instructions);
    await stub.next([]);
    await stub.advance("2h");
    await stub.reset();
    const requests: Request[] = await stub.requests(filter);
    const fault: Fault | null | undefined = requests[0]?.fault;
    const user: string | null | undefined = requests[0]?.tokenUser;
    return [stub.url, String(fault), String(user), requests[0]?.answer.headers["Allow"] ?? ""];
  } catch (error) {
    return [error instanceof StubError ? `${error.name}: ${error.cause}` : "another"];
  } finally {
    await stub.stop();
  }
}

export async function useInABlock(): Promise<void> {
  await using stub = await startStub();
  // @ts-expect-error: the key of the HTTP call, which is delayMs in this package.
  await stub.next({ delay_ms: 5 });
  // @ts-expect-error: an unknown fault.
  await stub.next({ fault: "flood" });
  // @ts-expect-error: a duration without a unit.
  await stub.advance(2);
  // @ts-expect-error: the address is read-only.
  stub.url = "";
  // @ts-expect-error: an unknown option.
  await startStub({ port: 8080 });
}
