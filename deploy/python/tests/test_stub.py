"""Tests of the context manager `stub` and of the methods of `Stub`."""

from __future__ import annotations

import gc
import http.client
import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import typing
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from support import ACCOUNTS, ANN, SUPPLIER, assert_ends, call, log_in, organization, pid

import thanos_login
from thanos_login import Stub, StubError, stub


def test_a_login_is_answered(thanos_login: Stub) -> None:
    answer = log_in(thanos_login.url)
    assert (answer.status, answer.body["org_type"]) == (200, "SUPPLIER")
    assert log_in(thanos_login.url, (SUPPLIER[0], "wrong")).status == 401


def test_instructions_are_used_in_sequence(thanos_login: Stub) -> None:
    thanos_login.next(code=503, times=2)
    assert [log_in(thanos_login.url).status for _ in range(3)] == [503, 503, 200]
    thanos_login.next([{"code": 503}, {}, {"code": 429}])
    assert [log_in(thanos_login.url).status for _ in range(4)] == [503, 200, 429, 200]


def test_instructions_are_replaced_and_removed(thanos_login: Stub) -> None:
    thanos_login.next(code=503)
    thanos_login.next(code=429)
    assert [log_in(thanos_login.url).status for _ in range(2)] == [429, 200]
    thanos_login.next({"code": 503})
    assert log_in(thanos_login.url).status == 503
    thanos_login.next(code=503)
    thanos_login.next([])
    assert log_in(thanos_login.url).status == 200


def test_an_instruction_can_be_for_one_path(thanos_login: Stub) -> None:
    thanos_login.next(code=503, path="/api/organizations/")
    token = log_in(thanos_login.url).body["auth_token"]
    assert [organization(thanos_login.url, token) for _ in range(2)] == [503, 200]


def test_an_answer_can_be_custom(thanos_login: Stub) -> None:
    thanos_login.next(code=502, body="<p>Bad gateway</p>", headers={"Content-Type": "text/html"})
    answer = log_in(thanos_login.url)
    assert (answer.status, answer.body) == (502, "<p>Bad gateway</p>")
    assert answer.headers["Content-Type"] == "text/html"
    bodies: list[Any] = [{"a": [1, None]}, [], 0, False]
    for body in bodies:
        thanos_login.next(body=body)
        assert log_in(thanos_login.url)[:2] == (200, body)


def test_examples_faults_and_delays_can_be_instructed(thanos_login: Stub) -> None:
    thanos_login.next(code=400, example="blank", delay_ms=1)
    assert log_in(thanos_login.url).status == 400
    [entry] = thanos_login.requests()
    assert (entry["code"], entry["delay_ms"]) == (400, 1)
    thanos_login.next(fault="garbage")
    with pytest.raises(http.client.BadStatusLine, match="garbage"):
        log_in(thanos_login.url)
    assert thanos_login.requests()[-1]["fault"] == "garbage"


def test_a_rejected_call_raises_an_error_with_the_reason_of_the_stub(thanos_login: Stub) -> None:
    with pytest.raises(StubError, match=r'PUT /__stub/next/ was answered 400: .*"code":.*599'):
        thanos_login.next(code=77)
    with pytest.raises(StubError, match=r'"fault":.*reset, empty'):
        thanos_login.next(fault="unknown")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="not both"):
        thanos_login.next([{"code": 503}], times=2)
    with pytest.raises(StubError, match=r"/__stub/clock/ was answered 400"):
        thanos_login.advance("soon")
    with pytest.raises(StubError, match=r'"count":.*wait'):
        thanos_login.requests(count=2)


@pytest.mark.parametrize("by", ["2h", timedelta(hours=2)])
def test_a_token_expires_when_the_clock_moves(thanos_login: Stub, by: str | timedelta) -> None:
    token = log_in(thanos_login.url).body["auth_token"]
    assert organization(thanos_login.url, token) == 200
    thanos_login.advance(by)
    assert organization(thanos_login.url, token) == 401
    assert thanos_login.requests()[-1]["token"] == "expired"


def test_requests_are_listed_and_filtered(thanos_login: Stub) -> None:
    log_in(thanos_login.url)
    log_in(thanos_login.url, (SUPPLIER[0], "wrong"))
    organization(thanos_login.url, "0")
    entries = thanos_login.requests()
    assert [entry["status"] for entry in entries] == [200, 401, 401]
    assert [entry["password"] for entry in entries] == ["right", "wrong", None]
    assert entries[0]["username"] == SUPPLIER[0]
    assert [entry["token"] for entry in entries] == ["none", "none", "unknown"]
    assert thanos_login.requests(username=SUPPLIER[0], status=401) == entries[1:2]
    assert thanos_login.requests(path="/api/organizations/", method="GET") == entries[2:]
    assert thanos_login.requests(since=entries[1]["number"]) == entries[2:]
    assert thanos_login.requests(wait="60s", count=3) == entries
    assert thanos_login.requests(status=503, wait=timedelta(milliseconds=1)) == []


