"""The leak scan fails closed: what it could not look at never passes."""

import os
from pathlib import Path

import pytest

from tests.e2e import nothing
from tests.e2e.cases import Case, each
from tests.e2e.host import Host, assert_refused, remove
from tests.e2e.planted_leaks import edited_away
from tests.e2e.repositories import clean, commit, git

GITLEAKS = 'checks = ["gitleaks"]\n'


@each(nothing.NOTHING)
def test_nothing_scanned(case: Case, host: Host) -> None:
    """A scan of nothing is an error, and says what mends it."""
    ran = host.check(case)
    assert ran.of("gitleaks")["control"] == "not run"
    assert case.says in ran.out


@each(nothing.REFUSED)
def test_refused(case: Case, host: Host) -> None:
    """A repository that git refuses is not looked at."""
    host.check(case)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
def test_foreign(host: Host, source: Path, tmp_path: Path) -> None:
    """A repository of another user is not looked at, until the command that is told was run."""
    nothing.foreign(source)
    ran = host.run(source, GITLEAKS)
    assert ran.code == 3
    assert_refused(ran, f"git config --global --add safe.directory {source}")
    settings = tmp_path / "gitconfig"
    env = {"GIT_CONFIG_GLOBAL": str(settings)}
    git(source, "config", "--file", str(settings), "--add", "safe.directory", str(source))
    assert host.run(source, GITLEAKS, env=env).code == 0


def test_the_mending_commands_mend(host: Host, source: Path) -> None:
    """What the message of a shallow clone says makes the leak in its history visible."""
    nothing.shallow(source)
    assert host.run(source, GITLEAKS).code == 3
    git(source, "fetch", "--quiet", "--unshallow")
    ran = host.run(source, GITLEAKS)
    assert ran.checks == {"gitleaks": "failed"}
    remove(source)
    nothing.partial_clone(source)
    assert host.run(source, GITLEAKS).code == 3
    git(source, "fetch", "--quiet", "--refetch", "--no-filter")
    assert host.run(source, GITLEAKS).checks == {"gitleaks": "failed"}
    remove(source)
    nothing.no_repository(source)
    assert host.run(source, GITLEAKS).code == 3
    git(source, "init", "--quiet")
    assert host.run(source, GITLEAKS).code == 3
    commit(source)
    assert host.run(source, GITLEAKS).code == 0


def test_history_of_another_repository(host: Host, source: Path) -> None:
    """A folder that the repository around it ignores has no history of its own."""
    nothing.ignored(source)
    ran = host.run(source / "build", GITLEAKS)
    assert ran.code == 3
    assert "Run `git init` in it and commit" in ran.of("gitleaks")["summary"]


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_variables_of_git(host: Host, source: Path, variable: str) -> None:
    """Called by a hook of another repository, the scan still reads the source's own history."""
    edited_away(source)
    other = host.folder / "other"
    remove(other)
    clean(other)
    place = other if variable == "GIT_WORK_TREE" else other / ".git"
    value = place / "index" if variable == "GIT_INDEX_FILE" else place
    ran = host.run(source, GITLEAKS, env={variable: str(value)})
    assert ran.checks == {"gitleaks": "failed"}
