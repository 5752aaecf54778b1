"""Tests of the fixtures, in separate runs of pytest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support import assert_ends

ISOLATED = """
    from support import log_in

    urls = set()

    def test_one_changes_the_state(thanos_login):
        thanos_login.next(code=503, times=9)
        thanos_login.advance("1d")
        assert log_in(thanos_login.url).status == 503
        urls.add(thanos_login.url)

    def test_another_starts_from_a_reset_stub(thanos_login, thanos_stub):
        assert thanos_login is thanos_stub
        assert thanos_login.requests() == []
        assert log_in(thanos_login.url).status == 200
        assert urls == {thanos_login.url}

    def test_the_stub_of_the_session_is_not_reset(thanos_stub):
        assert [entry["status"] for entry in thanos_stub.requests()] == [200]
"""

# Records the stub of each worker process of pytest-xdist.
RECORDING = """
    import pytest
    from support import log_in, pid

    @pytest.mark.parametrize("number", range(8))
    def test_one(number, thanos_login, worker_id):
        thanos_login.next(code=503)
        assert [log_in(thanos_login.url).status for _ in range(2)] == [503, 200]
        assert len(thanos_login.requests()) == 2
        with open({seen!r}, "a") as seen:
            seen.write(f'["{{worker_id}}", "{{thanos_login.url}}", {{pid(thanos_login)}}]\\n')
"""


def test_the_stub_is_reset_before_each_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(ISOLATED)
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_pytest_lists_the_fixtures_with_their_purpose(pytester: pytest.Pytester) -> None:
    shown = pytester.runpytest_subprocess("--fixtures", "-p", "no:xdist").stdout
    shown.fnmatch_lines(["thanos_stub_options *session*", "    The arguments of*"])
    shown.fnmatch_lines(["thanos_stub *session*", "    A stub of the login call*"])
    shown.fnmatch_lines(["thanos_login *", "    The stub of the session, reset*"])


def test_a_project_overrides_the_options(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def thanos_stub_options():
            return {"fixture": {"organizations": []}, "flags": ["--token-ttl", "5m"]}
        """
    )
    pytester.makepyfile(
        """
        from support import log_in

        def test_there_are_no_accounts(thanos_login):
            assert log_in(thanos_login.url).status == 401
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_stub_that_does_not_start_fails_the_test_with_its_log(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def thanos_stub_options():
            return {"flags": ["--nonsense"]}
        """
    )
    pytester.makepyfile("def test_one(thanos_login): pass")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*StubError: the stub ended with exit code 2; it logged:"])
    result.stdout.fnmatch_lines(["*unexpected argument '--nonsense'*"])


def test_no_stub_is_started_if_no_test_uses_one(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def thanos_stub_options():
            return {"binary": "/nowhere"}
        """
    )
    pytester.makepyfile("def test_one(): pass")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_each_worker_process_of_xdist_has_a_separate_stub(
    pytester: pytest.Pytester, tmp_path: Path
) -> None:
    pytest.importorskip("xdist")
    seen = tmp_path / "seen"
    pytester.makepyfile(RECORDING.format(seen=str(seen)))
    pytester.runpytest_subprocess("-n", "4").assert_outcomes(passed=8)
    rows = [json.loads(line) for line in seen.read_text().splitlines()]
    by_worker = {worker: (url, process) for worker, url, process in rows}
    assert sorted(by_worker) == ["gw0", "gw1", "gw2", "gw3"]
    assert len(set(by_worker.values())) == 4
    assert all(by_worker[worker] == (url, process) for worker, url, process in rows)
    for _, process in by_worker.values():
        assert_ends(process)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_run_leaves_no_stub_behind(
    pytester: pytest.Pytester, tmp_path: Path, workers: int
) -> None:
    if workers:
        pytest.importorskip("xdist")
    path = tmp_path / "stubs"
    os.mkfifo(path)
    pytester.makepyfile(
        f"""
        import pytest
        from support import pid

        @pytest.mark.parametrize("number", range({max(workers, 1)}))
        def test_one(number, thanos_login):
            with open({str(path)!r}, "w") as stubs:
                stubs.write(f"{{pid(thanos_login)}}\\n")
            thanos_login.requests(wait="60s", count=1000)
        """
    )
    command = [sys.executable, "-m", "pytest", "-q", *(["-n", str(workers)] if workers else [])]
    # Open for writing too, so that reading does not end when a writer closes the pipe.
    with (
        open(os.open(path, os.O_RDWR)) as stubs,
        subprocess.Popen(command, cwd=pytester.path, stdout=subprocess.DEVNULL) as run,
    ):
        processes = [int(stubs.readline()) for _ in range(max(workers, 1))]
        os.kill(run.pid, signal.SIGKILL)
    for process in processes:
        assert_ends(process)
