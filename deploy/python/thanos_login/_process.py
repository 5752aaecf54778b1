"""The process of a stub: its start, its log and its end. Knows nothing of what it answers."""

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
# The prefix of the program's variables, each of which is a flag.
_VARIABLES = "THANOS_LOGIN_"


class StubError(RuntimeError):
    """The stub did not start, has ended, or refused what it was asked for: the message says why."""


@contextmanager
def running(command: Sequence[str], log: IO[str]) -> Iterator[subprocess.Popen[str]]:
    """Runs a command as long as the block; the end of a process that was forked in the block does not end it."""
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(_VARIABLES)
    }
    owner = os.getpid()
    try:
        process = subprocess.Popen(
            command,
            # Where a process cannot be watched, the stub ends with this pipe.
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            # Ctrl-C is for the tests, whose last steps need the stub.
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
    """The address in the line that says that it is ready."""
    assert process.stdout is not None
    too_long = threading.Timer(timeout, process.kill)
    too_long.start()
    try:
        line = process.stdout.readline()
        if line.startswith("listening on http"):
            return line.split()[-1]
        process.wait()
    finally:
        too_long.cancel()
    what = (
        f"was not ready after {timeout:g} s"
        if process.returncode == -signal.SIGKILL
        else f"ended with exit code {process.returncode}"
    )
    command = shlex.join(map(str, cast("Sequence[object]", process.args)))
    raise StubError(f"the stub {what}; {shown(log)}\nit was started with:\n{command}")


def shown(log: IO[str]) -> str:
    """What a stub that has ended logged, for a message."""
    log.seek(0)
    text = log.read().strip()
    return f"it logged:\n{text}" if text else "it logged nothing"
