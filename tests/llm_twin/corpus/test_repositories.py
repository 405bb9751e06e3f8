"""Git repositories: the author's commits, documents of work trees and of bare repositories."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_twin.corpus.report import Report
from llm_twin.corpus.store import Corpus

Take = Callable[..., Report]
Git = Callable[..., str]
BODY = "The queue lost what came in while the worker started.\n\nNow it waits for the worker."


@pytest.fixture
def repository(git: Git, writing: Path) -> Path:
    """A repository of three authors, with files that git ignores."""
    git("init", "--quiet", cwd=writing)
    git("remote", "add", "origin", "git@host.example:ada/engine.git", cwd=writing)
    (writing / "README.md").write_text("# Engine\n\nIt weaves.")
    (writing / ".gitignore").write_text("out/\n*.tmp.md\n")
    (writing / "out").mkdir()
    (writing / "out" / "page.md").write_text("made")
    (writing / "x.tmp.md").write_text("made")
    commit(git, writing, "Add the readme", day=1)
    commit(git, writing, f"Queue: wait for the worker\n\n{BODY}\n\nSigned-off-by: A <a@b.c>", day=2)
    commit(git, writing, f"Other: by somebody else\n\n{BODY}", day=3, author="Bob <bob@b.example>")
    commit(git, writing, "Bump", day=4, author="deps[bot] <deps@bots.example>")
    commit(git, writing, "Mend ada@example.com in the footer", day=5)
    return writing


def commit(git: Git, folder: Path, message: str, *, day: int, author: str = "") -> None:
    """Commit everything, on a day of May 2023."""
    git("add", "--all", cwd=folder)
    who = author or "Ada Lovelace <test@example.invalid>"
    date = f"2023-05-{day:02}T10:00:00+0000"
    git(
        "commit", "--quiet", "--allow-empty", f"--author={who}", f"--date={date}", "-m", message,
        cwd=folder,
    )  # fmt: skip


def test_commits_and_documents_of_a_work_tree(
    take: Take, corpus: Corpus, repository: Path, git: Git
) -> None:
    """Commits of git's user that say something are documents, the others of a month are one."""
    report = take()
    found = {document.title: document for document in corpus.documents()}
    assert sorted(found) == ["Commits to engine in 2023-05", "Engine", "Queue: wait for the worker"]
    queue = found["Queue: wait for the worker"]
    head = git("log", "--format=%H", "--grep=Queue", cwd=repository)
    assert (queue.source, queue.text, queue.kind) == (f"git:engine@{head}", BODY, "commit")
    assert (queue.author, queue.date) == ("Ada Lovelace", "2023-05-02T10:00:00+00:00")
    assert found["Commits to engine in 2023-05"].text == (
        "- 2023-05-01: Add the readme\n- 2023-05-05: Mend [e-mail] in the footer"
    )
    assert found["Engine"].source == "writing/README.md"
    assert ("git:writing#others", "holds 1 commits by others (corpus.authors)") in report.skipped
    assert take().unchanged == 2

    commit(git, repository, f"Again: something new\n\n{BODY}", day=6)
    assert take().changed == ["git:writing"]
    assert "Again: something new" in {document.title for document in corpus.documents()}


def test_authors_of_the_settings_count(take: Take, corpus: Corpus, repository: Path) -> None:
    """Where authors are named, theirs are the commits that are taken."""
    assert repository.is_dir()
    take(authors=("bob",))
    titles = {document.title for document in corpus.documents()}
    assert titles == {"Engine", "Other: by somebody else"}


def test_bare_repository(
    take: Take, corpus: Corpus, repository: Path, git: Git, tmp_path: Path
) -> None:
    """A repository without a work tree gives its documents too, at HEAD."""
    bare = tmp_path / "engine.git"
    git("clone", "--quiet", "--bare", str(repository), str(bare), cwd=tmp_path)
    take(bare)
    found = {document.title: document.source for document in corpus.documents()}
    assert len(found) == 3
    # Its origin is the repository that it was cloned from.
    assert found["Engine"] == "git:writing/README.md"


def test_repository_that_is_broken_or_empty(
    take: Take, corpus: Corpus, repository: Path, git: Git
) -> None:
    """Its files are files still; what is wrong with it is told."""
    empty = repository / "empty"
    empty.mkdir()
    git("init", "--quiet", cwd=empty)
    shutil.rmtree(repository / ".git" / "objects")
    (repository / ".git" / "objects").mkdir()
    report = take()
    assert [document.title for document in corpus.documents()] == ["Engine"]
    reasons = [reason for _, reason in report.skipped]
    assert "is a repository without commits" in reasons
    assert any("broken repository" in reason for reason in reasons), reasons


def test_git_itself_is_not_run(
    take: Take, corpus: Corpus, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A repository's settings may name programs; none of them starts."""
    started = tmp_path / "started"
    hook = f"#!/bin/sh\ntouch {started}\n"
    for name in ("fsmonitor", "sshcommand", "pager"):
        (tmp_path / name).write_text(hook)
        (tmp_path / name).chmod(0o755)
    config = repository / ".git" / "config"
    config.write_text(
        config.read_text() + f"[core]\n\tfsmonitor = {tmp_path}/fsmonitor\n"
        f"\tsshCommand = {tmp_path}/sshcommand\n\tpager = {tmp_path}/pager\n"
    )
    monkeypatch.setenv("PATH", os.devnull)
    take()
    assert len(corpus) == 3
    assert not started.exists()
