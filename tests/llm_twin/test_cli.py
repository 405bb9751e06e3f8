"""The installed command `llm-twin`, run as its users run it."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import click
import pytest

from llm_twin.cli import COMMANDS, cli

COMMAND = Path(sys.executable).with_name("llm-twin")
ROOT = Path(__file__).parents[2]


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder, with more variables."""
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=cwd,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_version_is_the_packages(tmp_path: Path) -> None:
    """`--version` prints the version that the package's metadata holds."""
    from importlib.metadata import version

    done = run("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"llm-twin {version('llm-twin')}\n")


def test_help_lists_the_commands(tmp_path: Path) -> None:
    """`--help` lists the commands."""
    done = run("--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "settings" in done.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """The list of commands is written without the libraries that they need."""
    # What measures coverage is there before, and imports things of its own.
    code = (
        "import sys; before = set(sys.modules); from llm_twin.cli import cli; "
        "cli(['--help'], standalone_mode=False); "
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    heavy = {"pydantic", "numpy", "opik", "qdrant_client", "fastapi", "httpx", "sqlite3", "asyncio"}
    assert heavy.isdisjoint(ast.literal_eval(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_says_what_the_list_says(name: str) -> None:
    """Each command can be imported, and the first line of its help is the one in the list."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(limit=1000) == COMMANDS[name][1]


def test_help_starts_like_an_empty_command(tmp_path: Path) -> None:
    """`--help` takes at most four times as long as an empty click command."""
    empty = tmp_path / "empty.py"
    empty.write_text("import click\n\n@click.command()\ndef main(): pass\n\nmain()\n")

    def best(*command: str | Path) -> float:
        times = []
        for _ in range(5):
            start = time.perf_counter()
            subprocess.run([*command, "--help"], check=True, capture_output=True)
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(COMMAND) <= 4 * best(sys.executable, empty)


def test_settings_as_a_table(tmp_path: Path, canary: str) -> None:
    """Every setting has a line with its value and where it comes from; the secret is masked."""
    (tmp_path / "llm-twin.toml").write_text('log_level = "debug"\n')
    done = run("settings", cwd=tmp_path, LLM_TWIN_MODEL_API_KEY=canary, LLM_TWIN_SERVICE_PORT="81")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [re.split(r" {2,}", line) for line in done.stdout.splitlines()]
    assert ["model.api_key", "********", "LLM_TWIN_MODEL_API_KEY"] in rows
    assert ["service.port", "81", "LLM_TWIN_SERVICE_PORT"] in rows
    assert ["log_level", "debug", "llm-twin.toml"] in rows
    assert ["qdrant.url", "-", "default"] in rows
    assert canary not in done.stdout


def test_settings_as_json(tmp_path: Path, canary: str) -> None:
    """`--json` prints the same, for a program to read."""
    (tmp_path / "other.toml").write_text("[service]\nport = 82\n")
    done = run(
        "settings", "--json", "--config", "other.toml", cwd=tmp_path, LLM_TWIN_OPIK_API_KEY=canary
    )
    assert (done.returncode, done.stderr) == (0, "")
    result = json.loads(done.stdout)
    assert result["schema"] == 1
    rows = result["settings"]
    assert rows["opik.api_key"] == {"value": "********", "origin": "LLM_TWIN_OPIK_API_KEY"}
    assert rows["service.port"] == {"value": 82, "origin": "other.toml"}
    assert rows["model.url"] == {"value": None, "origin": "default"}
    assert canary not in done.stdout


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("LLM_TWIN_MODEL_API_KEY", "{canary} {canary}", "should be one line of ASCII"),
        ("LLM_TWIN_SERVICE_PORT", "{canary}", "should be a whole number from 1 to 65535"),
        ("LLM_TWIN_MODEL_ULR", "{canary}", "no such setting; did you mean LLM_TWIN_MODEL_URL?"),
    ],
)
def test_wrong_variable_exits_2_with_one_line(
    tmp_path: Path, variable: str, value: str, problem: str, canary: str
) -> None:
    """A wrong variable ends with 2 and one line that names it and not its value."""
    done = run("settings", cwd=tmp_path, **{variable: value.format(canary=canary)})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Error: {variable}: {problem}")
    assert done.stderr.count("\n") == 1
    assert canary not in done.stderr


def test_unknown_command_exits_2(tmp_path: Path) -> None:
    """A command that there is not ends with 2 and says so."""
    done = run("nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "No such command 'nonsense'" in done.stderr


def test_unknown_option_exits_2(tmp_path: Path) -> None:
    """Wrong use of the command ends with 2."""
    assert run("settings", "--nonsense", cwd=tmp_path).returncode == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_full_disk_exits_3_with_one_line() -> None:
    """An output that can't be written ends with 3 and one line."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [COMMAND, "settings"], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (3, "Error: No space left on device\n")


def test_interrupt_exits_130(tmp_path: Path) -> None:
    """Ctrl-C, here while the file is read, ends with 130 and no traceback."""
    pipe = tmp_path / "settings.toml"
    os.mkfifo(pipe)
    process = subprocess.Popen(
        [COMMAND, "settings", "--config", pipe], stderr=subprocess.PIPE, text=True
    )
    with pipe.open("w"):  # returns once the command reads
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


def test_version_stands_once_in_the_source() -> None:
    """The metadata takes the version from the package, so that the two can't differ."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "version" in project["dynamic"]
