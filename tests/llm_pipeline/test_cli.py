"""The command: what it accepts, what it says, and its exit codes."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.e2e.host import COMMAND
from tests.e2e.repositories import clean, git, write
from tests.llm_pipeline.rogues import without_coverage

LISTED = """\
gitleaks   sh {rules}/leakscan.sh scan {out} {repo} {rules}/gitleaks.toml
lint       ruff check --no-fix --no-cache --output-format=sarif --output-file={out}/ruff.sarif .
format     skipped: the source neither configures nor pins ruff; name it in `checks` to run it
types      mypy --no-pretty --show-column-numbers --show-error-codes --no-color-output \
--cache-dir={cache}/mypy --python-executable={env}/bin/python app
workflows  skipped: the source neither configures nor pins zizmor nor actionlint; \
name it in `checks` to run it
test       python -m pytest --junitxml={out}/junit.xml
environment pip
"""


def command(*arguments: str, cwd: Path, cache: Path | None = None) -> tuple[int, str, str]:
    """Run the command and return its exit code, its output and its errors."""
    env = {**os.environ, "LLM_PIPELINE_CACHE": str(cache or cwd / "unused")}
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_version(tmp_path: Path) -> None:
    """The version is that of the installed package."""
    said = command("--version", cwd=tmp_path)
    assert said == (0, f"llm-pipeline {version('llm-pipeline')}\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], ["ci", "--help"], ["checks", "-h"]])
def test_help(tmp_path: Path, arguments: list[str]) -> None:
    """Help is an answer, not an error."""
    code, out, err = command(*arguments, cwd=tmp_path)
    assert (code, err) == (0, "")
    assert out.startswith("Usage: llm-pipeline ")


def test_exit_codes_are_told(tmp_path: Path) -> None:
    """The help names the exit codes that a caller has to know."""
    text = " ".join(command("--help", cwd=tmp_path)[1].split())
    assert "0 passed; 1 a check failed, or a release was refused; 2 wrong use or" in text
    assert "; 3 something could not be looked at; 130 interrupted" in text


def test_help_imports_nothing_heavy() -> None:
    """What the subcommands need is imported when they run."""
    code = (
        "import sys; from llm_pipeline.cli import cli; cli(['--help'], standalone_mode=False);"
        "print(sorted(set(sys.modules) & {'anyio', 'asyncio', 'msgspec', 'rich', 'tomllib'}))"
    )
    # Coverage itself imports some of them.
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=without_coverage(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Usage: llm-pipeline [OPTIONS] COMMAND"),
        (["cd"], "No such command 'cd'"),
        (["ci", "--keep-goin"], "No such option '--keep-goin'. Did you mean '--keep-going'?"),
        (["ci", "here"], "unexpected extra argument"),
        (["ci", "--only"], "Option '--only' requires an argument"),
        (["ci", "--source", "absent"], "Directory 'absent' does not exist"),
        (["ci", "--source", "file"], "Directory 'file' is a file"),
        (["ci", "--config", "absent"], "File 'absent' does not exist"),
        (["ci", "--config", "."], "File '.' is a directory"),
        (["ci", "--reports", "file"], "Directory 'file' is a file"),
        (["job"], "Missing argument 'NAME'"),
    ],
)
def test_wrong_use(tmp_path: Path, arguments: list[str], says: str) -> None:
    """A wrong argument is named, and the exit code is 2."""
    (tmp_path / "file").touch()
    code, out, err = command(*arguments, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert says in err


@pytest.mark.parametrize("subcommand", [["ci"], ["checks"], ["job", "train"]])
@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[project\n", "pyproject.toml is not valid TOML: Expected ']' at the end of a table"),
        (
            "[tool.llm-pipeline]\nchekcs = ['lint']\n",
            "[tool.llm-pipeline] of pyproject.toml: unknown key `chekcs`. Did you mean `checks`?",
        ),
    ],
)
def test_wrong_settings(tmp_path: Path, subcommand: list[str], text: str, says: str) -> None:
    """Broken settings are told in one line by every subcommand; nothing is run or written."""
    (tmp_path / "pyproject.toml").write_text(text)
    code, out, err = command(*subcommand, cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err.startswith(f"llm-pipeline: {says}")
    assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


def test_settings_of_a_file(tmp_path: Path) -> None:
    """`--config` takes the place of pyproject.toml, and errors name the file."""
    source = tmp_path / "source"
    clean(source, {"pyproject.toml": "[tool.llm-pipeline]\nbroken = 1\n"})
    file = tmp_path / "ci.toml"
    file.write_text("checks = ['gitleaks']\n")
    code, out, _ = command("checks", "--source", "source", "--config", "ci.toml", cwd=tmp_path)
    assert code == 0
    assert "not among `checks` of the configuration" in out
    file.write_text("[lint]\ntimeout = 'long'\n")
    code, _, err = command("checks", "--source", "source", "--config", "ci.toml", cwd=tmp_path)
    assert code == 2
    assert err == "llm-pipeline: ci.toml: `lint.timeout`: should be a number, but it is text.\n"


def test_checks(tmp_path: Path) -> None:
    """The list shows each check's commands, or why it would not run, and who installs."""
    clean(tmp_path / "source")
    assert command("checks", "--source", "source", cwd=tmp_path) == (0, LISTED, "")
    assert command("checks", cwd=tmp_path / "source") == (0, LISTED, "")
    assert git(tmp_path / "source", "status", "--porcelain") == ""


def test_checks_of_odd_names(tmp_path: Path) -> None:
    """Names with newlines and of undecodable bytes are shown on one line."""
    odd = os.fsdecode(b"a\nb\xff")
    write(tmp_path, {f"{odd}/__init__.py": "", "mypy.ini": ""})
    code, out, err = command("checks", cwd=tmp_path)
    assert (code, err) == (0, "")
    assert r"/bin/python a\nb\xff" in out


def test_unknown_check(tmp_path: Path) -> None:
    """An unknown name for `--only` is an error that lists the known ones."""
    code, out, err = command("ci", "--only", "lint", "--only", "tests", cwd=tmp_path)
    assert (code, out) == (2, "")
    assert err == (
        "llm-pipeline: There is no check named 'tests'; there are: gitleaks, lint, format, types, "
        "workflows, test.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_reader_who_goes_away(tmp_path: Path) -> None:
    """Where nobody reads the output the exit code is 3, and Python does not complain."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [COMMAND, "checks"], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (3, b"")
