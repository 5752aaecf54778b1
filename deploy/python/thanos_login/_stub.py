"""A running stub, and the calls that steer it. Does not start it."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from typing import IO, Any, Literal, Optional, TypedDict, Union, cast

from ._json import to_json
from ._process import StubError, quoted

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
    code: Optional[int]
    """The status of the answer, from 200 to 599, with its documented body unless `body` is given."""
    delay_ms: int
    """Milliseconds to wait before the answer, at most 60,000."""
    fault: Optional[Fault]
    """The fault to inject."""
    path: Optional[str]
    """Applies the instruction only to requests with this path."""
    example: Optional[str]
    """Which documented example of the answer to send."""
    body: Any
    """A custom body: JSON, or a text that is sent unchanged."""
    headers: Optional[Mapping[str, str]]
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
    username: Optional[str]
    """The username of a login."""
    password: Optional[Literal["right", "wrong", "missing"]]
    """The password of a login, checked even if the answer was forced; None for other calls."""
    token: Literal["valid", "expired", "unknown", "none"]
    """The state of the request's token; `none` without one."""
    token_user: Optional[str]
    """The user that the token belongs to."""
    status: int
    """The status of the answer."""
    duration_ms: float
    """How long the stub took to answer, in milliseconds."""
    answer: Answer
    code: Optional[int]
    """The status that was forced."""
    delay_ms: int
    """The delay that was instructed, in milliseconds."""
    fault: Optional[Fault]
    """The fault that was injected."""
    repeats: int
    """How often the fault was injected again because the client retried silently."""
    delivered: Optional[bool]
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
        # What ends the stub when it is deleted, so it must live as long as this object.
        self._context: Optional[AbstractContextManager[Stub]] = None
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
        instructions: Union[Instruction, Iterable[Instruction], None] = None,
        /,
        *,
        times: int = 1,
        code: Optional[int] = None,
        delay_ms: int = 0,
        fault: Optional[Fault] = None,
        path: Optional[str] = None,
        example: Optional[str] = None,
        body: Any = None,
        headers: Optional[Mapping[str, str]] = None,
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
        content = to_json(given if instructions is None else instructions)
        if content == "[]":
            self._call("DELETE", "next")
        else:
            self._call("PUT", "next", content)

    def advance(self, by: Union[str, timedelta]) -> None:
        """Moves the stub's clock forward, by a duration such as `"2h"` or `"1w2d"`, or by a timedelta.

        Tokens expire, and limits on failed logins end.
        """
        if isinstance(by, timedelta):
            by = f"{by // timedelta(milliseconds=1)}ms"
        self._call("POST", "clock", to_json({"advance": by}))

    def requests(
        self,
        *,
        path: Optional[str] = None,
        method: Optional[str] = None,
        status: Optional[int] = None,
        username: Optional[str] = None,
        since: Optional[int] = None,
        wait: Union[str, timedelta, None] = None,
        count: Optional[int] = None,
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
        content: Optional[str] = None,
        *,
        query: Optional[Mapping[str, object]] = None,
    ) -> Any:
        path = f"/__stub/{name}/"
        if query:
            path += "?" + urllib.parse.urlencode(query)
        call = f"{method} {path}"
        if self._log.closed:
            raise StubError(f"{call} failed: the stub was stopped at the end of its block")
        request = urllib.request.Request(
            self.url + path,
            None if content is None else content.encode(),
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            status, text = self._send(request)
            if status < 300:
                return json.loads(text) if text else None
        # ValueError: the answer is not JSON.
        except (OSError, http.client.HTTPException, ValueError) as error:
            # The stub closes its sockets shortly before it ends.
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
                raise StubError(f"the stub has ended; {quoted(self._log)}") from None
            raise StubError(f"{call} failed: {error!r}") from error
        raise StubError(f"{call} was answered {status}: {text.decode(errors='replace')}")

    def _send(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with self._opener.open(request, timeout=_TIMEOUT_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, refusal.read()