def test_a_reset_restores_the_state_at_the_start(thanos_login: Stub) -> None:
    token = log_in(thanos_login.url).body["auth_token"]
    thanos_login.next(code=503)
    thanos_login.advance("1h")
    thanos_login.reset()
    assert thanos_login.requests() == []
    assert call(thanos_login.url, "/__stub/clock/").body["advanced_seconds"] == 0
    assert organization(thanos_login.url, token) == 401
    assert log_in(thanos_login.url).status == 200


def test_a_fixture_can_be_a_dictionary_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "accounts.json"
    file.write_text(json.dumps(ACCOUNTS))
    for fixture in (ACCOUNTS, file, str(file)):
        with stub(fixture) as one:
            assert log_in(one.url).status == 401
            one.reset()
            assert log_in(one.url, ANN).status == 200


def test_flags_are_passed_to_serve() -> None:
    with stub(flags=["--token-ttl", "5m"]) as one:
        token = log_in(one.url).body["auth_token"]
        one.advance("5m")
        assert organization(one.url, token) == 401


def test_a_stub_with_tls_follows_instructions() -> None:
    with stub(flags=["--tls-self-signed", "localhost"]) as one:
        assert one.url.startswith("https://127.0.0.1:")
        one.next(code=503)
        one.reset()


def test_environment_variables_have_no_effect_on_the_stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THANOS_LOGIN_DB", "/nowhere/accounts.db")
    monkeypatch.setenv("THANOS_LOGIN_LISTEN", "192.0.2.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with stub() as one:
        one.reset()
        assert log_in(one.url).status == 200


def test_the_error_of_a_failed_start_contains_the_log(tmp_path: Path) -> None:
    with pytest.raises(StubError) as error, stub(flags=["--nonsense"]):
        pytest.fail("it started")
    assert "ended with exit code 2; it logged:" in str(error.value)
    assert "--nonsense" in str(error.value).split("it was started with:")[0]
    with (
        pytest.raises(StubError, match="nowhere.json: cannot read the fixture"),
        stub(tmp_path / "nowhere.json"),
    ):
        pytest.fail("it started")
    with (
        pytest.raises(StubError, match=r"organizations\[0\].org_type: expected RETAILER"),
        stub({"organizations": [{"name": "Corner Shop", "org_type": "SHOP", "users": []}]}),
    ):
        pytest.fail("it started")
    with (
        pytest.raises(StubError, match="cannot start /nowhere: No such file or directory"),
        stub(binary="/nowhere"),
    ):
        pytest.fail("it started")


def test_a_start_times_out(tmp_path: Path) -> None:
    silent = tmp_path / "silent"
    silent.write_text("#!/bin/sh\necho not yet >&2\nexec sleep 1000\n")
    silent.chmod(0o755)
    with (
        pytest.raises(StubError, match="was not ready after 0.5 s"),
        stub(binary=silent, start_timeout=0.5),
    ):
        pytest.fail("it started")


def script(path: Path, commands: str) -> Path:
    path.write_text(f"#!/bin/sh\n{commands}\n")
    path.chmod(0o755)
    return path


def test_a_process_that_keeps_the_output_open_does_not_delay_the_error(tmp_path: Path) -> None:
    # `cat` ends when this test closes the pipe.
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with open(os.open(pipe, os.O_RDWR), "w"):
        binary = script(tmp_path / "binary", f"exec 3<'{pipe}'\nsetsid cat <&3 &\nexit 3")
        with pytest.raises(StubError, match="ended with exit code 3"), stub(binary=binary):
            pytest.fail("it started")


def test_a_failed_start_leaves_no_process_of_a_script_behind(tmp_path: Path) -> None:
    number = tmp_path / "number"
    binary = script(tmp_path / "binary", f"sleep 1000 &\necho $! >'{number}'\nexit 3")
    with pytest.raises(StubError, match="ended with exit code 3"), stub(binary=binary):
        pytest.fail("it started")
    assert_ends(int(number.read_text()))


def test_a_stub_that_is_killed_during_its_start_is_not_said_to_be_slow(tmp_path: Path) -> None:
    binary = script(tmp_path / "binary", "kill -9 $$")
    with pytest.raises(StubError, match="the stub was ended by signal 9"), stub(binary=binary):
        pytest.fail("it started")


def test_a_missing_program_is_a_stub_error(tmp_path: Path) -> None:
    package = Path(thanos_login.__file__).parent
    shutil.copytree(package, tmp_path / "modules" / package.name)
    # Without the module `site`, the installed package is not found.
    result = subprocess.run(
        [sys.executable, "-S", "-c", "import thanos_login\nwith thanos_login.stub(): pass"],
        env={"PATH": "/nowhere", "PYTHONPATH": str(tmp_path / "modules")},
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert "\nthanos_login._process.StubError: cannot start the stub: the program" in result.stderr
    assert result.stderr.endswith("`pip install --force-reinstall thanos-login`\n")


def test_a_missing_directory_for_temporary_files_is_a_stub_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(StubError, match="cannot start the stub: .*'/nowhere"), stub():
        pytest.fail("it started")


def test_flags_must_be_a_list() -> None:
    with pytest.raises(TypeError, match=r'a list such as \["--token-ttl", "5m"\]'):
        stub(flags="--token-ttl 5m")


def test_any_mapping_and_iterable_is_accepted(thanos_login: Stub) -> None:
    instruction = MappingProxyType({"code": 503, "headers": MappingProxyType({"X-A": "b"})})
    instructions: Any = (instruction for _ in range(2))
    thanos_login.next(instructions)
    answers = [log_in(thanos_login.url) for _ in range(3)]
    assert [answer.status for answer in answers] == [503, 503, 200]
    assert answers[0].headers["X-A"] == "b"
    thanos_login.next(body=MappingProxyType({"a": (number for number in range(2))}))
    assert log_in(thanos_login.url).body == {"a": [0, 1]}
    thanos_login.next(code=503)
    thanos_login.next(iter([]))
    assert log_in(thanos_login.url).status == 200
    with pytest.raises(TypeError, match="JSON has no bytes"):
        thanos_login.next(body=b"text")
    accounts = MappingProxyType(
        {"organizations": iter(map(MappingProxyType, ACCOUNTS["organizations"]))}
    )
    with stub(accounts, flags=(flag for flag in ["--token-ttl", "5m"])) as one:
        assert log_in(one.url, ANN).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\n{",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{",
        "not HTTP\r\n\r\n",
        "",
    ],
)
def test_a_broken_answer_is_a_stub_error(answer: str) -> None:
    with stub() as one, socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as request:
                while request.readline().strip():
                    pass
                connection.sendall(answer.encode())

        one.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(StubError, match="GET /__stub/requests/ failed: "):
            one.requests()
        thread.join()


def test_a_stub_runs_as_long_as_it_is_in_use() -> None:
    one = stub().__enter__()
    gc.collect()
    one.reset()
    process = pid(one)
    del one
    gc.collect()
    assert_ends(process)


def test_a_block_can_be_nested_and_be_a_decorator() -> None:
    block = stub()
    with block as outer:
        with block as inner:
            assert inner.url != outer.url
        outer.reset()

    @block
    def decorated() -> int:
        return 5

    assert decorated() == 5


def test_a_call_after_the_block_is_a_stub_error() -> None:
    with stub() as one:
        pass
    with pytest.raises(StubError, match="POST /__stub/reset/ failed: the stub was stopped"):
        one.reset()


def test_the_public_types_can_be_evaluated() -> None:
    for name in thanos_login.__all__:
        value = getattr(thanos_login, name)
        if isinstance(value, type) or inspect.isfunction(value):
            typing.get_type_hints(value)
    for _, method in inspect.getmembers(Stub, inspect.isfunction):
        typing.get_type_hints(method)


def test_the_error_of_a_call_to_an_ended_stub_contains_the_log() -> None:
    with stub() as one:
        os.kill(pid(one), signal.SIGTERM)
        assert_ends(pid(one))
        with pytest.raises(StubError, match=r"(?s)the stub has ended; it logged:\n.*stopped"):
            one.reset()


def test_a_stub_ends_with_its_block() -> None:
    with pytest.raises(ZeroDivisionError), stub() as one:
        raise ZeroDivisionError
    assert one._process.returncode == 0


def test_the_end_of_a_forked_process_does_not_end_the_stub() -> None:
    with stub() as one:
        child = subprocess.run(
            [sys.executable, "-c", FORKING], stdout=subprocess.PIPE, text=True, check=True
        )
        assert child.stdout == "left\n200\n"
        one.reset()


# Forks, and so runs in a separate process without threads.
FORKING = """
import os
from support import log_in
from thanos_login import stub
with stub() as one:
    parent = os.getpid()
    if os.fork():
        os.wait()
        print(log_in(one.url).status, flush=True)
if os.getpid() != parent:
    print("left", flush=True)
    os._exit(0)
"""

STARTING = """
import sys
from support import pid
from thanos_login import stub
with stub() as one:
    try:
        print(pid(one), flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        one.reset()
        print("reset", flush=True)
"""


def test_a_killed_process_leaves_no_stub_behind() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        stub_process = int(process.stdout.readline())
        process.kill()
    assert_ends(stub_process)


def test_an_interrupt_from_the_terminal_does_not_end_the_stub() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        stub_process = int(process.stdout.readline())
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "reset\n"
    assert process.returncode == 0
    assert_ends(stub_process)


def test_the_program_and_the_module_are_the_same_command() -> None:
    path = thanos_login.program()
    version = subprocess.run([path, "--version"], stdout=subprocess.PIPE, text=True, check=True)
    assert version.stdout.startswith("thanos-login ")
    by_module = [sys.executable, "-m", "thanos_login", "--version"]
    assert (
        subprocess.run(by_module, stdout=subprocess.PIPE, text=True, check=True).stdout
        == version.stdout
    )


def test_the_program_is_found_when_it_is_not_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with stub() as one:
        one.reset()
