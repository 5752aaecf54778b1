import os

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def support_in_subprocesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the subprocesses of a test, such as other runs of pytest, import `support`."""
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__), prepend=os.pathsep)
