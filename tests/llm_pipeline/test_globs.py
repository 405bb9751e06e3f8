"""Globs: the table of what a Dagger engine answered, which `tests/engine` asks again."""

from typing import Final

import pytest

from llm_pipeline.errors import ConfigError
from llm_pipeline.globs import matching

PKG: Final = ["pkg/.hid/q.py", "pkg/a.py", "pkg/sub/b.py", "pkg/sub/deep/c.py"]
SUB: Final = ["pkg/sub/b.py", "pkg/sub/deep/c.py"]
BELOW: Final = [
    ".github/workflows/ci.yml",
    *PKG,
    "pkg.d/z.py",
    "requirements/dev.txt",
    "tests/test_a.py",
]
TOP_PYTHON: Final = ["!n.py", "#c.py", "[x].py", "a b.py", "a.py", "x.py", "é.py"]
PYTHON: Final = [*TOP_PYTHON, *PKG, "pkg.d/z.py", "tests/test_a.py"]
RUFF: Final = [".ruff.toml", "myruff.toml", "ruff.toml"]
OTHERS: Final = [
    ".github/workflows/ci.yml",
    ".hidden",
    *RUFF,
    "UPPER.PY",
    "b.txt",
    "requirements.txt",
    "requirements/dev.txt",
    "{a,b}.txt",
]
FILES: Final = [*PYTHON, *OTHERS]
NOT_PKG: Final = [name for name in FILES if name not in PKG]

Case = tuple[list[str], list[str], list[str]]
CASES: Final[list[Case]] = [
    # include, exclude, what is left
    (["**"], [], FILES),
    (["*"], [], FILES),
    (["**/*"], [], FILES),
    ([], [], FILES),
    ([""], [], []),
    (["."], [], []),
    # A glob without a slash is anchored; one that matches a folder brings all that is in it.
    (["*.py"], [], TOP_PYTHON),
    (["a.py"], [], ["a.py"]),
    (["/a.py"], [], []),
    (["sub"], [], []),
    (["pkg"], [], PKG),
    (["pkg/"], [], PKG),
    (["pkg/*"], [], PKG),
    (["pkg/**"], [], PKG),
    (["pkg/**/*"], [], PKG),
    (["p*"], [], [*PKG, "pkg.d/z.py"]),
    (["*/sub"], [], SUB),
    (["*/*"], [], BELOW),
    (["*/**"], [], BELOW),
    (["a.py/**"], [], []),
    # They are tidied up first.
    (["./pkg/sub"], [], SUB),
    (["pkg//sub"], [], SUB),
    (["pkg/sub/../a.py"], [], ["pkg/a.py"]),
    ([" a.py "], [], ["a.py"]),
    # `**/` stands for no folder too.
    (["**/*.py"], [], PYTHON),
    (["**/a.py"], [], ["a.py", "pkg/a.py"]),
    (["pkg/**/a.py"], [], ["pkg/a.py"]),
    (["pkg/**/c.py"], [], ["pkg/sub/deep/c.py"]),
    (["**/sub"], [], SUB),
    (["**/sub/**"], [], SUB),
    (["**/requirements/**"], [], ["requirements/dev.txt"]),
    # Without a slash after it, it is only at the start any part of a name.
    (["**.py"], [], PYTHON),
    (["**a.py"], [], ["a.py", "pkg/a.py", "tests/test_a.py"]),
    (["pkg/**.py"], [], []),
    # Hidden names are like others.
    ([".*"], [], [".github/workflows/ci.yml", ".hidden", ".ruff.toml"]),
    ([".github"], [], [".github/workflows/ci.yml"]),
    (["**/.hid"], [], ["pkg/.hid/q.py"]),
    (["*ruff.toml"], [], RUFF),
    # Single letters and literal signs.
    (["?.py"], [], ["a.py", "x.py", "é.py"]),
    (["pkg?d"], [], ["pkg.d/z.py"]),
    (["[ax].py"], [], ["a.py", "x.py"]),
    (["[a-w].py"], [], ["a.py"]),
    (["[^a].py"], [], ["x.py", "é.py"]),
    (["[!x].py"], [], ["x.py"]),
    ([r"\[x\].py"], [], ["[x].py"]),
    (["{a,b}.txt"], [], ["{a,b}.txt"]),
    (["{a,x}.py"], [], []),
    (["*(a|x).py"], [], []),
    (["*.PY"], [], ["UPPER.PY"]),
    (["#c.py"], [], ["#c.py"]),
    (["requirements*.txt"], [], ["requirements.txt"]),
    # Taking away.
    (["!n.py"], [], []),
    ([r"\!n.py"], [], ["!n.py"]),
    (["**", "!pkg"], [], NOT_PKG),
    (["**", "!pkg", "pkg/a.py"], [], [*NOT_PKG, "pkg/a.py"]),
    (["!pkg", "**"], [], FILES),
    (["**"], ["**/*.py"], OTHERS),
    (["**"], ["**/*.py", "!pkg/a.py"], [*OTHERS, "pkg/a.py"]),
    (["**"], ["pkg", "*.toml"], [name for name in NOT_PKG if name not in RUFF]),
    (["pkg"], ["pkg/sub"], ["pkg/.hid/q.py", "pkg/a.py"]),
    (["**/*.py"], ["!pkg"], PYTHON),
    (["a.py", "b.txt"], ["a.*"], ["b.txt"]),
    (["**"], ["**"], []),
]
"""Over the files of FILES, which Dagger 0.21.8 answered."""

BROKEN: Final = ["[a.py", "[]x].py", "a.py\\", "[z-a].py", "!"]


@pytest.mark.parametrize(("include", "exclude", "left"), CASES)
def test_matches_as_the_engine_does(
    include: list[str], exclude: list[str], left: list[str]
) -> None:
    """Globs choose the files that a Dagger engine chose for them."""
    assert sorted(matching(FILES, include, exclude)) == sorted(left)


@pytest.mark.parametrize("glob", BROKEN)
def test_broken_glob_is_refused(glob: str) -> None:
    """A glob that can't be read is an error that shows it."""
    with pytest.raises(ConfigError) as caught:
        matching(FILES, ["**"], [glob])
    assert repr(glob) in str(caught.value)


def test_keeps_the_order() -> None:
    """The files come in the order in which they were given."""
    assert matching(["b.py", "c", "a.py"], ["*.py"]) == ["b.py", "a.py"]


@pytest.mark.parametrize(
    "name", ["new\nline.py", "\udcff.py", "a\\b.py", "-x.py", "[[:alpha:]].py"]
)
def test_odd_names(name: str) -> None:
    """Names with a newline, of undecodable bytes and of glob signs are matched like others."""
    assert matching([name, f"pkg/{name}"], ["*.py"]) == [name]
    assert matching([f"{name}/sub/file"], ["*.py"]) == [f"{name}/sub/file"]
    assert matching([f"pkg/{name}"], ["**/*.py"]) == [f"pkg/{name}"]


@pytest.mark.parametrize("glob", ["[a&&b].py", "[a~~b].py", "[[a].py", "[a||b].py"])
def test_choices_know_no_sets(glob: str) -> None:
    """Signs that Python's expressions give a meaning in brackets are plain letters."""
    assert matching(["a.py", "c.py"], [glob]) == ["a.py"]
