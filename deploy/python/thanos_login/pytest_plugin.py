"""Fixtures for pytest, which loads this plugin automatically.

With pytest-xdist each worker process starts its own stub, so tests that run in parallel do not affect each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ._start import stub
from ._stub import Stub


@pytest.fixture(scope="session")
def thanos_stub_options() -> dict[str, Any]:
    """The arguments of `thanos_login.stub`. Override this fixture in conftest.py, for example to return {"fixture": "accounts.json"}."""
    return {}


@pytest.fixture(scope="session")
def thanos_stub(thanos_stub_options: dict[str, Any]) -> Iterator[Stub]:
    """A stub of the login call that runs for the whole session. It is not reset between tests."""
    with stub(**thanos_stub_options) as running:
        yield running


@pytest.fixture
def thanos_login(thanos_stub: Stub) -> Stub:
    """The stub of the session, reset: accounts, clock, instructions and the list of requests are as at its start."""
    thanos_stub.reset()
    return thanos_stub
