"""What a case is: a real repository, and what each check has to say of it.

The tables of cases are data that knows no executor: ``host.py`` runs them as processes, and the
tests of the engine can run those that have ``containers`` in containers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Case:
    """One source and what a run of the pipeline has to make of it.

    ``build`` fills a folder that does not exist yet. ``expected`` is the verdict by check, and at
    the same time what runs: the checks that it does not name are left out. ``says`` stands in the
    summary of the check that did not pass; where the run never begins, in its one line of
    complaint. ``found`` are paths that the report has to name. ``settings`` is TOML beside the
    choice of checks; ``None`` where the source's own ``pyproject.toml`` speaks. ``place`` is the
    folder's name: cases of one place share an environment. ``containers`` says that the case is the
    same in containers.
    """

    name: str
    build: Callable[[Path], None]
    expected: Mapping[str, str]
    exit_code: int
    says: str = ""
    found: tuple[str, ...] = ()
    settings: str | None = ""
    place: str = "source"
    containers: bool = True

    @property
    def config(self) -> str | None:
        """The text of the configuration file, ``None`` where there is to be none."""
        if self.settings is None:
            return None
        return f"checks = {list(self.expected)}\n{self.settings}"


def each(*tables: tuple[Case, ...]) -> pytest.MarkDecorator:
    """Run a test once for each case of some tables."""
    cases = [case for table in tables for case in table]
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])
