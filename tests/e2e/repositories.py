"""Real git repositories: a clean one, and what changes it."""

import random
import secrets
import shutil
import string
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

APP: Final = '''"""A small application."""


def add(first: int, second: int) -> int:
    """Return a sum."""
    return first + second
'''
WORKFLOW: Final = """\
name: ci
on: push
permissions: {}
jobs:
  test:
    name: test
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    steps:
      - run: echo tested
"""
CLEAN: Final[Mapping[str, str]] = {
    "README.md": "# An app\n",
    "app/__init__.py": APP,
    "tests/test_app.py": (
        "from app import add\n\n\ndef test_add() -> None:\n    assert add(1, 2) == 3\n"
    ),
    "ruff.toml": "line-length = 100\n",
    "mypy.ini": "[mypy]\nstrict = true\n",
    "pytest.ini": "[pytest]\npythonpath = .\n",
    ".github/workflows/ci.yaml": WORKFLOW,
}
"""Tools are configured in files of their own: `pyproject.toml` would make a new environment."""


def git(folder: Path, *arguments: str, stdin: str | None = None) -> str:
    """Run git in a folder and return what it prints."""
    # What a fetch starts in the background would change the repository later.
    argv = ["git", "-c", "gc.auto=0", "-c", "maintenance.auto=false", *arguments]
    done = subprocess.run(argv, cwd=folder, check=True, capture_output=True, text=True, input=stdin)
    return done.stdout.strip()


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(folder: Path, files: Mapping[str, str] | None = None, message: str = "change") -> str:
    """Write files, commit everything and return the commit's id."""
    write(folder, files or {})
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def clean(folder: Path, files: Mapping[str, str] | None = None, *without: str) -> None:
    """Make a repository in which every check passes, with some files more or other."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet")
    texts = {name: text for name, text in CLEAN.items() if name not in without}
    commit(folder, {**texts, **(files or {})})


def copy_of(origin: Path, folder: Path, *options: str) -> None:
    """Clone a repository through a URL, so that options such as a depth have an effect."""
    git(origin.parent, "clone", "--quiet", *options, origin.as_uri(), str(folder))


def beside(folder: Path, name: str) -> Path:
    """Return a folder next to a source that does not exist yet."""
    path = folder.with_name(f"{folder.name}-{name}")
    shutil.rmtree(path, ignore_errors=True)
    return path


def key() -> str:
    """Make up a GitHub token, put together here so that none stands in any file."""
    return "gh" + "p_" + "".join(secrets.choice(string.ascii_letters) for _ in range(36))


def password() -> str:
    """Make up a password with letters of both kinds and digits."""
    letters = [*secrets.token_hex(4), *"kQzXwP", *(secrets.choice(string.ascii_letters) * 3)]
    random.SystemRandom().shuffle(letters)
    return "".join(letters)
