"""Finds what there is to read below the paths that a person named."""

import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llm_twin.corpus.document import NotTakenError
from llm_twin.corpus.readers import FORMATS
from llm_twin.corpus.readers.repository import is_bare, is_repository, stamp_of
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.errors import UsageError

if TYPE_CHECKING:
    from dulwich.ignore import IgnoreFilterManager

_LEFT_OUT: Final = frozenset({"node_modules", "__pycache__", "__MACOSX", "site-packages"})
_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True)
class Unit:
    """A file, or a repository's commits.

    Attributes:
        key: Its absolute path as text; a repository's ends in `.git`.
        path: The file, or the repository's folder.
        source: Its address, see `Document.source`.
        stamp: Changes when it is written to.
        repository: Whether it is a repository.
    """

    key: str
    path: Path
    source: str
    stamp: str
    repository: bool = False


@dataclass
class Found:
    """What was found.

    Attributes:
        units: What can be read, in order, each once.
        skipped: Key, source and reason of what can't.
        others: How many files of other formats there are, by the end of their names.
        roots: The keys of the paths that were looked at.
        unseen: Keys of folders that could not be looked into: what was read from there stays.
    """

    units: dict[str, Unit] = field(default_factory=dict)
    skipped: list[tuple[str, str, str]] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    roots: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)

    def covers(self, key: str) -> bool:
        """Tell whether a file would have been found if it were there."""
        return any(_below(key, root) for root in self.roots) and not any(
            _below(key, folder) for folder in self.unseen
        )


def discover(paths: Sequence[Path], rules: CorpusSettings, known: Sequence[str]) -> Found:
    """Look for files and repositories.

    Args:
        paths: Files and folders.
        rules: The settings.
        known: Keys of what was read before; one that is gone is no mistake.

    Raises:
        UsageError: A path is not there.
    """
    found = Found()
    for path in paths:
        # Not resolved: a link that a person names stands for what it leads to.
        root = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve would follow links
        found.roots.append(key_of(root))
        if not root.exists():
            if key_of(root) not in known:
                raise UsageError(f"{path}: no such file or folder")
        elif root.is_dir():
            _Walk(found, rules, root).walk(root, root.name or "root", None)
        else:
            _Walk(found, rules, root.parent).file(root, root.name, named=True)
    return found


def key_of(path: Path) -> str:
    """Return a path as text that a database can hold, also where it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def digest_of(unit: Unit) -> str:
    """Return the SHA-256 of a file in hex; a repository's stamp says all."""
    if unit.repository:
        return unit.stamp
    with unit.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _Walk:
    """Walks one root."""

    def __init__(self, found: Found, rules: CorpusSettings, root: Path) -> None:
        self._found = found
        self._rules = rules
        self._inside = root.resolve()

    def walk(self, folder: Path, source: str, ignored: "_Ignored | None") -> None:
        """Take a folder with all below it, in the order of names."""
        try:
            if is_repository(folder):
                self._repository(folder, source)
                if is_bare(folder):
                    return
                ignored = _Ignored(folder)
            children = sorted(folder.iterdir())
            folders = {child for child in children if child.is_dir() and not child.is_symlink()}
            installed = (folder / "pyvenv.cfg").exists()
        except OSError as error:
            self._found.unseen.append(key_of(folder))
            self._skip(folder, source, f"can't be looked into: {error.strerror}")
            return
        for child in [] if installed else children:
            if child.name.startswith(".") or (ignored and ignored.covers(child)):
                continue
            below = f"{source}/{key_of(Path(child.name))}"
            if child not in folders:
                self.file(child, below, named=False)
            elif child.name not in _LEFT_OUT:
                self.walk(child, below, ignored)

    def file(self, path: Path, source: str, *, named: bool) -> None:
        """Take a file.

        Args:
            path: Where it is.
            source: Its address.
            named: Whether a person named it: then it is told where its format is not read.
        """
        suffix = path.suffix.lower()
        if suffix not in FORMATS:
            if named:
                self._skip(path, source, "is of a format that is not read")
            elif not path.is_dir():
                kind = suffix if suffix.isprintable() else "other"
                self._found.others[kind] = self._found.others.get(kind, 0) + 1
            return
        try:
            about = path.stat()
            inside = named or path.resolve().is_relative_to(self._inside)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "a link that leads in a circle"
            self._skip(path, source, f"can't be read: {reason}")
            return
        limit = self._rules.max_file_mb
        if not stat.S_ISREG(about.st_mode):
            if not stat.S_ISDIR(about.st_mode):
                self._skip(path, source, "is not a regular file")
        elif not inside:
            self._skip(path, source, "is a link that leads out of the folder")
        elif about.st_size > limit * _MEGABYTE:
            self._skip(path, source, f"is larger than {limit} MB (corpus.max_file_mb)")
        elif about.st_size == 0:
            self._skip(path, source, "is empty")
        else:
            stamp = f"{about.st_size} {about.st_mtime_ns} {about.st_ctime_ns} {about.st_ino}"
            key = key_of(path)
            self._found.units.setdefault(key, Unit(key, path, source, stamp))

    def _repository(self, folder: Path, source: str) -> None:
        key = key_of(folder / ".git")
        try:
            stamp = stamp_of(folder, self._rules)
        except NotTakenError as error:
            self._found.unseen.append(key)
            self._skip(folder / ".git", source, str(error))
            return
        unit = Unit(key, folder, f"git:{source}", stamp, repository=True)
        self._found.units.setdefault(key, unit)

    def _skip(self, path: Path, source: str, reason: str) -> None:
        self._found.skipped.append((key_of(path), source, reason))


class _Ignored:
    """What a repository's `.gitignore` files leave out."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._rules: IgnoreFilterManager | None = None
        self._tried = False

    def covers(self, path: Path) -> bool:
        """Tell whether a path below the root is ignored."""
        if not self._tried:
            self._tried = True
            self._rules = self._read()
        if self._rules is None:
            return False
        relative = path.relative_to(self._root).as_posix() + ("/" if path.is_dir() else "")
        return bool(self._rules.is_ignored(relative))

    def _read(self) -> "IgnoreFilterManager | None":
        from dulwich.errors import NotGitRepository
        from dulwich.ignore import IgnoreFilterManager
        from dulwich.repo import Repo

        try:
            with Repo(str(self._root)) as repository:
                return IgnoreFilterManager.from_repo(repository)
        except (NotGitRepository, OSError, KeyError, ValueError, NotImplementedError):
            return None  # told where its commits are read; its files are files still


def _below(key: str, root: str) -> bool:
    return key == root or key.startswith(root.rstrip("/") + "/")
