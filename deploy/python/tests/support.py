"""A client of the login call, and helpers for processes."""

from __future__ import annotations

import json
import os
import select
import urllib.error
import urllib.request
from typing import Any, NamedTuple

import thanos_login

SUPPLIER = ("supplier@projectthanos.com", "thanossupplies")
ANN = ("ann@corner.example", "a long and secret sentence")
ACCOUNTS = {
    "organizations": [
        {
            "name": "Corner Shop",
            "org_type": "RETAILER",
            "users": [{"username": ANN[0], "password": ANN[1]}],
        }
    ]
}


class ClientAnswer(NamedTuple):
    """An answer as a client receives it; the body is parsed if it is JSON."""

    status: int
    body: Any
    headers: dict[str, str]


def call(
    url: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> ClientAnswer:
    content = None if body is None else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url + path, content, fields)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=60) as answer:
            status, text, received = answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            status, text, received = error.code, error.read().decode(), dict(error.headers)
    try:
        return ClientAnswer(status, json.loads(text), received)
    except ValueError:
        return ClientAnswer(status, text, received)


def log_in(url: str, user: tuple[str, str] = SUPPLIER) -> ClientAnswer:
    username, password = user
    return call(url, "/api/organizations/user-login/", {"username": username, "password": password})


def organization(url: str, token: str) -> int:
    """Requests the organization of the token's user; returns the status of the answer."""
    return call(url, "/api/organizations/", headers={"Authorization": f"Token {token}"}).status


def pid(stub: thanos_login.Stub) -> int:
    return stub._process.pid


def assert_ends(process: int) -> None:
    """Waits until a process, which need not be a child of this one, has ended."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], 60)[0], f"process {process} is still running"
    finally:
        os.close(descriptor)
