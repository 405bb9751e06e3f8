"""Reads the files of this repository for the tests that compare them with each other."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


def locked(lock: Path) -> dict[str, str]:
    """The pinned version of each package of a lock file."""
    return dict(re.findall(r"(?m)^([a-z0-9.-]+)==(\S+)", lock.read_text()))
