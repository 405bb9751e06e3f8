"""Configuration that is broken: of the pipeline (exit code 2) and of the tools (error, 3)."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from tests.e2e.cases import Case
from tests.e2e.repositories import clean


def _refused(name: str, pyproject: str, says: str) -> Case:
    build = partial(clean, files={"pyproject.toml": pyproject})
    return Case(name, build, {}, 2, says, settings=None)


def _broken(
    name: str, files: Mapping[str, str], checks: str, says: str, settings: str = ""
) -> Case:
    expected = dict.fromkeys(checks.split(), "error")
    return Case(name, partial(clean, files=files), expected, 3, says, settings=settings)


SETTINGS: Final = (
    _refused("settings-no-toml", "[project\nname = 1\n", "pyproject.toml"),
    _refused("settings-wrong-key", "[tool.llm-pipeline]\nchekcs = []\n", "chekcs"),
    _refused("settings-wrong-value", "[tool.llm-pipeline]\nkeep-going = 1\n", "keep-going"),
    _refused("settings-wrong-check", '[tool.llm-pipeline]\nchecks = ["lints"]\n', "lints"),
    _refused("settings-wrong-limit", "[tool.llm-pipeline.test]\ntimeout = 0\n", "timeout"),
    _refused("settings-wrong-floor", "[tool.llm-pipeline.test]\ncoverage-floor = 101\n", "floor"),
    _refused("settings-wrong-glob", '[tool.llm-pipeline.lint]\nreads = ["a/[b"]\n', "lint.reads"),
    _refused(
        "settings-absent-file",
        '[tool.llm-pipeline.install]\nrequirements = ["absent.txt"]\n',
        "absent.txt",
    ),
    _broken("ruff-no-toml", {"ruff.toml": "[lint\n"}, "lint format", "ruff could not run"),
    _broken("ruff-unknown-key", {"ruff.toml": "linelength = 1\n"}, "lint", "ruff could not run"),
    _broken("ruff-unknown-rule", {"ruff.toml": 'lint.select = ["NO9"]\n'}, "lint", "NO9"),
    _broken(
        "mypy-no-ini", {"mypy.ini": "[mypy\nstrict = true\n"}, "types", "mypy.ini: File contains"
    ),
    _broken("mypy-unknown-key", {"mypy.ini": "[mypy]\nstrcit = true\n"}, "types", "strcit"),
    _broken("mypy-missing-plugin", {"mypy.ini": "[mypy]\nplugins = absent\n"}, "types", "absent"),
    _broken("pytest-no-ini", {"pytest.ini": "addopts\n[\n"}, "test", "pytest.ini"),
    _broken("pytest-option", {"pytest.ini": "[pytest]\naddopts = --absent\n"}, "test", "--absent"),
    _broken(
        "zizmor-no-yaml", {".github/zizmor.yml": "rules: [\n"}, "workflows", "zizmor could not"
    ),
    _broken(
        "actionlint-no-yaml",
        {".github/actionlint.yaml": "self-hosted-runner: [\n"},
        *("workflows", "actionlint could not"),
    ),
    _broken("gitleaks-no-toml", {".gitleaks.toml": "[[rules]\n"}, "gitleaks", ".gitleaks.toml"),
    _broken(
        "command-missing",
        {},
        *("lint", "the command can't be run (exit 127)", 'lint.command = ["absent-tool", "."]\n'),
    ),
    _broken(
        "command-not-executable",
        {},
        *("lint", "the command can't be run (exit 126)", 'lint.command = ["./app"]\n'),
    ),
    Case(
        "environment-can't-be-made",
        clean,
        *({"lint": "passed", "types": "error"}, 3, "the environment could not be made"),
        settings='[install]\ncommands = [["sh", "-c", "echo out of luck >&2; exit 7"]]\n',
        place="unlucky",
    ),
)
