"""What belongs to a source: the files that git tracks or would track, and their state."""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llm_pipeline.errors import LookError, UsageError
from llm_pipeline.processes import clean_env

CACHE_TAG = "CACHEDIR.TAG"
CACHE_TAG_TEXT = "Signature: 8a477f597d28d172789f06886806bc55\n"
"""The content that marks a folder as a cache, after https://bford.info/cachedir/."""

_SKIPPED = frozenset(
    {
        *(b".git", b".hg", b".svn", b".bzr", b".jj"),
        *(b".venv", b"node_modules", b"__pycache__", b".tox", b".nox", b".eggs", b".direnv"),
        *(b".mypy_cache", b".ruff_cache", b".pytest_cache", b".hypothesis", b".ipynb_checkpoints"),
    }
)
_CALLERS_GIT = (
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_KEY_*",
    "GIT_CONFIG_VALUE_*",
    "GIT_CEILING_DIRECTORIES",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    "XDG_CONFIG_HOME",
)
_GITLINK = b"160000"


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files of a source.

    ``files`` are relative to ``root``, as bytes, sorted, with ``/``. ``commit`` and ``tree`` are
    the ids of HEAD and of its whole tree, ``None`` where there is no commit. ``dirty`` says that
    the folder differs from HEAD. ``notes`` are lines for a person on what could not be listed.
    """

    root: Path
    files: tuple[bytes, ...]
    commit: str | None = None
    tree: str | None = None
    dirty: bool = False
    git: bool = False
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Listing:
    files: set[bytes] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    dirty: bool = False


def show(path: bytes) -> str:
    """Write a path so that it is one line of valid text, whatever its bytes are."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def git_env(base: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Make the environment for git: no prompt, no lock, and nothing of a hook that calls us."""
    extra = {
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_PAGER": "cat",
        "LC_ALL": "C",
    }
    return clean_env(extra, _CALLERS_GIT, base=base)


def list_source(root: Path) -> SourceFiles:
    """List the files below `root` that git tracks or does not ignore, and that are there.

    Submodules and nested repositories that are checked out are a part of it. Without git, all
    files but those in well-known caches and in virtual environments.

    Raises:
        UsageError: `root` is no folder.
        LookError: git is missing, refuses, or can't read all of it.
    """
    root = root.resolve()
    if not root.is_dir():
        raise UsageError(f"there is no folder {root}; name the source's folder")
    try:
        prefix, commit, tree = _head(root)
    except _NoRepositoryError:
        return SourceFiles(root, tuple(sorted(_walk(os.fsencode(root)))))
    listing = _list_repository(root, prefix)
    if prefix and not listing.files:
        # A folder that an outer repository ignores is a source of its own, not an empty one.
        return SourceFiles(root, tuple(sorted(_walk(os.fsencode(root)))))
    files = tuple(sorted(listing.files))
    return SourceFiles(root, files, commit, tree, listing.dirty, git=True, notes=(*listing.notes,))


class _NoRepositoryError(Exception):
    """No folder from the source upwards is a git repository."""


def _head(root: Path) -> tuple[bytes, str | None, str | None]:
    """The place of `root` in its repository's working tree, and the ids of HEAD and its tree."""
    said = _git(root, "rev-parse", "--is-inside-work-tree", "--show-prefix", "HEAD", "HEAD^{tree}")
    out, err = said.communicate()
    if match := re.fullmatch(rb"true\n(.*)\n([0-9a-f]{40,})\n([0-9a-f]{40,})\n", out, re.DOTALL):
        return match[1], match[2].decode(), match[3].decode()
    if match := re.fullmatch(rb"true\n(.*)\nHEAD\n", out, re.DOTALL):
        return match[1], None, None
    if out.startswith(b"false"):
        raise LookError(
            f"{root} is the inside of a git repository; give the folder of its working tree"
        )
    if b"not a git repository (or any" in err and not os.path.lexists(root / ".git"):
        raise _NoRepositoryError
    raise _refused(root, err)


