"""The module as its users call it: what is run, what comes of it, with which exit code."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.host import COMMAND, snapshot
from tests.e2e.nothing import no_repository
from tests.e2e.planted_leaks import edited_away
from tests.e2e.repositories import APP, clean, commit, git, write
from tests.engine.engine import Called, call, dagger
from tests.repository import ROOT

pytestmark = pytest.mark.engine

FUNCTIONS = ["ci", "fix", "format", "gitleaks", "lint", "reports", "test", "types", "workflows"]
UNTIDY = "import os\n\n\ndef add( first: int ) -> int :\n    return first\n"


def ran(called: Called) -> list[str]:
    """The commands that the engine really executed."""
    return [command for command, state in called.execs.items() if state != "CACHED"]


def comparable(reports: Path) -> dict[str, Any]:
    """What both executors have to say alike: no times, and not which executor it was."""
    verdict: dict[str, Any] = json.loads((reports / "verdict.json").read_text())
    assert verdict.pop("executor") in {"containers", "host"}
    assert verdict.pop("seconds") >= 0
    assert re.fullmatch(r"3\.\d+\.\d+", verdict.pop("python"))
    for check in verdict["checks"]:
        check.pop("seconds")
        # How long the tests took stands in their summary.
        check["summary"] = re.sub(r"\d+\.\d+ s", "", check["summary"])
    return verdict


def test_functions() -> None:
    """`dagger functions` lists what the module offers, with a line on each."""
    listed = dagger("functions", cwd=ROOT)
    table = listed.out.partition("\n\n")[0]
    lines = [line.split(maxsplit=1) for line in table.splitlines()[1:]]
    assert [line[0] for line in lines] == FUNCTIONS
    assert all(len(line) == 2 for line in lines)


def test_failed(source: Path, tmp_path: Path) -> None:
    """A failing run exits with 1; its reports need nothing executed again, and are the host's."""
    clean(source, {"app/more.py": "import os\n"})
    failed = call(source, "ci")
    assert failed.code == 1
    assert "app/more.py:1:8: F401" in failed.log
    assert any("lint.sh" in command for command in ran(failed))
    reports = tmp_path / "reports"
    exported = call(source, "reports", "export", f"--path={reports}")
    assert exported.code == 0, exported.log
    assert len(exported.execs) >= 5
    assert ran(exported) == []
    host = tmp_path / "host"
    done = subprocess.run([COMMAND, "ci", "--source", source, "--reports", host], check=False)
    assert done.returncode == 1
    assert comparable(reports) == comparable(host)
    assert comparable(reports)["source"] == {
        "commit": git(source, "rev-parse", "HEAD"),
        "tree": git(source, "rev-parse", "HEAD^{tree}"),
        "dirty": False,
    }
    names = {str(path.relative_to(host)) for path in host.rglob("*") if path.is_file()}
    assert names - {".gitignore"} == {
        str(path.relative_to(reports)) for path in reports.rglob("*") if path.is_file()
    }


def test_passed(source: Path, tmp_path: Path) -> None:
    """What git tracks is looked at though it is ignored; what is not committed is told."""
    reads = "from pathlib import Path\n\n\ndef test_kept() -> None:\n"
    reads += '    assert [f.name for f in Path("made").iterdir()] == ["kept.txt"]\n'
    clean(source, {".gitignore": "made/\n", "tests/test_kept.py": reads})
    write(source, {"made/kept.txt": "kept", "made/lost.txt": "lost"})
    git(source, "add", "--force", "made/kept.txt")
    git(source, "commit", "--quiet", "--message", "tracked, though it is ignored")
    assert call(source, "ci").code == 0
    reports = tmp_path / "reports"
    assert call(source, "reports", "export", f"--path={reports}").code == 0
    assert comparable(reports)["verdict"] == "passed"
    assert comparable(reports)["source"]["dirty"] is False
    write(source, {"app/new.py": "NEW = 1\n"})
    assert call(source, "reports", "export", f"--path={reports}").code == 0
    assert comparable(reports)["source"]["dirty"] is True


def test_wrong_use(source: Path) -> None:
    """A wrong key of the configuration exits with 2, and one line names it."""
    clean(source)
    write(source, {"settings.toml": 'checks = ["lnt"]\n'})
    called = call(source, "--config=settings.toml", "ci")
    assert called.code == 2
    assert "settings.toml: `checks[0]`" in called.log
    assert "Traceback" not in called.log


def test_not_a_repository(source: Path) -> None:
    """A folder without a history exits with 3 and says what to do; the other checks run."""
    no_repository(source)
    called = call(source, "ci")
    assert called.code == 3
    assert "Run `git init` and commit" in called.log
    assert re.search(r"lint +passed", called.log)


