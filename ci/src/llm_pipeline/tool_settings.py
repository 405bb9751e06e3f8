"""Where a source keeps the settings of ruff, mypy and pytest, in the order the tools look."""

import shlex
from collections.abc import Mapping
from typing import Any, NamedTuple

from llm_pipeline.facts import Facts


class Settings(NamedTuple):
    """The settings of a tool, and the file they stand in."""

    where: str
    table: Mapping[str, Any]

    def words(self, key: str) -> list[str]:
        """Return a list of texts; a single text is split at commas, newlines and spaces."""
        value = self.table.get(key, [])
        if isinstance(value, str):
            return value.replace(",", " ").split()
        return [str(item) for item in value] if isinstance(value, list) else []

    def arguments(self, key: str) -> list[str]:
        """Return a list of command line arguments; a single text is split as a shell does."""
        value = self.table.get(key, [])
        if not isinstance(value, str):
            return self.words(key)
        try:
            return shlex.split(value)
        except ValueError:
            return value.split()


def ruff(facts: Facts) -> list[Settings]:
    """Return ruff's settings for the root of the source, then those that they extend."""
    found = []
    pending = [name for name in (".ruff.toml", "ruff.toml", "pyproject.toml") if facts.has(name)]
    seen = set()
    while pending:
        name = pending.pop(0)
        table = facts.toml(name)
        if name.endswith("pyproject.toml"):
            table = table.get("tool", {}).get("ruff", {})
        if name in seen or not table:
            continue
        seen.add(name)
        found.append(Settings(name, table))
        pending = [str(table["extend"]).removeprefix("./")] if "extend" in table else []
    return found


def mypy(facts: Facts) -> Settings:
    """Return mypy's settings: of the first file that has some."""
    for name in ("mypy.ini", ".mypy.ini"):
        if facts.has(name):
            return Settings(name, facts.ini(name).get("mypy", {}))
    table = facts.table("tool.mypy")
    if table is not None:
        return Settings("pyproject.toml", table)
    return Settings("setup.cfg", facts.ini("setup.cfg").get("mypy", {}))


def pytest(facts: Facts) -> Settings:
    """Return pytest's settings: of the first file that has some."""
    for name in ("pytest.toml", ".pytest.toml"):
        if facts.has(name):
            return Settings(name, facts.toml(name).get("pytest", {}))
    for name in ("pytest.ini", ".pytest.ini"):
        if facts.has(name):
            return Settings(name, facts.ini(name).get("pytest", {}))
    table = facts.table("tool.pytest.ini_options") or facts.table("tool.pytest")
    if table is not None:
        return Settings("pyproject.toml", table)
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        if table := facts.ini(name).get(section):
            return Settings(name, table)
    return Settings("pyproject.toml", {})
