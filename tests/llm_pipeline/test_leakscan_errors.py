"""Ways to scan nothing, or not everything: each is an error that says how to mend it."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from llm_pipeline import gitleaks
from llm_pipeline.config import LeakSettings
from llm_pipeline.model import Control, Verdict
from tests.llm_pipeline.scanning import (
    SHELLS,
    Git,
    Scan,
    assert_error,
    commit,
    leave_a_leak,
    repository,
)


@pytest.fixture
def source(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit and no leak."""
    return repository(git, tmp_path / "source")


@pytest.mark.parametrize("shell", SHELLS)
def test_shallow_clone(source: Path, tmp_path: Path, git: Git, shell: str) -> None:
    """A shallow clone has no history to speak of."""
    leave_a_leak(git, source)
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--depth=1", f"file://{source}", str(clone))
    result = Scan(clone, tmp_path, shell=shell).run()
    assert_error(result, "`git fetch --unshallow`", "`fetch-depth: 0`")


def test_shallow_clone_that_does_not_say_so(source: Path, tmp_path: Path, git: Git) -> None:
    """A container engine may hand over a shallow clone without the file that marks it as such."""
    leave_a_leak(git, source)
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--depth=1", f"file://{source}", str(clone))
    (clone / ".git" / "shallow").unlink()
    assert_error(Scan(clone, tmp_path).run(), "can't be read in full", "`git fetch --unshallow`")


def test_partial_clone(source: Path, tmp_path: Path, git: Git) -> None:
    """A clone without the contents of old files can't be scanned, and nothing is fetched for it."""
    leave_a_leak(git, source)
    git("config", "uploadpack.allowFilter", "true", cwd=source)
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--filter=blob:none", f"file://{source}", str(clone))
    result = Scan(clone, tmp_path).run()
    assert_error(result, "`git fetch --refetch --no-filter`")


def test_no_commits(tmp_path: Path, git: Git) -> None:
    """A repository before its first commit has nothing to scan."""
    source = tmp_path / "source"
    source.mkdir()
    git("init", "--quiet", cwd=source)
    (source / "app.py").write_text("x = 1\n")
    assert_error(Scan(source, tmp_path).run(), "no commits yet", "commit first")


def test_no_repository(tmp_path: Path) -> None:
    """Without git there is no history; a folder without one does not pass."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "app.py").write_text("x = 1\n")
    assert_error(Scan(source, tmp_path).run(), "no git repository", "`git init`", "--git=DIR")


def test_folder_that_a_repository_ignores(source: Path, tmp_path: Path, git: Git) -> None:
    """The history around an ignored folder is not that folder's."""
    commit(git, source, {".gitignore": "build/\n"}, "ignore")
    (source / "build").mkdir()
    (source / "build" / "app.py").write_text("x = 1\n")
    assert_error(Scan(source / "build", tmp_path).run(), "ignores", "`git init`")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a repository away")
def test_repository_of_another_user(source: Path, tmp_path: Path, git: Git) -> None:
    """Gitleaks by itself scans 0 commits of it and passes; git's own way out is said, and works."""
    leave_a_leak(git, source)
    scan = Scan(source, tmp_path)
    shutil.copytree(source, tmp_path / "copy", ignore=shutil.ignore_patterns(".git"))
    for path in [source, *source.rglob("*")]:
        os.chown(path, 12345, 12345)
    mend = f"git config --global --add safe.directory {source}"
    assert_error(scan.run_in(("app.py", "README.md"), source), "another user", f"`{mend}`")
    settings = tmp_path / "gitconfig"
    settings.write_text(f"[safe]\n\tdirectory = {source}\n")
    scan.env = {"GIT_CONFIG_GLOBAL": str(settings)}
    assert scan.run_in(("app.py", "README.md"), source).verdict is Verdict.FAILED


@pytest.mark.parametrize("name", ["main", "HEAD"])
def test_corrupt_reference(source: Path, tmp_path: Path, name: str) -> None:
    """A branch or HEAD that names what is not there is no empty history."""
    scan = Scan(source, tmp_path)
    scan.run()
    path = source / ".git" / ("HEAD" if name == "HEAD" else f"refs/heads/{name}")
    path.write_text("1234567890" * 4 + "\n")
    assert_error(scan.run_in(("app.py", "README.md"), source), "git fsck")