def test_image_that_cannot_be_pulled(source: Path) -> None:
    """An image that is not there exits with 3; the message names the check, the image, the mend."""
    clean(source)
    called = call(source, "--python-image=docker.io/library/python:absent", "lint")
    assert called.code == 3
    assert re.search(r"lint +error", called.log)
    assert "python:absent" in called.log
    assert "[tool.llm-pipeline.images]" in called.log
    assert "TaskGroup" not in called.log


def test_reports_without_a_leak_scan(source: Path, tmp_path: Path) -> None:
    """Where the leak scan's image can't be had, the reports are there all the same."""
    clean(source)
    reports = tmp_path / "reports"
    image = "--gitleaks-image=docker.io/library/python:absent"
    called = call(source, image, "reports", "export", f"--path={reports}")
    assert called.code == 0, called.log
    verdict = comparable(reports)
    assert verdict["verdict"] == "error"
    assert verdict["source"] == {"commit": None, "tree": None, "dirty": False}
    write(source, {"settings.toml": 'checks = ["lint"]\n'})
    called = call(source, "--config=settings.toml", "reports", "export", f"--path={reports}")
    assert called.code == 0, called.log
    assert comparable(reports)["source"] == {
        "commit": git(source, "rev-parse", "HEAD"),
        "tree": git(source, "rev-parse", "HEAD^{tree}"),
        "dirty": True,
    }


def test_installation_that_fails(source: Path) -> None:
    """A lock that can't be installed exits with 3, with the installer's own words."""
    clean(source, {"requirements.txt": "no-such-package-of-ours==1.0\n"})
    called = call(source, "test")
    assert called.code == 3
    assert re.search(r"test +error .*the environment could not be made", called.log)
    assert "no-such-package-of-ours" in called.log


def test_a_check_that_does_not_apply(source: Path) -> None:
    """Alone, it is skipped and fails nothing."""
    clean(source, None, "ruff.toml")
    called = call(source, "lint")
    assert called.code == 0
    assert re.search(r"lint +skipped", called.log + called.out)


def test_options(source: Path) -> None:
    """--keep-going runs the tests after a failure; without red controls a blind check passes."""
    clean(source, {"ruff.toml": 'exclude = ["*.py"]\n'})
    assert call(source, "lint").code == 3
    assert call(source, "--red-controls=false", "lint").code == 0
    kept = call(source, "--keep-going", "ci")
    assert kept.code == 3
    assert re.search(r"test +passed", kept.log)


def test_fix(source: Path) -> None:
    """`fix` mends what ruff can mend, and touches nothing else; only -y writes it."""
    clean(
        source,
        {"app/more.py": UNTIDY, "pyproject.toml": "[tool.ruff.format]\n", "notes.md": "*  a\n"},
    )
    write(source, {"app/broken.py": "def (\n", "script.sh": "echo 1\n"})
    (source / "script.sh").chmod(0o755)
    before = snapshot(source)
    shown = call(source, "fix")
    assert snapshot(source) == before, shown.log
    applied = dagger("-y", "-m", str(ROOT), "call", "--source=.", "fix", cwd=source)
    assert applied.code == 0, applied.log
    assert (source / "app/more.py").read_text() == (
        "def add(first: int) -> int:\n    return first\n"
    )
    after = snapshot(source)
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    files = {name for name in changed if (source / name).is_file()}
    assert {str(Path(name).relative_to(source)) for name in files} == {"app/more.py"}


def test_worktree(source: Path, tmp_path: Path) -> None:
    """In a worktree the scan says what to do, and what it says mends it."""
    origin = tmp_path / "origin"
    edited_away(origin)
    git(origin, "worktree", "add", "--quiet", str(source))
    refused = call(source, "gitleaks")
    assert refused.code == 3
    option = re.search(r'--git="\$\((git .*?)\)"', refused.log)
    assert option
    folder = git(source, *option[1].split()[1:])
    found = call(source, f"--git={folder}", "gitleaks")
    assert found.code == 1
    assert "app/settings.py" in found.log


def test_unrelated_history(source: Path, tmp_path: Path) -> None:
    """A history that does not belong to the source is not taken for its own."""
    clean(source)
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    commit(other, {"main.go": "package main\n", "go.mod": "module other\n"})
    called = call(source, f"--git={other / '.git'}", "gitleaks")
    assert called.code == 3
    assert "does not belong to the source" in called.log


def test_shallow_then_full(source: Path, tmp_path: Path) -> None:
    """After a shallow clone, a full one of the same commit is scanned in full."""
    origin = tmp_path / "origin"
    clean(origin)
    commit(origin, {"app/__init__.py": APP + "\n\nMORE = 1\n"})
    git(tmp_path, "clone", "--quiet", "--depth=1", origin.as_uri(), str(source))
    shallow = call(source, "gitleaks")
    assert shallow.code == 3
    assert "git fetch --unshallow" in shallow.log
    git(source, "fetch", "--quiet", "--unshallow")
    full = call(source, "gitleaks")
    assert full.code == 0, full.log
    assert "2 commits" in full.out + full.log
