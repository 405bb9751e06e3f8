"""A clean repository passes, whatever it is like."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.e2e.host import Host
from tests.e2e.repositories import clean, commit, git, write

ALL = 'checks = ["gitleaks", "lint", "format", "types", "workflows", "test"]\n'
REPORTS = {
    ".gitignore",
    "verdict.json",
    "summary.md",
    "junit.xml",
    "coverage.xml",
    "gitleaks.sarif",
    "ruff.sarif",
    *(f"logs/{name}.log" for name in ("gitleaks", "lint", "format", "types", "workflows", "test")),
}


def test_every_check(host: Host, source: Path) -> None:
    """Every check passes, and has been seen to fail on its planted defect."""
    clean(source)
    ran = host.run(source, ALL)
    assert ran.code == 0, ran.said
    checks = ran.verdict["checks"]
    assert {check["verdict"] for check in checks} == {"passed"}
    assert {check["control"] for check in checks} == {"seen"}
    assert set(ran.written) == REPORTS
    assert ran.verdict["source"] == {
        "commit": git(source, "rev-parse", "HEAD"),
        "tree": git(source, "rev-parse", "HEAD^{tree}"),
        "dirty": False,
    }


def test_a_failing_run_writes_the_same_reports(host: Host, source: Path) -> None:
    """Where everything is wrong at once, everything is told at once."""
    clean(source)
    write(source, {"app/more.py": 'import os\nx  = 1\nTHREE: int = "3"\n'})
    write(source, {"tests/test_more.py": "def test_more():\n    assert 1 == 2\n"})
    write(source, {".github/workflows/cd.yaml": "on: push\njobs: {}\n"})
    commit(source)
    ran = host.run(source, f"keep-going = true\n{ALL}")
    assert ran.code == 1
    assert ran.checks == {
        **dict.fromkeys(("lint", "format", "types", "workflows", "test"), "failed"),
        "gitleaks": "passed",
    }
    assert set(ran.written) == REPORTS
    junit = ET.fromstring(ran.written["junit.xml"])  # noqa: S314 - our own report
    failed = [
        case.get("name") for case in junit.iter("testcase") if case.find("failure") is not None
    ]
    assert "test_more" in failed
    assert json.loads(ran.written["ruff.sarif"])["runs"][0]["results"]


def test_never_heard_of_it(host: Host, source: Path) -> None:
    """Without any settings a check runs where its tool is configured, and else says why not."""
    clean(source, {}, "ruff.toml", "mypy.ini")
    ran = host.run(source)
    assert ran.code == 0, ran.said
    assert ran.checks == {
        **dict.fromkeys(("lint", "format", "types", "workflows"), "skipped"),
        **dict.fromkeys(("gitleaks", "test"), "passed"),
    }
    assert "neither configures nor pins ruff" in ran.of("lint")["summary"]


def test_worktree(host: Host, source: Path) -> None:
    """In a linked worktree, where `.git` is a file, everything works as in the first one."""
    first = source.with_name("first")
    if not first.exists():
        clean(first)
    git(first, "worktree", "prune")
    git(first, "worktree", "add", "--quiet", "--detach", str(source))
    assert host.run(source, 'checks = ["gitleaks", "lint"]\n').code == 0
    commit(source, {"app/more.py": "import os\n"})
    ran = host.run(source, 'checks = ["gitleaks", "lint"]\n')
    assert ran.checks == {"gitleaks": "passed", "lint": "failed"}


def test_submodule(host: Host, source: Path) -> None:
    """Files of a submodule count; one that is not checked out is told of."""
    other = source.with_name("library")
    if not other.exists():
        clean(other, {"bad.py": "import os\n"})
    clean(source)
    git(source, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "s")
    commit(source)
    ran = host.run(source, 'checks = ["lint", "gitleaks"]\n')
    assert ran.checks == {"gitleaks": "passed", "lint": "failed"}
    git(source, "submodule", "--quiet", "deinit", "--force", "--all")
    ran = host.run(source, 'checks = ["lint", "gitleaks"]\n')
    assert ran.code == 0
    assert "git submodule update --init -- s" in ran.said
