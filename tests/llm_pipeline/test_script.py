"""The script of a check, run by every shell that is here."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from llm_pipeline.checks import BY_NAME
from llm_pipeline.plan import Commands, Planned
from llm_pipeline.script import Places, script

SHELLS: Final = [
    shell
    for shell in (
        ["sh"],
        ["dash"],
        ["bash", "--posix"],
        ["busybox", "sh"],
        ["zsh", "--emulate", "sh"],
    )
    if shutil.which(shell[0])
]
ODD: Final = [
    "",
    " ",
    "a b",
    "it's",
    '"',
    "$HOME",
    "`id`",
    "new\nline",
    "*",
    "\\n",
    "é",
    "-n",
    "!",
    ";",
]
SHOW: Final = "import sys; print(ascii(sys.argv[1:]))"

Run = Callable[[Planned], Path]


def check(
    commands: Sequence[Sequence[str]],
    red: Commands = (),
    *,
    plants: tuple[tuple[str, str], ...] = (),
    env: tuple[tuple[str, str], ...] = (),
) -> Planned:
    """A check that runs these commands, and these in its control."""
    words = tuple(map(tuple, commands))
    return Planned(BY_NAME["lint"], commands=words, red=red, plants=plants, env=env)


def places(root: Path) -> Places:
    """Folders with a space and a quote in their names."""
    base = root / "it's here"
    return Places(
        out=str(base / "out"),
        env=str(base / "env"),
        tools=f"{base / 'hooked'}:{base / 'tools'}",
        repo=str(base / "repo"),
        cache=str(base / "cache"),
        data=str(base / "data"),
    )


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def ran(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a check's script in the folder `tree` and return the folder that it filled."""

    def run(planned: Planned) -> Path:
        where = places(tmp_path)
        path = tmp_path / "check.sh"
        path.write_bytes(script(planned, where).encode("utf-8", "surrogateescape"))
        tree = tmp_path / "tree"
        tree.mkdir(exist_ok=True)
        done = subprocess.run(
            [*request.param, str(path)],
            cwd=tree,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            input=b"not for the commands\n",
            capture_output=True,
            check=True,
            timeout=60,
        )
        assert done.stdout == b""
        return Path(where.out)

    return run


def codes(out: Path) -> list[int]:
    """The exit codes that a script left, in order."""
    found = sorted(out.glob("*.code"), key=lambda path: int(path.stem))
    assert [path.name for path in found] == [f"{number}.code" for number in range(len(found))]
    return [int(path.read_text()) for path in found]


def test_each_command_has_its_log_and_code(ran: Run) -> None:
    """All commands run, also after one that fails, each with its own output and exit code."""
    out = ran(
        check(
            [
                ["sh", "-c", "echo one; echo err >&2"],
                ["sh", "-c", "echo two; exit 7"],
                ["sh", "-c", "kill -9 $$"],
                ["no-such-command"],
                ["/"],
                ["sh", "-c", "read line && echo input; echo last"],
            ]
        )
    )
    assert codes(out) == [0, 7, 137, 127, 126, 0]
    assert (out / "0.log").read_text() == "one\nerr\n"
    assert (out / "1.log").read_text() == "two\n"
    assert "no-such-command" in (out / "3.log").read_text()
    assert (out / "5.log").read_text() == "last\n"
    assert (out / "done").exists()


@pytest.mark.parametrize("word", ["exit", "set", "cd", "return", "A=b", "clock", "if", "{"])
def test_command_named_like_a_part_of_the_shell(ran: Run, word: str) -> None:
    """A command is looked up in the path, not in the shell: none can change or end the script."""
    out = ran(check([[word, "0"], ["pwd"]]))
    assert codes(out) == [127, 0]
    assert (out / "1.log").read_text() == (out / "tree").read_text()


def test_odd_arguments(ran: Run) -> None:
    """Arguments arrive as they are, whatever signs a shell would read in them."""
    out = ran(check([[sys.executable, "-S", "-c", SHOW, *ODD]]))
    assert (out / "0.log").read_text() == f"{ODD!a}\n"


def test_undecodable_arguments(ran: Run) -> None:
    """Bytes that are no UTF-8 arrive as they are."""
    out = ran(check([["printf", "%s", "a\udcffb"]]))
    assert (out / "0.log").read_bytes() == b"a\xffb"


def test_placeholders(ran: Run, tmp_path: Path) -> None:
    """Placeholders stand for the executor's folders; a shell's own variables stay."""
    names = ["out", "env", "repo", "cache", "data"]
    text = " ".join(f"{{{name}}}" for name in [*names, "rules", "other"])
    out = ran(check([["printf", "%s", text], ["sh", "-c", 'env=x; printf %s "${env}"']]))
    where = places(tmp_path)
    paths = [getattr(where, name) for name in names]
    assert (out / "0.log").read_text() == " ".join([*paths, where.data, "{other}"])
    assert (out / "1.log").read_text() == "x"