def _list_repository(root: Path, prefix: bytes = b"", *, untracked: bool = True) -> _Listing:
    tracked = _git(root, "ls-files", "--stage", "-z")
    state = _git(
        root,
        "status",
        "--porcelain",
        "-z",
        "--no-renames",
        "--ignore-submodules=none",
        f"--untracked-files={'all' if untracked else 'no'}",
        "--",
        ".",
    )
    listing = _Listing()
    gone: set[bytes] = set()
    nested: list[bytes] = []
    index, changes = _outputs(root, tracked, state)
    for entry in changes:
        listing.dirty = True
        code, path = entry[:2], entry[3 + len(prefix) :]
        if code == b"??" and path.endswith(b"/"):
            nested.append(path[:-1])
        elif code == b"??":
            listing.files.add(path)
        elif code[1:] == b"D" and code != b"UD":
            gone.add(path)
    for entry in index:
        about, _, path = entry.partition(b"\t")
        if about.startswith(_GITLINK):
            _add_submodule(listing, root, path)
        elif path not in gone:
            listing.files.add(path)
    for path in nested:
        _add_nested(listing, root, path, untracked=True)
    # A sparse checkout leaves files out of the folder without calling them deleted.
    start = os.fsencode(root) + b"/"
    listing.files = {path for path in listing.files if os.path.lexists(start + path)}
    return listing


def _add_submodule(listing: _Listing, root: Path, path: bytes) -> None:
    if os.path.lexists(os.fsencode(root) + b"/" + path + b"/.git"):
        _add_nested(listing, root, path, untracked=False)
        return
    command = f"git submodule update --init -- {show(path)}"
    listing.notes.append(f"submodule {show(path)} is not checked out; to include it: {command}")


def _add_nested(listing: _Listing, root: Path, path: bytes, *, untracked: bool) -> None:
    folder = root / os.fsdecode(path)
    if _head(folder)[0]:
        raise LookError(f"{show(path)}/.git is no git repository; remove it, or check it out again")
    inner = _list_repository(folder, untracked=untracked)
    listing.files.update(path + b"/" + file for file in inner.files)
    listing.notes.extend(f"{show(path)}: {note}" for note in inner.notes)


def _git(root: Path, *args: str) -> subprocess.Popen[bytes]:
    # A file system monitor would be a process that outlives us.
    argv = ["git", "-c", "core.fsmonitor=false", *args]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(  # noqa: S603 - our own arguments
            argv, cwd=root, env=git_env(), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )
    except FileNotFoundError as error:
        raise LookError("git was not found in the PATH; install git") from error
    except OSError as error:
        raise LookError(f"can't run git in {root}: {error.strerror}") from error


def _outputs(root: Path, *gits: subprocess.Popen[bytes]) -> list[list[bytes]]:
    said = [git.communicate() for git in gits]
    for git, (_, err) in zip(gits, said, strict=True):
        if git.returncode or b"could not open directory" in err:
            raise _refused(root, err)
    return [out.split(b"\0")[:-1] for out, _ in said]


def _refused(root: Path, err: bytes) -> LookError:
    said = err.decode(errors="backslashreplace").strip()
    if match := re.search(r"git config --global --add safe\.directory .+", said):
        return LookError(f"{root} belongs to another user, so git refuses it; run: {match[0]}")
    return LookError(f"git can't read the repository of {root}: {' '.join(said.split())}")


def _walk(root: bytes, below: bytes = b"") -> Iterator[bytes]:
    """All files below a folder, but those in caches and virtual environments."""
    try:
        with os.scandir(root + b"/" + below) as scan:
            entries = list(scan)
    except OSError as error:
        raise LookError(
            f"can't read the folder {show(below or root)} of the source: {error.strerror}"
        ) from error
    if below and {entry.name for entry in entries} & {CACHE_TAG.encode(), b"pyvenv.cfg"}:
        return
    for entry in entries:
        path = below + b"/" + entry.name if below else entry.name
        if not entry.is_dir(follow_symlinks=False):
            yield path
        elif entry.name not in _SKIPPED:
            yield from _walk(root, path)
