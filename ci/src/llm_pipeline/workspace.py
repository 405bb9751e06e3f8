"""The copy of the source that checks run in: what belongs to it, copying it, and where it lies."""

# ruff: noqa: PTH102, PTH108, PTH114, PTH115, PTH211 - names are bytes, which Path does not take

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from llm_pipeline.errors import LookError, UsageError
from llm_pipeline.source import CACHE_TAG, CACHE_TAG_TEXT, SourceFiles, show

SLOTS = 8
"""How many runs of one source may go on at the same time."""

_BLOCK = 1 << 20
_CACHE = "LLM_PIPELINE_CACHE"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file of the source that is not in the copy, and why."""

    path: bytes
    reason: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{show(self.path)} was left out: {self.reason}"


def copy_source(source: SourceFiles, target: Path) -> list[LeftOut]:
    """Copy the files of a source to `target`, which is emptied first.

    Contents, times and permissions are kept, but the owner may always write. Symbolic links stay
    links, unless they lead out of the source: through those a check could write outside the copy.

    Returns:
        The files that were left out: links that lead out, and what is neither file nor link.

    Raises:
        UsageError: `target` holds the source.
        LookError: A file can't be read, or `target` can't be written.
    """
    target = target.parent.resolve() / target.name if target.is_symlink() else target.resolve()
    if source.root.is_relative_to(target):
        raise UsageError(f"the copy can't go to {target}: the source {source.root} lies there")
    with _writing(target):
        empty(target)
        copying = _Copying(os.fsencode(source.root), os.fsencode(target))
        for path in source.files:
            copying.add(path)
        return copying.finish()


def link_tree(origin: Path, target: Path, files: Iterable[bytes]) -> None:
    """Make `target`, emptied first, hold `files` of `origin` and nothing else, as hard links.

    Where links can't be made, files are copied. What `origin` lacks is passed over. A file must
    not be changed in place in either tree: it would change in both.

    Raises:
        LookError: `target` can't be written.
    """
    with _writing(target):
        empty(target)
        start, end = os.fsencode(origin), os.fsencode(target)
        made = {b""}
        for path in files:
            _make_parents(end, path, made)
            with suppress(FileNotFoundError, NotADirectoryError):
                _link(start + b"/" + path, end + b"/" + path)


class _Copying:
    """Copying one source: files at once, links at the end, when no file can go through them."""

    def __init__(self, root: bytes, target: bytes) -> None:
        self._root = root
        self._target = target
        self._made = {b""}
        self._links: list[tuple[bytes, bytes]] = []
        self._left_out: list[LeftOut] = []

    def add(self, path: bytes) -> None:
        origin = self._root + b"/" + path
        try:
            # A named pipe must not make us wait, nor a link lead us elsewhere.
            handle = os.open(origin, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            self._left_out.append(LeftOut(path, "it vanished while the source was copied"))
            return
        except OSError as error:
            self._add_special(path, origin, error)
            return
        try:
            status = os.fstat(handle)
            if stat.S_ISREG(status.st_mode):
                _make_parents(self._target, path, self._made)
                _copy_file(handle, status, path, self._target + b"/" + path)
            else:
                self._left_out.append(LeftOut(path, _kind(status.st_mode)))
        finally:
            os.close(handle)

    def _add_special(self, path: bytes, origin: bytes, error: OSError) -> None:
        mode = os.lstat(origin).st_mode
        if stat.S_ISLNK(mode):
            self._links.append((path, os.readlink(origin)))
        elif stat.S_ISREG(mode):
            raise _unreadable(path, error) from error
        else:
            self._left_out.append(LeftOut(path, _kind(mode)))

    def finish(self) -> list[LeftOut]:
        """Make the links, and take away again those that lead out of the copy."""
        made = []
        for path, aim in self._links:
            if aim.startswith(b"/"):
                self._left_out.append(LeftOut(path, f"a link to the absolute path {show(aim)}"))
                continue
            _make_parents(self._target, path, self._made)
            os.symlink(aim, self._target + b"/" + path)
            made.append((path, aim))
        # Only the finished copy tells where a link leads: others may lie on its way.
        for path, aim in [link for link in made if self._leads_out(link[0])]:
            os.unlink(self._target + b"/" + path)
            reason = f"a link that leads out of the source, to {show(aim)}"
            self._left_out.append(LeftOut(path, reason))
        return self._left_out

    def _leads_out(self, path: bytes) -> bool:
        end = os.path.realpath(self._target + b"/" + path)
        return not (end + b"/").startswith(self._target + b"/")


def _copy_file(origin: int, status: os.stat_result, path: bytes, target: bytes) -> None:
    mode = stat.S_IMODE(status.st_mode) & 0o777 | stat.S_IRUSR | stat.S_IWUSR
    copy = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        while block := _read(origin, min(status.st_size + 1, _BLOCK), path):
            while block:
                block = block[os.write(copy, block) :]
        os.fchmod(copy, mode)
        os.utime(copy, ns=(status.st_atime_ns, status.st_mtime_ns))
    finally:
        os.close(copy)


def _read(handle: int, size: int, path: bytes) -> bytes:
    try:
        return os.read(handle, size)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: bytes, error: OSError) -> LookError:
    msg = f"can't read {show(path)} of the source: {error.strerror}; let this user read it"
    return LookError(msg)


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def _make_parents(root: bytes, path: bytes, made: set[bytes]) -> None:
    folder = path.rpartition(b"/")[0]
    if folder not in made:
        _make_parents(root, folder, made)
        os.mkdir(root + b"/" + folder)
        made.add(folder)


def _link(origin: bytes, target: bytes) -> None:
    if os.path.islink(origin):
        os.symlink(os.readlink(origin), target)
        return
    try:
        os.link(origin, target)
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP}:
            raise
        shutil.copy2(origin, target)


def empty(folder: Path) -> None:
    """Make `folder` an empty folder, even where a test left folders that nobody may write."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        try:
            shutil.rmtree(folder)
        except PermissionError:
            folder.chmod(0o700)
            for parent, names, _ in os.walk(folder):
                for path in (Path(parent, name) for name in names):
                    if not path.is_symlink():
                        path.chmod(0o700)
            shutil.rmtree(folder)
    folder.mkdir(parents=True)


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise LookError(
                f"the disk is full: can't write {target}; make room, or set {_CACHE} elsewhere"
            ) from error
        raise LookError(
            f"can't write {target}: {error.strerror or error}; set {_CACHE} to another folder"
        ) from error


