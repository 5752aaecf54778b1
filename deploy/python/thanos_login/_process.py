"""Starts and stops the process of a stub, and reads its log. Makes no calls to the stub."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, cast

_SECONDS_TO_STOP = 10
# The prefix of the environment variables that set flags of the program.
_VARIABLES = "THANOS_LOGIN_"


class StubError(RuntimeError):
    """The stub did not start, has ended, or rejected a call. The message gives the reason."""


@contextmanager
def running(command: Sequence[str], log: IO[str]) -> Iterator[subprocess.Popen[str]]:
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
            text=True,
            env=environment,
            # Ctrl-C must not reach the stub: the tests still need it to clean up.
            start_new_session=True,
        )
    except OSError as error:
        raise StubError(f"cannot start {command[0]}: {error.strerror}") from error
    try:
        yield process
    finally:
        if os.getpid() == owner:
            process.terminate()
            try:
                process.communicate(timeout=_SECONDS_TO_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def wait_for_url(process: subprocess.Popen[str], timeout: float, log: IO[str]) -> str:
    """Returns the URL from the line that the stub prints when it is ready.

    Kills the stub and raises StubError after `timeout` seconds.
    """
    assert process.stdout is not None
    timer = threading.Timer(timeout, process.kill)
    timer.start()
    try:
        line = process.stdout.readline()
        if line.startswith("listening on http"):
            return line.split()[-1]
        process.wait()
    finally:
        timer.cancel()
    failure = (
        f"was not ready after {timeout:g} s"
        if process.returncode == -signal.SIGKILL
        else f"ended with exit code {process.returncode}"
    )
    command = shlex.join(map(str, cast("Sequence[object]", process.args)))
    raise StubError(f"the stub {failure}; {quoted(log)}\nit was started with:\n{command}")


def quoted(log: IO[str]) -> str:
    """Quotes the log of a stub that has ended, for an error message."""
    log.seek(0)
    text = log.read().strip()
    return f"it logged:\n{text}" if text else "it logged nothing"