def test_placeholders_are_filled_once(tmp_path: Path) -> None:
    """A folder whose name looks like a placeholder is left alone."""
    where = Places("/{env}", "/{out}", "", "", "", "")
    assert where.fill("{out} {env}") == "/{env} /{out}"
    assert str(tmp_path) not in where.fill("{out}")


def test_variables(ran: Run) -> None:
    """Variables of the settings are set with any content; coverage writes to the output."""
    value = 'it\'s "odd"\n$HOME `id` \\'
    out = ran(
        check(
            [["sh", "-c", 'printf %s "$ODD"'], ["sh", "-c", 'printf %s "$COVERAGE_FILE"']],
            red=(("sh", "-c", 'printf %s "$COVERAGE_FILE"; exit 1'),),
            env=(("ODD", value), ("EMPTY", "")),
        )
    )
    assert (out / "0.log").read_text() == value
    assert (out / "1.log").read_text() == f"{out}/.coverage"
    assert (out / "red/0.log").read_text() == f"{out}/red/.coverage"


def test_green_is_controlled(ran: Run, tmp_path: Path) -> None:
    """After success the defects are planted, and the control's output goes to a folder apart."""
    defect = 'it\'s a\n"defect" $x \\n %s\n'
    out = ran(
        check(
            [["sh", "-c", 'echo green; touch "$1"; ls', "sh", "{out}/report"]],
            red=(("sh", "-c", 'echo red; touch "$1"; exit 3', "sh", "{out}/report"), ("pwd",)),
            plants=(("new/deep er/x.py", defect), ("-top.py", "1"), ("per%cent\n.py", "")),
        )
    )
    assert codes(out) == [0]
    assert (out / "0.log").read_text() == "green\n"
    assert codes(out / "red") == [3, 0]
    assert (out / "red/0.log").read_text() == "red\n"
    assert (out / "red/1.log").read_text() == (out / "red/tree").read_text()
    assert (out / "red/report").exists()
    tree = tmp_path / "tree"
    assert (tree / "new/deep er/x.py").read_text() == defect
    assert (tree / "-top.py").read_text() == "1"
    assert (tree / "per%cent\n.py").read_text() == ""


@pytest.mark.parametrize("failing", [0, 1])
def test_red_is_not_controlled(ran: Run, tmp_path: Path, failing: int) -> None:
    """Where any command fails nothing is planted, and no control runs."""
    commands = [["true"], ["true"]]
    commands[failing] = ["false"]
    out = ran(check(commands, red=(("false",),), plants=(("x.py", "1"),)))
    assert codes(out / "red") == []
    assert not (tmp_path / "tree/x.py").exists()
    assert (out / "done").exists()


def test_without_a_control_nothing_is_planted(ran: Run, tmp_path: Path) -> None:
    """A check whose control is off leaves its tree as it was, but for the mark of its root."""
    out = ran(check([["true"]]))
    assert codes(out / "red") == []
    assert [path.name for path in (tmp_path / "tree").iterdir()] == [".git"]


@pytest.mark.parametrize("name", ["gitleaks", "test"])
def test_root_is_marked_for_static_checks_alone(ran: Run, tmp_path: Path, name: str) -> None:
    """Tests and the leak scan find no folder named .git in their tree."""
    ran(replace(check([["true"]]), check=BY_NAME[name]))
    assert list((tmp_path / "tree").iterdir()) == []


def test_versions(ran: Run, tmp_path: Path) -> None:
    """The version is that of the first place that has the tool: environment, hook, ours."""
    base = tmp_path / "it's here"
    for folder, version in (("tools", "3.0"), ("hooked", "2.0"), ("env", "1.0")):
        packages = base / folder / "lib/python3.13/site-packages"
        (packages / f"ruff-{version}.dist-info").mkdir(parents=True)
        (packages / "ruff_api-9.9.dist-info").mkdir()
        out = ran(check([["true"]]))
        assert (out / "version").read_text() == f"ruff {version}\n"
        (out / "version").unlink()


def test_tree_and_seconds(ran: Run, tmp_path: Path) -> None:
    """The script leaves its folder, and the clock before and after where the system has one."""
    out = ran(check([["sleep", "0.05"]]))
    assert (out / "tree").read_text() == f"{tmp_path.resolve() / 'tree'}\n"
    ticks = [float(tick) for tick in (out / "seconds").read_text().split()]
    assert len(ticks) == (2 if Path("/proc/uptime").exists() else 0)
    assert ticks == sorted(ticks)
