/**
 * Starts a stub on a free port and waits until it is ready. The stub also ends when this process ends, in whatever way.
 *
 * Rejects with a `StubError`, which contains the stub's log, if the stub does not start.
 */
export function startStub(options?: StubOptions): Promise<Stub>;

/** Returns the path of the program in this package. */
export function program(): string;

/** The stub did not start, has ended, or rejected a call. The message gives the reason. */
export class StubError extends Error {
  name: "StubError";
  cause?: unknown;
}

/** How to start a stub. Environment variables `THANOS_LOGIN_…` have no effect on it. */
export interface StubOptions {
  /** The accounts, as the path of a JSON file or as its content; by default the demo accounts. */
  fixture?: string | URL | { organizations: readonly object[] };
  /** Further flags of `thanos-login serve`, such as `["--token-ttl", "5m"]`. */
  flags?: readonly string[];
  /** The path of a program to start instead of the one in this package. */
  binary?: string | URL;
  /** How long to wait until the stub is ready, in milliseconds; 30,000 by default. */
  startTimeoutMs?: number;
}

/**
 * A running stub.
 *
 * Its methods reject with a `StubError` if the stub rejects a call, does not answer, or has ended.
 */
export interface Stub {
  /** The address of the stub, such as `http://127.0.0.1:40123`, without a slash at the end. */
  readonly url: string;

  /** Restores the state at the start: accounts, tokens, clock, instructions, and the list of requests. */
  reset(): Promise<void>;

  /**
   * Sets how to answer the next requests, and replaces all pending instructions.
   *
   * `next({ code: 503, times: 2 })` answers the next two requests with 503. `next([{ code: 503 }, {}, { code: 429 }])` sets
   * a list of instructions, each for one request unless it has `times`. `next([])` removes the pending instructions.
   */
  next(instructions: Instruction | readonly Instruction[]): Promise<void>;

  /** Moves the stub's clock forward by a duration such as `"2h"` or `"1w2d"`: tokens expire, limits on failed logins end. */
  advance(by: string): Promise<void>;

  /** Returns the requests that match the filter, of the last 1,000 to the API, oldest first. */
  requests(filter?: RequestFilter): Promise<Request[]>;

  /** Stops the stub, and resolves when it has ended. `await using` calls it at the end of the block. */
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A fault of the connection, injected in place of an intact answer: `reset` resets the connection, `empty` closes it without
 * an answer, `cut` closes it in the middle of the body, and `garbage` sends bytes that are not HTTP.
 */
export type Fault = "reset" | "empty" | "cut" | "garbage";

/** How to answer the next requests. All keys are optional; `{}` leaves one request alone. */
export interface Instruction {
  /** How many requests the instruction is for; 1 by default. */
  times?: number;
  /** The status of the answer, from 200 to 599, with its documented body unless `body` is given. */
  code?: number | null;
  /** Which documented example of the answer to send. */
  example?: string | null;
  /** A custom body: JSON, or a text that is sent unchanged. */
  body?: unknown;
  /** Custom headers. Without `code` and `body` they are added to the real answer. */
  headers?: Readonly<Record<string, string>> | null;
  /** Milliseconds to wait before the answer, at most 60,000. */
  delayMs?: number;
  /** The fault to inject. */
  fault?: Fault | null;
  /** Applies the instruction only to requests with this path. */
  path?: string | null;
}

/** Which requests to return. All keys are optional; a request must match all that are given. */
export interface RequestFilter {
  path?: string;
  method?: string;
  status?: number;
  username?: string;
  /** Selects requests with a greater number. */
  since?: number;
  /**
   * A duration such as `"2s"`, at most 60 s: waits until there is a match, or until there are `count` of them. When the time
   * is over, returns the matches until then.
   */
  wait?: string;
  /** How many matches to wait for; requires `wait`. */
  count?: number;
}

/** A request that the stub received, and its answer, without secrets. */
export interface Request {
  /** Counts up from 1. A number is never used again. */
  number: number;
  /** When the request arrived, by the stub's clock, in RFC 3339 format. */
  time: string;
  method: string;
  /** The path with its query. */
  path: string;
  headers: Record<string, string>;
  body: string;
  /** The username of a login. */
  username: string | null;
  /** The password of a login, checked even if the answer was forced; `null` for other calls. */
  password: "right" | "wrong" | "missing" | null;
  /** The state of the request's token; `"none"` without one. */
  token: "valid" | "expired" | "unknown" | "none";
  /** The user that the token belongs to. */
  tokenUser: string | null;
  /** The status of the answer. */
  status: number;
  /** How long the stub took to answer, in milliseconds. */
  durationMs: number;
  answer: { headers: Record<string, string>; body: string };
  /** The status that was forced. */
  code: number | null;
  /** The delay that was instructed, in milliseconds. */
  delayMs: number;
  /** The fault that was injected. */
  fault: Fault | null;
  /** How often the fault was injected again because the client retried silently. */
  repeats: number;
  /** Whether the client received the whole answer; `null` while it is being sent. */
  delivered: boolean | null;
}

// What `await using` requires. The libraries of TypeScript declare it only from version 5.2 on, and only for new targets.
declare global {
  interface SymbolConstructor {
    readonly dispose: unique symbol;
    readonly asyncDispose: unique symbol;
  }
  interface Disposable {
    [Symbol.dispose](): void;
  }
  interface AsyncDisposable {
    [Symbol.asyncDispose](): PromiseLike<void>;
  }
}
