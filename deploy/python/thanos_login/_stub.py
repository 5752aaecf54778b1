"""A stub that runs until the end of a `with` block, and the calls that steer it."""

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

from ._process import StubError, quoted, running, wait_for_url
from ._program import program

Fault = Literal["reset", "empty", "cut", "garbage"]
"""A fault of the connection, injected in place of an intact answer.

`reset` resets the connection, `empty` closes it without an answer, `cut` closes it in the middle of
the body, and `garbage` sends bytes that are not HTTP.
"""

# Longer than any call: the longest is `requests`, which waits for up to 60 s.
_TIMEOUT_SECONDS = 90


class Instruction(TypedDict, total=False):
    """How to answer the next requests. All keys are optional; `{}` leaves one request alone."""

    times: int
    """How many requests the instruction is for; 1 by default."""
    code: int | None
    """The status of the answer, from 200 to 599, with its documented body unless `body` is given."""
    delay_ms: int
    """Milliseconds to wait before the answer, at most 60,000."""
    fault: Fault | None
    """The fault to inject."""
    path: str | None
    """Applies the instruction only to requests with this path."""
    example: str | None
    """Which documented example of the answer to send."""
    body: Any
    """A custom body: JSON, or a text that is sent unchanged."""
    headers: Mapping[str, str] | None
    """Custom headers. Without `code` and `body` they are added to the real answer."""


class Answer(TypedDict):
    """An answer of the stub, without secrets."""

    headers: dict[str, str]
    body: str


class Request(TypedDict):
    """A request that the stub received, and its answer, without secrets."""

    number: int
    """Counts up from 1. A number is never used again."""
    time: str
    """When the request arrived, by the stub's clock, in RFC 3339 format."""
    method: str
    path: str
    """The path with its query."""
    headers: dict[str, str]
    body: str
    username: str | None
    """The username of a login."""
    password: Literal["right", "wrong", "missing"] | None
    """The password of a login, checked even if the answer was forced; None for other calls."""
    token: Literal["valid", "expired", "unknown", "none"]
    """The state of the request's token; `none` without one."""
    token_user: str | None
    """The user that the token belongs to."""
    status: int
    """The status of the answer."""
    duration_ms: float
    """How long the stub took to answer, in milliseconds."""
    answer: Answer
    code: int | None
    """The status that was forced."""
    delay_ms: int
    """The delay that was instructed, in milliseconds."""
    fault: Fault | None
    """The fault that was injected."""
    repeats: int
    """How often the fault was injected again because the client retried silently."""
    delivered: bool | None
    """Whether the client received the whole answer; None while it is being sent."""


class Stub:
    """A running stub. Start one with `stub`.

    Its methods raise StubError if the stub rejects a call, does not answer, or has ended.
    """

    url: str
    """The address of the stub, such as http://127.0.0.1:40123, without a slash at the end."""

    def __init__(self, url: str, process: subprocess.Popen[bytes], log: IO[str]) -> None:
        self.url = url
        self._process = process
        self._log = log
        # The stub runs on this machine: bypass proxies, and accept its self-signed certificate.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    def __repr__(self) -> str:
        return f"<thanos_login.Stub {self.url}>"

    def reset(self) -> None:
        """Restores the state at the start: accounts, tokens, clock, instructions, and the list of requests."""
        self._call("POST", "reset")

    def next(
        self,
        instructions: Instruction | Sequence[Instruction] | None = None,
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
        """Sets how to answer the next requests, and replaces all pending instructions.

        `next(code=503, times=2)` answers the next two requests with 503. `next(fault="reset", path=...)` resets the
        connection of the next request with this path. `body` and `headers` define a custom answer.
        `next([{"code": 503}, {}, {"code": 429}])` sets a list of instructions, each for one request unless it has
        `times`. `next([])` removes the pending instructions. `Instruction` describes the keys.

        Raises TypeError if both a list and keys are given.
        """
        instruction: Instruction = {
            "times": times,
            "code": code,
            "delay_ms": delay_ms,
            "fault": fault,
            "path": path,
            "example": example,
            "body": body,
            "headers": headers,
        }
        given = {key: value for key, value in instruction.items() if value is not None}
        if instructions is not None and given != {"times": 1, "delay_ms": 0}:
            raise TypeError("next() takes a list of instructions or the keys of one, not both")
        if instructions is None:
            self._call("PUT", "next", given)
        elif isinstance(instructions, Mapping) or instructions:
            self._call("PUT", "next", instructions)
        else:
            self._call("DELETE", "next")

    def advance(self, by: str | timedelta) -> None:
        """Moves the stub's clock forward, by a duration such as `"2h"` or `"1w2d"`, or by a timedelta.

        Tokens expire, and limits on failed logins end.
        """
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
        """Returns the requests that match all arguments, of the last 1,000 to the API, oldest first.

        `since` selects requests with a greater number. `wait`, a duration such as `"2s"` or a timedelta of at most
        60 s, waits until there is a match, or until there are `count` of them, for clients that call in the
        background; when the time is over, returns the matches until then. `count` requires `wait`.
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
            # The stub closes its sockets shortly before it ends.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
                raise StubError(f"the stub has ended; {quoted(self._log)}") from None
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
    """Starts a stub on a free port, waits until it is ready, and stops it at the end of the block.

    The stub also ends when this process ends, in whatever way. It ignores environment variables THANOS_LOGIN_….

    fixture: the accounts, as the path of a JSON file or as its content; by default the demo accounts.
    flags: further flags of `thanos-login serve`, such as ["--token-ttl", "5m"].
    binary: the path of a program to start instead of the installed one.
    start_timeout: how long to wait until the stub is ready, in seconds.

    Raises StubError, with the stub's log, if the stub does not start; FileNotFoundError if the program is missing.
    """
    command = [os.fspath(binary or program()), "serve", "--demo", "--exit-with-parent"]
    command += ["--listen", "127.0.0.1:0"]
    with ExitStack() as stack:
        # The file has no name, so it cannot be left behind.
        log = stack.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace"))
        with ExitStack() as start:
            if isinstance(fixture, Mapping):
                file = start.enter_context(NamedTemporaryFile("w", suffix=".json"))
                json.dump(fixture, file)
                file.flush()
                fixture = file.name
            if fixture is not None:
                command += ["--fixture", os.fspath(fixture)]
            command += flags
            process = stack.enter_context(running(command, log))
            url = wait_for_url(process, start_timeout, log)
        yield Stub(url, process, log)
