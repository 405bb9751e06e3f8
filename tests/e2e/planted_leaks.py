"""Leaks in every place that git knows, each of another made-up key."""

import shutil
from pathlib import Path
from typing import Final

from tests.e2e.cases import Case
from tests.e2e.repositories import beside, clean, commit, git, key, password, write

FAILED: Final = {"gitleaks": "failed"}


def in_the_last_commit(folder: Path) -> None:
    """A key in a file of today."""
    clean(folder, {"app/settings.py": f'TOKEN = "{key()}"\n'})


def edited_away(folder: Path) -> None:
    """A key that a later commit replaced."""
    in_the_last_commit(folder)
    commit(folder, {"app/settings.py": "TOKEN = None\n"})


def in_a_deleted_file(folder: Path) -> None:
    """A key in a file that a later commit deleted."""
    in_the_last_commit(folder)
    (folder / "app/settings.py").unlink()
    commit(folder)


def in_a_merge(folder: Path) -> None:
    """A key that came in with the resolution of a merge: neither parent has it."""
    clean(folder)
    git(folder, "checkout", "--quiet", "-b", "topic")
    commit(folder, {"app/topic.py": "TOPIC = 1\n"})
    git(folder, "checkout", "--quiet", "main")
    commit(folder, {"app/main.py": "MAIN = 1\n"})
    git(folder, "merge", "--quiet", "--no-ff", "--no-commit", "topic")
    commit(folder, {"app/settings.py": f'TOKEN = "{key()}"\n'}, "merge")
    commit(folder, {"app/settings.py": "TOKEN = None\n"})


def on_a_branch(folder: Path) -> None:
    """A key on a branch that was never merged."""
    clean(folder)
    git(folder, "checkout", "--quiet", "-b", "topic")
    commit(folder, {"app/settings.py": f'TOKEN = "{key()}"\n'})
    git(folder, "checkout", "--quiet", "main")


def on_a_tag(folder: Path) -> None:
    """A key in a commit that only a tag reaches."""
    on_a_branch(folder)
    git(folder, "tag", "v1", "topic")
    git(folder, "branch", "--quiet", "-D", "topic")


def on_a_remote_branch(folder: Path) -> None:
    """A key on a branch of the remote, as a clone has it."""
    origin = beside(folder, "origin")
    on_a_branch(origin)
    git(origin.parent, "clone", "--quiet", origin.as_uri(), str(folder))


def in_the_stash(folder: Path) -> None:
    """A key in what somebody put aside."""
    clean(folder)
    write(folder, {"app/__init__.py": f'TOKEN = "{key()}"\n'})
    git(folder, "stash", "--quiet")


def in_a_linked_worktree(folder: Path) -> None:
    """A key in a commit that only the HEAD of another worktree reaches."""
    clean(folder)
    other = beside(folder, "other")
    git(folder, "worktree", "add", "--quiet", "--detach", str(other))
    commit(other, {"app/settings.py": f'TOKEN = "{key()}"\n'})
    shutil.rmtree(other)


def in_an_untracked_file(folder: Path) -> None:
    """A key in a new file that git does not ignore."""
    clean(folder)
    write(folder, {"app/settings.py": f'TOKEN = "{key()}"\n'})


def not_committed(folder: Path) -> None:
    """A key in a change that is not committed."""
    clean(folder)
    write(folder, {"README.md": f"Use {key()} here.\n"})


def in_a_message(folder: Path) -> None:
    """A key in the message of a commit."""
    clean(folder)
    commit(folder, {"app/more.py": "MORE = 1\n"}, f"Use token {key()}")


def in_the_message_of_a_tag(folder: Path) -> None:
    """A key in the message of an annotated tag."""
    clean(folder)
    git(folder, "tag", "--annotate", "v1", "--message", f"Made with {key()}")


def in_a_strange_name(folder: Path) -> None:
    """A key in a file whose name has a space, a quote and a letter that is no ASCII."""
    clean(folder, {'a "strange" näme.txt': f"{key()}\n"})


def in_a_workflow(folder: Path) -> None:
    """A key in a workflow."""
    clean(folder, {".github/workflows/cd.yaml": f"env:\n  TOKEN: {key()}\n"})


def in_a_database_url(folder: Path) -> None:
    """The password of a database, which gitleaks' own rules miss."""
    clean(folder, {".env": f"DATABASE_URL=postgresql://app:{password()}@db.corp.net:5432/app\n"})


def behind_attributes(folder: Path) -> None:
    """A key in a file that git takes for binary, so that it would show no difference."""
    clean(folder, {".gitattributes": "*.txt -diff\n", "notes.txt": f"{key()}\n"})


LEAKS: Final = (
    Case("leak", in_the_last_commit, FAILED, 1, "1 leak", ("app/settings.py",)),
    Case("leak-edited-away", edited_away, FAILED, 1, "1 leak", ("app/settings.py",)),
    Case("leak-in-a-deleted-file", in_a_deleted_file, FAILED, 1, "1 leak", ("app/settings.py",)),
    Case("leak-in-a-merge", in_a_merge, FAILED, 1, "1 leak", ("app/settings.py",)),
    Case("leak-on-a-branch", on_a_branch, FAILED, 1, "1 leak", ("app/settings.py",)),
    Case("leak-on-a-tag", on_a_tag, FAILED, 1, "1 leak", ("app/settings.py",)),
    Case("leak-on-a-remote-branch", on_a_remote_branch, FAILED, 1, "1 leak", ("app/settings.py",)),
    Case("leak-in-the-stash", in_the_stash, FAILED, 1, "1 leak", ("app/__init__.py",)),
    Case(
        *("leak-in-a-linked-worktree", in_a_linked_worktree, FAILED, 1, "1 leak"),
        found=("app/settings.py",),
        containers=False,
    ),
    Case("leak-untracked", in_an_untracked_file, FAILED, 1, "1 leak", ("app/settings.py",)),
    Case("leak-not-committed", not_committed, FAILED, 1, "1 leak", ("README.md",)),
    Case("leak-in-a-message", in_a_message, FAILED, 1, "1 leak"),
    Case("leak-in-a-tag-message", in_the_message_of_a_tag, FAILED, 1, "1 leak"),
    Case("leak-in-a-strange-name", in_a_strange_name, FAILED, 1, "1 leak", ("näme.txt",)),
    Case("leak-in-a-workflow", in_a_workflow, FAILED, 1, "1 leak", ("cd.yaml",)),
    Case("leak-of-a-database", in_a_database_url, FAILED, 1, "1 leak", (".env",)),
    Case("leak-behind-attributes", behind_attributes, FAILED, 1, "1 leak", ("notes.txt",)),
)
