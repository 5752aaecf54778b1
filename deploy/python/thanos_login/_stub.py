"""A stub that runs as long as a `with` block, and its verbs."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from tempfile import NamedTemporaryFile, TemporaryFile
from typing import IO, Any, Literal, TypedDict, cast

from ._process import StubError, running, shown, wait_for_url
from ._program import program

Fault = Literal["reset", "empty", "cut", "garbage"]

# The longest that a call takes is the wait for requests, of up to a minute.
_TIMEOUT_SECONDS = 90


class Order(TypedDict, total=False):
    """What becomes of the next calls; each key may be left out."""

    times: int
    code: int | None
    delay_ms: int
    fault: Fault | None
    path: str | None
    example: str | None
    body: Any
    headers: Mapping[str, str] | None


class Answer(TypedDict):
    """What the stub answered."""

    headers: dict[str, str]
    body: str


class Request(TypedDict):
    """One request that the stub got, without its secrets."""

    number: int
    time: str
    method: str
    path: str
    headers: dict[str, str]
    body: str
    username: str | None
    password: Literal["right", "wrong", "missing"] | None
    token: Literal["valid", "expired", "unknown", "none"]
    token_user: str | None
    status: int
    duration_ms: float
    answer: Answer
    code: int | None
    delay_ms: int
    fault: Fault | None
    repeats: int
    delivered: bool | None


class Stub:
    """A running stub. `stub` makes one."""

    url: str
    """Where it listens, such as http://127.0.0.1:40123, without a slash at the end."""

    def __init__(self, url: str, process: subprocess.Popen[str], log: IO[str]) -> None:
        self.url = url
        self._process = process
        self._log = log
        # The stub is on this machine: no proxy is asked, and no authority for its own certificate.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def __repr__(self) -> str:
        return f"<thanos_login.Stub {self.url}>"

    def reset(self) -> None:
        """Puts everything back as at the start: accounts, tokens, clock, orders, and the list of requests."""
        self._call("POST", "reset")

    def next(
        self,
        orders: Order | Sequence[Order] | None = None,
        /,
        *,
        times: int = 1,
        code: int | None = None,
        delay_ms: int = 0,
        fault: Fault | None = None,
        path: str | None = None,
        example: str | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Orders what becomes of the next calls, instead of what was pending.

        `next(code=503, times=2)` answers the next two calls with 503, `next(fault="reset", path=...)` resets the
        connection of the next call of that path. A body or headers make an answer of one's own.
        `next([{"code": 503}, {}, {"code": 429}])` is a list of orders, each for one call unless it says `times`;
        `next([])` clears what is pending.
        """
        order: Order = {
            "times": times,
            "code": code,
            "delay_ms": delay_ms,
            "fault": fault,
            "path": path,
            "example": example,
            "body": body,
            "headers": headers,
        }
        given = {key: value for key, value in order.items() if value is not None}
        if orders is not None and given != {"times": 1, "delay_ms": 0}:
            raise TypeError("next() takes a list of orders or the keys of one, not both")
        if orders is None:
            self._call("PUT", "next", given)
        elif isinstance(orders, Mapping) or orders:
            self._call("PUT", "next", orders)
        else:
            self._call("DELETE", "next")

    def advance(self, by: str | timedelta) -> None:
        """Moves the stub's clock forward, by `"2h"`, `"1w2d"` or a timedelta: tokens expire, throttles lift."""
        if isinstance(by, timedelta):
            by = f"{by // timedelta(milliseconds=1)}ms"
        self._call("POST", "clock", {"advance": by})

    def requests(
        self,
        *,
        path: str | None = None,
        method: str | None = None,
        status: int | None = None,
        username: str | None = None,
        since: int | None = None,
        wait: str | timedelta | None = None,
        count: int | None = None,
    ) -> list[Request]:
        """The last 1,000 requests to the API, oldest first: all, or those that fit.

        `since` leaves out those up to that number. `wait="2s"` waits until there is one, or `count` of them, for
        clients that call in the background; after that time the list has what there is.
        """
        if isinstance(wait, timedelta):
            wait = f"{wait // timedelta(milliseconds=1)}ms"
        query = {
            "path": path,
            "method": method,
            "status": status,
            "username": username,
            "since": since,
            "wait": wait,
            "count": count,
        }
        given = {key: value for key, value in query.items() if value is not None}
        answer = self._call("GET", "requests", query=given)
        return cast("list[Request]", answer["requests"])

    def _call(
        self,
        method: str,
        name: str,
        body: object = None,
        *,
        query: Mapping[str, object] | None = None,
    ) -> Any:
        path = f"/__stub/{name}/"
        if query:
            path += "?" + urllib.parse.urlencode(query)
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, content, {"Content-Type": "application/json"}, method=method
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                text = answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                text = refusal.read().decode(errors="replace")
            raise StubError(f"{method} {path} was answered {refusal.code}: {text}") from None
        except OSError as error:
            # Its sockets close a moment before it has ended.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
                raise StubError(f"the stub has ended; {shown(self._log)}") from None
            raise StubError(f"{method} {path} failed: {error}") from error
        return json.loads(text) if text else None


@contextmanager
def stub(
    fixture: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    flags: Sequence[str] = (),
    binary: str | os.PathLike[str] | None = None,
    start_timeout: float = 30,
) -> Iterator[Stub]:
    """Starts a stub on a free port, waits until it answers, and stops it at the end of the block.

    It also ends with this process, however that ends. Variables THANOS_LOGIN_… do not reach it.

    fixture: its accounts, as a file or as what is in one; by default those of the demo.
    flags: further ones of `thanos-login serve`, such as ["--token-ttl", "5m"].
    binary: a program to start instead of the one that was installed with this module.
    start_timeout: in seconds.
    """
    command = [os.fspath(binary or program()), "serve", "--demo", "--exit-with-parent"]
    command += ["--listen", "127.0.0.1:0"]
    with ExitStack() as stack:
        # It has no name, so nothing is left of it.
        log = stack.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace"))
        with ExitStack() as for_start:
            if isinstance(fixture, Mapping):
                file = for_start.enter_context(NamedTemporaryFile("w", suffix=".json"))
                json.dump(fixture, file)
                file.flush()
                fixture = file.name
            if fixture is not None:
                command += ["--fixture", os.fspath(fixture)]
            command += flags
            process = stack.enter_context(running(command, log))
            url = wait_for_url(process, start_timeout, log)
        yield Stub(url, process, log)
