"""Writes what the caller gave as JSON, with any kind of mapping and iterable in it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping


def to_json(value: object) -> str:
    """Returns the JSON of a value. Raises TypeError if it contains something that JSON cannot represent."""
    return json.dumps(value, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    raise TypeError(f"JSON has no {type(value).__name__}: use a text, a number, a list or a dict")
