"""Ways to scan nothing, or not everything: each is an error that says how to mend it."""

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Final

from tests.e2e.cases import Case
from tests.e2e.planted_leaks import edited_away
from tests.e2e.repositories import beside, clean, commit, git, write

ERROR: Final = {"gitleaks": "error"}


def shallow(folder: Path) -> None:
    """The last commit of a history that holds a leak."""
    origin = beside(folder, "origin")
    edited_away(origin)
    git(origin.parent, "clone", "--quiet", "--depth=1", origin.as_uri(), str(folder))


def shallow_unmarked(folder: Path) -> None:
    """A shallow clone without the file that says so, as an engine may hand it over."""
    shallow(folder)
    (folder / ".git/shallow").unlink()


def partial_clone(folder: Path) -> None:
    """A clone without the contents of old files."""
    origin = beside(folder, "origin")
    edited_away(origin)
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(origin.parent, "clone", "--quiet", "--filter=blob:none", origin.as_uri(), str(folder))


def no_commits(folder: Path) -> None:
    """A repository before its first commit."""
    clean(folder)
    shutil.rmtree(folder / ".git")
    git(folder, "init", "--quiet")


def no_repository(folder: Path) -> None:
    """Files without a history."""
    clean(folder)
    shutil.rmtree(folder / ".git")


def lost_objects(folder: Path) -> None:
    """A history of which an object is gone."""
    edited_away(folder)
    tree = git(folder, "rev-parse", "HEAD^:app")
    (folder / ".git/objects" / tree[:2] / tree[2:]).unlink()


def lost_store(folder: Path) -> None:
    """A clone that borrows objects from a repository that is gone."""
    origin = beside(folder, "origin")
    clean(origin)
    git(origin.parent, "clone", "--quiet", "--shared", str(origin), str(folder))
    shutil.rmtree(origin)


def lost_repository(folder: Path) -> None:
    """A worktree whose repository is gone."""
    origin = beside(folder, "origin")
    clean(origin)
    git(origin, "worktree", "add", "--quiet", str(folder))
    shutil.rmtree(origin)


def foreign(folder: Path) -> None:
    """A repository of another user; only root can make one."""
    clean(folder)
    for parent, _, files in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in files)):
            os.chown(path, 12345, 12345)


def ignored(folder: Path) -> None:
    """A folder that the repository around it ignores: that history is not its own."""
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit(folder, {".gitignore": "build/\n"})
    write(folder, {"build/app.py": "VALUE = 1\n"})


RANGE: Final = "gitleaks.range = "
NOTHING: Final = (
    Case("shallow", shallow, ERROR, 3, "The clone is shallow"),
    Case("shallow-unmarked", shallow_unmarked, ERROR, 3, "`git fetch --unshallow`"),
    Case("partial-clone", partial_clone, ERROR, 3, "`git fetch --refetch --no-filter`"),
    Case("no-commits", no_commits, ERROR, 3, "has no commits yet, so there is no history"),
    Case("no-repository", no_repository, ERROR, 3, "Run `git init` and commit"),
    Case("lost-objects", lost_objects, ERROR, 3, "`git fsck`", containers=False),
    Case("range-invalid", clean, ERROR, 3, "correct `range`", settings=f'{RANGE}"a..b"\n'),
    Case("range-empty", clean, ERROR, 3, "no commits", settings=f'{RANGE}"HEAD..HEAD"\n'),
    Case("range-option", clean, ERROR, 3, "no range", settings=f'{RANGE}"--all"\n'),
    Case(
        *("rules-missing", clean, ERROR, 3, "The rules absent.toml are not in the source"),
        settings='gitleaks.rules = "absent.toml"\n',
    ),
    Case(
        "rules-broken",
        partial(clean, files={".gitleaks.toml": '[[rules]]\nid = "a"\nregex = "("\n'}),
        *(ERROR, 3, "gitleaks can't use the rules .gitleaks.toml"),
    ),
    Case(
        *("baseline-missing", clean, ERROR, 3, "The baseline absent.json is not in the source"),
        settings='gitleaks.baseline = "absent.json"\n',
    ),
    Case(
        "baseline-broken",
        partial(clean, files={"baseline.json": "{"}),
        *(ERROR, 3, "The baseline baseline.json is no report of gitleaks"),
        settings='gitleaks.baseline = "baseline.json"\n',
    ),
)
REFUSED: Final = (
    Case("lost-store", lost_store, {}, 3, "git can't read the repository", settings=None),
    Case("lost-repository", lost_repository, {}, 3, "not a git repository", settings=None),
)
"""Repositories that git itself refuses to read, so that a run on the host does not begin."""
