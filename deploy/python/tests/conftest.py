import os

import pytest

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def support_for_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs and runs of pytest that a test starts can import `support` too."""
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__), prepend=os.pathsep)
