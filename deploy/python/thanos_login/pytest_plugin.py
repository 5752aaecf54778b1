"""Fixtures for pytest, which finds them by itself.

A process of pytest-xdist has a stub of its own, so tests that run in parallel do not meet each other's orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ._stub import Stub, stub


@pytest.fixture(scope="session")
def thanos_stub_options() -> dict[str, Any]:
    """What `thanos_login.stub` is called with: override it in conftest.py, to return {"fixture": "accounts.json"} for instance."""
    return {}


@pytest.fixture(scope="session")
def thanos_stub(thanos_stub_options: dict[str, Any]) -> Iterator[Stub]:
    """A stub of the login call that runs as long as the tests do; nothing resets it between them."""
    with stub(**thanos_stub_options) as running:
        yield running


@pytest.fixture
def thanos_login(thanos_stub: Stub) -> Stub:
    """The stub of the session, reset: accounts, clock, orders and the list of requests are as at its start."""
    thanos_stub.reset()
    return thanos_stub
