"""A repository to measure on: made anew, the same in each run, of a small library's size."""

import subprocess
from pathlib import Path
from typing import Final

MODULES: Final = 40
TESTS: Final = 5

_MODULE: Final = '''"""Arithmetic number {number}."""


def scale(values: list[float], factor: float = {number}.0) -> list[float]:
    """Return the values times a factor."""
    return [value * factor for value in values]


def describe(values: list[float]) -> dict[str, float]:
    """Return the least, the most and the sum of some values."""
    if not values:
        return {{"least": 0.0, "most": 0.0, "sum": 0.0}}
    return {{"least": min(values), "most": max(values), "sum": sum(values)}}
'''
_TEST: Final = """from sample.part{number} import describe, scale
{cases}"""
_CASE: Final = """

def test_case_{case}() -> None:
    for _ in range(100):
        values = [float(value) for value in range({size})]
        assert describe(scale(values))["most"] == {size_less_one} * {number}.0
"""
_PYPROJECT: Final = """\
[project]
name = "sample"
version = "1.0"
requires-python = ">=3.11"

[tool.ruff.format]
quote-style = "double"

[tool.ruff.lint]
select = ["E", "F", "I", "B", "UP", "D1"]
per-file-ignores = { "tests/*" = ["D1"] }

[tool.mypy]
strict = true
files = ["sample"]

[tool.pytest.ini_options]
testpaths = ["tests"]
pythonpath = ["."]

[tool.coverage.run]
source = ["sample"]

[tool.llm-pipeline.install]
requirements = ["requirements.txt"]
projects = []
"""


def make(folder: Path) -> None:
    """Write the repository into a new folder and commit it, a commit for each part."""
    (folder / "sample").mkdir(parents=True)
    (folder / "tests").mkdir()
    (folder / "pyproject.toml").write_text(_PYPROJECT)
    (folder / "requirements.txt").write_text("pytest\ncoverage\nmypy\nruff\n")
    (folder / "sample/__init__.py").write_text('"""A sample."""\n')
    _git(folder, "init", "--quiet", "--initial-branch=main")
    for number in range(1, MODULES + 1):
        cases = "".join(
            _CASE.format(
                case=case, size=100 * case + 100, size_less_one=100 * case + 99, number=number
            )
            for case in range(TESTS)
        )
        (folder / f"sample/part{number}.py").write_text(_MODULE.format(number=number))
        (folder / f"tests/test_part{number}.py").write_text(
            _TEST.format(number=number, cases=cases)
        )
        _git(folder, "add", "--all")
        _git(folder, "commit", "--quiet", "--message", f"Part {number}")


def _git(folder: Path, *words: str) -> None:
    identity = ("-c", "user.name=bench", "-c", "user.email=bench@localhost")
    subprocess.run(["git", *identity, *words], cwd=folder, check=True)  # noqa: S603, S607 - fixed
