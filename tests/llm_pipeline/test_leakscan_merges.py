"""What merges add is scanned: gitleaks by itself sees none of it."""

import subprocess
from pathlib import Path

import pytest

from llm_pipeline.model import Verdict
from tests.llm_pipeline.scanning import (
    RULES,
    SHELLS,
    Git,
    Scan,
    assert_found,
    commit,
    made_up,
    repository,
)


@pytest.fixture
def source(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit and no leak."""
    return repository(git, tmp_path / "source")


def test_leak_that_a_merge_adds(source: Path, tmp_path: Path, git: Git) -> None:
    """A merge can add what is in neither of its parents; plain `git log -p` shows none of it."""
    secret = made_up()
    git("switch", "--quiet", "--create", "side", cwd=source)
    commit(git, source, {"side.py": "y = 1\n"}, "side")
    git("switch", "--quiet", "main", cwd=source)
    commit(git, source, {"main.py": "z = 1\n"}, "main")
    git("merge", "--quiet", "--no-commit", "side", cwd=source)
    merge = commit(git, source, {"evil.py": secret}, "merge")
    (source / "evil.py").unlink()
    commit(git, source, {}, "hide it")
    result = Scan(source, tmp_path).run()
    assert_found(result, secret, "evil.py")
    assert merge[:10] in result.findings[0].message


def conflict(git: Git, source: Path, resolution: str) -> str:
    """Merge a branch with a conflict in `src/app.py`, resolve it so, and hide it afterwards."""
    commit(git, source, {"src/app.py": "x = 1\n"}, "base")
    git("switch", "--quiet", "--create", "side", cwd=source)
    commit(git, source, {"src/app.py": "x = 2\n"}, "side")
    git("switch", "--quiet", "main", cwd=source)
    commit(git, source, {"src/app.py": "x = 3\n"}, "main")
    with pytest.raises(subprocess.CalledProcessError):
        git("merge", "--quiet", "side", cwd=source)
    merge = commit(git, source, {"src/app.py": resolution}, "merge")
    commit(git, source, {"src/app.py": "x = 4\n"}, "hide it")
    return merge


@pytest.mark.parametrize("shell", SHELLS)
def test_leak_in_the_resolution_of_a_conflict(
    source: Path, tmp_path: Path, git: Git, shell: str
) -> None:
    """What a conflict's resolution adds is found, under the file's own path."""
    secret = made_up()
    merge = conflict(git, source, f"x = 3\nKEY = '{secret}'\n")
    result = Scan(source, tmp_path, shell=shell).run()
    assert_found(result, secret, "src/app.py")
    assert result.findings[0].line == 2
    assert merge[:10] in result.findings[0].message


def test_allowed_path_holds_in_a_conflict_too(source: Path, tmp_path: Path, git: Git) -> None:
    """An allow-list of paths sees the same path in a merge with a conflict as everywhere."""
    conflict(git, source, f"KEY = '{made_up()}'\n")
    rules = RULES + "[[allowlists]]\npaths = ['''^src/''']\n"
    assert Scan(source, tmp_path, rules=rules).run().verdict is Verdict.PASSED


def test_attributes_hide_nothing_in_a_conflict(source: Path, tmp_path: Path, git: Git) -> None:
    """`-diff` in .gitattributes would keep a merge's lines out of git's output."""
    secret = made_up()
    (source / ".gitattributes").write_text("*.py -diff\n")
    conflict(git, source, f"KEY = '{secret}'\n")
    assert_found(Scan(source, tmp_path).run(), secret, "src/app.py")


def test_leak_that_a_merge_of_three_adds(source: Path, tmp_path: Path, git: Git) -> None:
    """A merge of more than two parents is scanned; git can't show what it adds to an automatic one.

    A stash with untracked files is such a commit.
    """
    secret = made_up()
    (source / "app.py").write_text(f"KEY = '{secret}'\n")
    (source / "new.py").write_text("y = 1\n")
    git("stash", "--quiet", "--include-untracked", cwd=source)
    assert_found(Scan(source, tmp_path).run(), secret, "app.py")


def test_the_source_is_left_alone(source: Path, tmp_path: Path, git: Git) -> None:
    """Nothing in the user's repository changes: not git's index, not the time of an object."""
    commit(git, source, {"app.py": "x = 2\n"}, "second")
    git("gc", "--quiet", cwd=source)
    commit(git, source, {"app.py": "x = 3\n"}, "third")
    conflict(git, source, "x = 5\n")
    (source / "app.py").write_text("x = 2\n")
    (source / "README.md").write_text("x = 3\n")

    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size)
            for path in [source, *source.rglob("*")]
        }

    before = state()
    Scan(source, tmp_path).run()
    assert state() == before