def cache_dir() -> Path:
    """Where copies, environments and tools are kept between runs.

    ``LLM_PIPELINE_CACHE``, else ``llm-pipeline`` in ``XDG_CACHE_HOME``, else in the user's cache.

    Raises:
        LookError: There is no home folder to put it in.
    """
    if named := os.environ.get(_CACHE):
        return Path(named).absolute()
    # The XDG base directory specification: a relative path is to be ignored.
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if xdg.is_absolute():
        return xdg / "llm-pipeline"
    try:
        home = Path.home()
    except RuntimeError as error:
        raise LookError(
            f"there is no home folder to keep a cache in; set {_CACHE} to a folder"
        ) from error
    parts = ("Library", "Caches") if sys.platform == "darwin" else (".cache",)
    return home.joinpath(*parts, "llm-pipeline")


def slot_name(source: Path) -> str:
    """Return the name under which a cache keeps what belongs to a source: one for each path."""
    source = source.resolve()
    slug = re.sub(r"[^a-z0-9]+", "-", source.name.lower()).strip("-")[:40] or "source"
    return f"{slug}-{hashlib.sha256(os.fsencode(source)).hexdigest()[:12]}"


@contextmanager
def slot(cache: Path, source: Path) -> Iterator[Path]:
    """Lend a folder of `cache` to one run of `source`, the same one from run to run.

    While another run holds it, the next free one of eight. The lock goes with the process, however
    that ends. The folder's content stays as the last run left it.

    Raises:
        LookError: `cache` can't be written, or all folders are taken.
    """
    name = slot_name(source)
    _make_cache(cache)
    for number in range(1, SLOTS + 1):
        folder = cache / (name if number == 1 else f"{name}-{number}")
        lock = _lock(folder.with_name(f"{folder.name}.lock"))
        if lock is None:
            continue
        try:
            with _writing(folder):
                folder.mkdir(exist_ok=True)
            yield folder
        finally:
            os.close(lock)
        return
    raise LookError(
        f"{SLOTS} runs of {source} are going on already; wait until one of them has ended"
    )


def _make_cache(cache: Path) -> None:
    """Make the cache folder; inside of a source it must not count as a part of that."""
    with _writing(cache):
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        for file, text in ((".gitignore", "*\n"), (CACHE_TAG, CACHE_TAG_TEXT)):
            with suppress(FileExistsError), (cache / file).open("x") as opened:
                opened.write(text)


def _lock(path: Path) -> int | None:
    with _writing(path):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError:
            os.close(handle)
            raise
        return handle
