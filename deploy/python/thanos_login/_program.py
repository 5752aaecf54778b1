"""Where the program is that was installed with this module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

NAME = "thanos-login"


def program() -> str:
    """The path of the program `thanos-login`.

    Raises FileNotFoundError when there is none.
    """
    for path in _candidates():
        if os.access(path, os.X_OK):
            return str(path)
    raise FileNotFoundError(
        f"the program {NAME} is neither where its package was installed nor on the PATH:"
        f" reinstall it, such as with `pip install --force-reinstall {NAME}`"
    )


def _candidates() -> Iterator[Path]:
    try:
        files = metadata.files(NAME) or []
    except metadata.PackageNotFoundError:
        files = []
    for file in files:
        if file.name == NAME:
            yield Path(os.path.abspath(file.locate()))
    # `pip install --target` moves it after it has written that list.
    yield Path(__file__).parents[1] / "bin" / NAME
    on_path = shutil.which(NAME)
    if on_path:
        yield Path(on_path)
