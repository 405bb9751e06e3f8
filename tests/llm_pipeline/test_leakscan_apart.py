"""A history that was named apart from the source has to be the source's."""

import shutil
from pathlib import Path

import pytest

from llm_pipeline.model import Verdict
from tests.llm_pipeline.scanning import (
    SHELLS,
    Git,
    Scan,
    assert_error,
    commit,
    leave_a_leak,
    made_up,
    repository,
)


@pytest.fixture
def source(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit and no leak."""
    return repository(git, tmp_path / "source")


def git_of(source: Path, tmp_path: Path) -> Path:
    """A folder with nothing but the repository's .git, as the containers mount it."""
    folder = tmp_path / "repo"
    folder.mkdir()
    shutil.copytree(source / ".git", folder / ".git")
    return folder


@pytest.mark.parametrize("shell", SHELLS)
def test_own_history(source: Path, tmp_path: Path, git: Git, shell: str) -> None:
    """The source's own history is scanned."""
    leave_a_leak(git, source)
    result = Scan(source, tmp_path, shell=shell).run(repo=git_of(source, tmp_path))
    assert result.verdict is Verdict.FAILED, result.summary


@pytest.mark.parametrize("shell", SHELLS)
def test_history_of_another_repository(source: Path, tmp_path: Path, git: Git, shell: str) -> None:
    """A module that is called from another repository must not scan its own history."""
    shared = {"LICENSE": "Do what you like.\n" * 20, "pkg/__init__.py": "", "py.typed": ""}
    commit(git, source, shared, "shared")
    repo = git_of(source, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    git("init", "--quiet", cwd=other)
    own = {"app.py": "print('other')\n", "README.md": "Another app,\nother words.\n"}
    commit(git, other, {**shared, **own, "main.py": "pass\n"}, "other")
    result = Scan(other, tmp_path, shell=shell).run(repo=repo)
    assert_error(result, "does not belong to the source", "--git=DIR")


def test_many_edits(source: Path, tmp_path: Path, git: Git) -> None:
    """A source whose every file has been edited still belongs to its history."""
    lines = [f"value_{number} = {number}\n" for number in range(40)]
    files = {f"pkg/m{number}.py": "".join(lines[: 10 + number]) for number in range(20)}
    commit(git, source, files, "modules")
    repo = git_of(source, tmp_path)
    for name in files:
        path = source / name
        path.write_text("# edited\n" + path.read_text().replace("value_3 =", "value_three ="))
    (source / "app.py").write_text("rewritten\n")
    (source / "README.md").write_text("also rewritten\n")
    (source / "new.py").write_text(made_up())
    result = Scan(source, tmp_path).run(repo=repo)
    assert [finding.path for finding in result.findings] == ["new.py"]


def test_a_part_of_the_files(source: Path, tmp_path: Path, git: Git) -> None:
    """A source from which files were left out belongs to its history."""
    commit(git, source, {f"docs/{number}.md": f"Page {number}.\n" for number in range(30)}, "d")
    repo = git_of(source, tmp_path)
    shutil.rmtree(source / "docs")
    assert Scan(source, tmp_path).run(repo=repo).verdict is Verdict.PASSED


def test_history_of_a_worktree(source: Path, tmp_path: Path, git: Git) -> None:
    """A worktree may be far from the main one's HEAD, and shares its history."""
    tree = tmp_path / "tree"
    git("worktree", "add", "--quiet", "-b", "side", str(tree), cwd=source)
    files = {f"m{number}.py": f"value = {number}\n" for number in range(9)}
    commit(git, tree, {**files, "app.py": "y = 2\n", "README.md": "Other.\n"}, "side")
    repo = git_of(source, tmp_path)
    assert Scan(tree, tmp_path).run(repo=repo).verdict is Verdict.PASSED


def test_file_of_a_worktree(source: Path, tmp_path: Path, git: Git) -> None:
    """Without the repository that it names, a worktree's .git is of no use."""
    tree = tmp_path / "tree"
    git("worktree", "add", "--quiet", "-b", "side", str(tree), cwd=source)
    scan = Scan(tree, tmp_path)
    scan.run()
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / ".git").write_text("gitdir: /not/here/.git/worktrees/tree\n")
    result = scan.run_in(("app.py", "README.md"), repo)
    assert_error(result, ".git is a file", "git rev-parse --path-format=absolute")


def test_repository_around_it(source: Path, tmp_path: Path, git: Git) -> None:
    """What is broken is not replaced by the history of a repository further up."""
    git("init", "--quiet", cwd=tmp_path)
    scan = Scan(source, tmp_path)
    scan.run()
    repo = tmp_path / "repo"
    (repo / ".git").mkdir(parents=True)
    assert_error(scan.run_in(("app.py", "README.md"), repo), "git can't read the repository")
