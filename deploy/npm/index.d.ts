/// <reference lib="esnext.disposable" />

/** Starts a stub on a free port and waits until it answers. It ends with this process, however that ends. */
export function startStub(options?: StubOptions): Promise<Stub>;

/** The path of the program that is in this package. */
export function program(): string;

/** The stub did not start, has ended, or refused what it was asked for: the message says why. */
export class StubError extends Error {
  name: "StubError";
}

/** Variables `THANOS_LOGIN_…` do not reach the stub. */
export interface StubOptions {
  /** Its accounts, as a file or as what is in one; by default those of the demo. */
  fixture?: string | URL | { organizations: readonly object[] };
  /** Further flags of `thanos-login serve`, such as `["--token-ttl", "5m"]`. */
  flags?: readonly string[];
  /** A program to start instead of the one in this package. */
  binary?: string | URL;
  /** 30 seconds by default. */
  startTimeoutMs?: number;
}

export interface Stub extends AsyncDisposable {
  /** Where it listens, such as `http://127.0.0.1:40123`, without a slash at the end. */
  readonly url: string;

  /** Puts everything back as at the start: accounts, tokens, clock, orders, and the list of requests. */
  reset(): Promise<void>;

  /**
   * Orders what becomes of the next calls, instead of what was pending.
   *
   * `next({ code: 503, times: 2 })` answers the next two calls with 503. `next([{ code: 503 }, {}, { code: 429 }])` is a
   * list of orders, each for one call unless it says `times`; `next([])` clears what is pending.
   */
  next(orders: Order | readonly Order[]): Promise<void>;

  /** Moves the stub's clock forward, by `"2h"` or `"1w2d"`: tokens expire, throttles lift. */
  advance(by: string): Promise<void>;

  /** The last 1,000 requests to the API, oldest first: all, or those that fit. */
  requests(filter?: RequestFilter): Promise<Request[]>;

  /** Resolves once the stub has ended. Also at the end of a block that has it as `await using`. */
  stop(): Promise<void>;
}

export type Fault = "reset" | "empty" | "cut" | "garbage";

/** What becomes of the next calls; each key may be left out. */
export interface Order {
  /** How many calls: one, if left out. */
  times?: number;
  /** The status, which is answered as it is documented. */
  code?: number | null;
  /** Which of the documented examples of the code. */
  example?: string | null;
  /** An answer of one's own: JSON, or a text that is sent as it is. */
  body?: unknown;
  headers?: Readonly<Record<string, string>> | null;
  delayMs?: number;
  fault?: Fault | null;
  /** Only calls of this path. */
  path?: string | null;
}

/** Which requests; each key may be left out. */
export interface RequestFilter {
  path?: string;
  method?: string;
  status?: number;
  username?: string;
  /** Those with a greater number. */
  since?: number;
  /** Such as `"2s"`: waits until there is one, or `count` of them. After that time the list has what there is. */
  wait?: string;
  count?: number;
}

/** One request that the stub got, without its secrets. */
export interface Request {
  /** Counts up from 1; no number is given again. */
  number: number;
  /** By the stub's clock, as RFC 3339. */
  time: string;
  method: string;
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  body: string;
  username: string | null;
  /** Of a login, whatever the answer. */
  password: "right" | "wrong" | "missing" | null;
  token: "valid" | "expired" | "unknown" | "none";
  /** Whose the token is. */
  tokenUser: string | null;
  status: number;
  durationMs: number;
  answer: { headers: Record<string, string>; body: string };
  /** What was ordered. */
  code: number | null;
  delayMs: number;
  fault: Fault | null;
  /** How often a fault was repeated for a client that retries silently. */
  repeats: number;
  /** Whether the client got the whole answer; null while it is on its way. */
  delivered: boolean | null;
}