@pytest.mark.parametrize("kind", ["commit", "tree", "blob"])
def test_corrupt_object(source: Path, tmp_path: Path, git: Git, kind: str) -> None:
    """A missing or broken object anywhere in the history stops the scan."""
    leave_a_leak(git, source)
    what = {"commit": "HEAD~1", "tree": "HEAD~1^{tree}", "blob": "HEAD~1:key.py"}[kind]
    name = git("rev-parse", what, cwd=source)
    path = source / ".git" / "objects" / name[:2] / name[2:]
    path.chmod(0o600)
    path.write_bytes(b"broken")
    assert_error(Scan(source, tmp_path).run(), "can't be read in full", "`git fsck`")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("nowhere..HEAD", "is not valid here"),
        ("HEAD..HEAD", "holds no commits"),
        ("--since=2020-01-01", "is an option of git"),
        ("HEAD; touch ran", "is not valid here"),
    ],
)
def test_bad_range(source: Path, tmp_path: Path, value: str, said: str) -> None:
    """Gitleaks by itself scans 0 commits of a bad range and passes."""
    result = Scan(source, tmp_path, settings=LeakSettings(range=value)).run()
    assert_error(result, value, said, "`range` of [tool.llm-pipeline.gitleaks]")
    assert not (tmp_path / "copy" / "ran").exists()


def test_missing_rules(source: Path, tmp_path: Path) -> None:
    """Rules that the settings name must be there."""
    result = Scan(source, tmp_path, settings=LeakSettings(rules="ci/leaks.toml")).run()
    assert_error(result, "ci/leaks.toml", "`rules` of [tool.llm-pipeline.gitleaks]")


@pytest.mark.parametrize("text", ["[[rules", "[[rules]]\nid = 'x'\n", "[extend]\npath = 'no'\n"])
def test_broken_rules(source: Path, tmp_path: Path, text: str) -> None:
    """Gitleaks by itself ends with 1 for a broken configuration, as it does for leaks."""
    (source / ".gitleaks.toml").write_text(text)
    assert_error(Scan(source, tmp_path).run(), "can't use the rules .gitleaks.toml", "correct them")


@pytest.mark.parametrize(
    "text", ["title = 'empty'\n", "[extend]\nuseDefault = true\n[allowlist]\nregexes = ['']\n"]
)
def test_rules_that_find_nothing(source: Path, tmp_path: Path, text: str) -> None:
    """Rules that see no leak at all pass no source: the red control tells."""
    (source / ".gitleaks.toml").write_text(text)
    result = Scan(source, tmp_path).run(red_controls=True)
    assert result.verdict is Verdict.ERROR
    assert result.control is Control.BLIND
    assert "blind" in result.summary


@pytest.mark.parametrize("text", [None, "no JSON", '{"RuleID": "x"}'])
def test_bad_baseline(source: Path, tmp_path: Path, text: str | None) -> None:
    """Gitleaks by itself goes on without a baseline that it can't read."""
    if text is not None:
        (source / "known.json").write_text(text)
    result = Scan(source, tmp_path, settings=LeakSettings(baseline="known.json")).run()
    assert_error(result, "baseline", "known.json")


def test_no_gitleaks(source: Path, tmp_path: Path) -> None:
    """A scanner that is not there has found nothing."""
    scan = Scan(source, tmp_path)
    scan.run()
    scan.env = {"PATH": os.defpath}
    assert_error(scan.run_in(("app.py",), source), "127")


def test_scanner_that_dies(source: Path, tmp_path: Path) -> None:
    """A scanner that is killed, says nothing, or stops reading halfway has not looked."""
    scan = Scan(source, tmp_path)
    scan.run()
    command = tmp_path / "bin" / "gitleaks"
    for line, said in {
        "kill -9 $$": "137",
        "exit 0": "0 of 2 commits",
        "exit 1": "exit code 1",
        "echo '1:00AM INF 1 commits scanned.'": "1 of 2 commits",
    }.items():
        command.write_text(f"#!/bin/sh\n{line}\n")
        command.chmod(0o755)
        result = scan.run_in(("app.py", "README.md"), source, red_controls=True)
        assert_error(result, said)


def test_git_that_dies(source: Path, tmp_path: Path, git: Git) -> None:
    """Gitleaks by itself passes what git could not show it."""
    leave_a_leak(git, source)
    scan = Scan(source, tmp_path)
    real = shutil.which("git")
    command = tmp_path / "bin" / "git"
    command.parent.mkdir()
    command.write_text(
        f'#!/bin/sh\ncase " $* " in *" log -p -U0 "*) kill -9 $$;; esac\nexec {real} "$@"\n'
    )
    command.chmod(0o755)
    assert_error(scan.run(), "git was killed", "137", "more memory")


def test_report_that_can_not_be_written(source: Path, tmp_path: Path) -> None:
    """A scan without a report has not looked."""
    scan = Scan(source, tmp_path)
    scan.run()
    command = tmp_path / "bin" / "gitleaks"
    real = gitleaks.binary(Path(sys.prefix))
    command.write_text(f'#!/bin/sh\nmkdir -p {scan.out}/all.json\nexec {real} "$@"\n')
    command.chmod(0o755)
    assert_error(scan.run_in(("app.py", "README.md"), source), "not writable")
