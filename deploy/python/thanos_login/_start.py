"""Starts a stub, and stops it at the end of a `with` block."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ContextDecorator, ExitStack, contextmanager
from functools import partial
from tempfile import NamedTemporaryFile, TemporaryFile
from types import TracebackType
from typing import Any, Callable, Optional, Union

from ._json import to_json
from ._process import StubError, running, wait_for_url
from ._program import program
from ._stub import Stub

Fixture = Union[str, os.PathLike[str], Mapping[str, Any]]


class Block(ContextDecorator):
    """A `with` block in which a stub runs."""

    def __init__(self, run: Callable[[], AbstractContextManager[Stub]]) -> None:
        self._run = run
        self._entered: list[AbstractContextManager[Stub]] = []

    def __enter__(self) -> Stub:
        context = self._run()
        stub = context.__enter__()
        stub._context = context
        self._entered.append(context)
        return stub

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self._entered.pop().__exit__(kind, error, traceback)


def stub(
    fixture: Optional[Fixture] = None,
    *,
    flags: Iterable[str] = (),
    binary: Union[str, os.PathLike[str], None] = None,
    start_timeout: float = 30,
) -> Block:
    """Starts a stub on a free port, waits until it is ready, and stops it at the end of the block.

    The stub also ends when this process ends, in whatever way. It ignores environment variables THANOS_LOGIN_….

    fixture: the accounts, as the path of a JSON file or as its content; by default the demo accounts.
    flags: further flags of `thanos-login serve`, such as ["--token-ttl", "5m"].
    binary: the path of a program to start instead of the installed one.
    start_timeout: how long to wait until the stub is ready, in seconds.

    Raises StubError if the program is missing or the stub does not start, then with the stub's log.
    """
    if isinstance(flags, (str, bytes)):
        raise TypeError(f'flags takes a list such as ["--token-ttl", "5m"], not the text {flags!r}')
    return Block(partial(_run, fixture, list(map(str, flags)), binary, start_timeout))


@contextmanager
def _run(
    fixture: Optional[Fixture],
    flags: list[str],
    binary: Union[str, os.PathLike[str], None],
    start_timeout: float,
) -> Iterator[Stub]:
    with ExitStack() as stack:
        try:
            command = [os.fspath(binary or program()), "serve", "--demo", "--exit-with-parent"]
            command += ["--listen", "127.0.0.1:0"]
            # The file has no name, so it cannot be left behind.
            log = stack.enter_context(TemporaryFile("w+", encoding="utf-8", errors="replace"))
            with ExitStack() as start:
                if isinstance(fixture, Mapping):
                    file = start.enter_context(NamedTemporaryFile("w", suffix=".json"))
                    file.write(to_json(fixture))
                    file.flush()
                    fixture = file.name
                if fixture is not None:
                    command += ["--fixture", os.fspath(fixture)]
                command += flags
                process = stack.enter_context(running(command, log))
                url = wait_for_url(process, start_timeout, log)
        except OSError as error:
            raise StubError(f"cannot start the stub: {error}") from error
        yield Stub(url, process, log)
