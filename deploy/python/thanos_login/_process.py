"""Starts and stops the process of a stub, and reads its log. Makes no calls to the stub."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, cast

_SECONDS_TO_STOP = 10
# How often to check whether the stub has ended while another process keeps its output open.
_SECONDS_BETWEEN_CHECKS = 0.1
# The prefix of the environment variables that set flags of the program.
_VARIABLES = "THANOS_LOGIN_"


class StubError(RuntimeError):
    """The stub did not start, has ended, or rejected a call. The message gives the reason."""


@contextmanager
def running(command: Sequence[str], log: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command until the block ends.

    If the block forks, the command keeps running when the child process leaves the block.
    The command's environment has no variables THANOS_LOGIN_…; its standard error goes to `log`.
    """
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(_VARIABLES)
    }
    owner = os.getpid()
    try:
        process = subprocess.Popen(
            command,
            # Where the stub cannot watch this process, it ends when this pipe is closed.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            # Ctrl-C must not reach the stub: the tests still need it to clean up.
            start_new_session=True,
            env=environment,
        )
    except OSError as error:
        raise StubError(f"cannot start {command[0]}: {error.strerror}") from error
    try:
        yield process
    finally:
        if os.getpid() == owner:
            # Closes the pipes, without reading them: other processes may keep them open.
            with process:
                _stop(process)


def wait_for_url(process: subprocess.Popen[bytes], timeout: float, log: IO[str]) -> str:
    """Returns the URL from the line that the stub prints when it is ready.

    Kills the stub and raises StubError after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    line = _first_line(process, deadline)
    if line.startswith("listening on http"):
        return line.split()[-1]
    try:
        code = process.wait(max(deadline - time.monotonic(), 0))
        failure = f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"
    except subprocess.TimeoutExpired:
        failure = f"was not ready after {timeout:g} s"
    _signal_all(process, signal.SIGKILL)
    command = shlex.join(map(str, cast("Sequence[object]", process.args)))
    raise StubError(f"the stub {failure}; {quoted(log)}\nit was started with:\n{command}")


def quoted(log: IO[str]) -> str:
    """Quotes the log of a stub that has ended, for an error message."""
    if log.closed:
        return "its block has ended too"
    log.seek(0)
    text = log.read().strip()
    return f"it logged:\n{text}" if text else "it logged nothing"


def _first_line(process: subprocess.Popen[bytes], deadline: float) -> str:
    """Reads up to the end of a line, of the output, or of the process, but not after the deadline."""
    assert process.stdout is not None
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n") and time.monotonic() < deadline:
            if selector.select(_SECONDS_BETWEEN_CHECKS):
                byte = os.read(process.stdout.fileno(), 1)
                if not byte:
                    break
                line += byte
            elif process.poll() is not None:
                break
    return line.decode(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    # When the process has been waited for, its number may be that of another one.
    if process.returncode is not None:
        return
    _signal_all(process, signal.SIGTERM)
    try:
        process.wait(_SECONDS_TO_STOP)
    except subprocess.TimeoutExpired:
        _signal_all(process, signal.SIGKILL)


def _signal_all(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signals the process and those that it started, if the binary is a script."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
