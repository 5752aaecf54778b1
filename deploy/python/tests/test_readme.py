"""Runs the examples of the README unchanged."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import ACCOUNTS

PAGE = Path(__file__).parents[1].joinpath("README.md").read_text(encoding="utf-8")
TESTS, OPTIONS, WITHOUT_PYTEST = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("workers", ["0", "4"])
def test_the_example_tests_pass(pytester: pytest.Pytester, workers: str) -> None:
    pytest.importorskip("requests")
    pytest.importorskip("xdist")
    pytester.makepyfile(TESTS)
    pytester.runpytest_subprocess("-n", workers).assert_outcomes(passed=2)


def test_the_example_options_are_used(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("accounts.json").write_text(json.dumps(ACCOUNTS))
    pytester.makeconftest(OPTIONS)
    pytester.makepyfile(
        """
        from support import ANN, log_in, organization

        def test_the_account_exists(thanos_login):
            token = log_in(thanos_login.url, ANN).body["auth_token"]
            thanos_login.advance("5m")
            assert organization(thanos_login.url, token) == 401
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_example_without_pytest_starts_a_stub() -> None:
    command = [sys.executable, "-c", WITHOUT_PYTEST]
    printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+\n", printed)
