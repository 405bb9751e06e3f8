"""The folder that holds all state: its schema version, its parts, and locks between processes."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from llm_twin.errors import TwinError, UsageError

VERSION_FILE: Final = "VERSION"
RESTORED: Final = "restored"
"""A folder with parts of a backup that are whole and have to take their places."""
_TRIED_EVERY: Final = 0.05  # seconds

Migration = Callable[[Path], None]
"""Brings a folder to the next version; run again after an interruption, it must do no harm."""

MIGRATIONS: Final[Sequence[Migration]] = ()
"""What leads from version 1 to 2, from 2 to 3, and so on."""

NEWEST: Final = len(MIGRATIONS) + 1
"""The version of the state folders that this code makes."""


class Home:
    """The state folder; made where it is missing, brought up to date where it is old.

    Attributes:
        path: The folder. Only its owner may look into it.
    """

    def __init__(self, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
        """Make or open the folder.

        Raises:
            UsageError: The folder holds other things, or is of a newer version of llm-twin.
            TwinError: The folder can't be made or read.
        """
        self.path = path
        self._held: set[str] = set()
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._open(migrations)
        except OSError as error:
            raise TwinError(
                f"{path}: can't be used as the state folder: {error.strerror}; "
                "set LLM_TWIN_HOME to a folder that can be written"
            ) from None

    @property
    def corpus_db(self) -> Path:
        """The documents, an SQLite database."""
        return self.path / "corpus.db"

    @property
    def spool_db(self) -> Path:
        """The traces, an SQLite database."""
        return self.path / "spool.db"

    @property
    def index_dir(self) -> Path:
        """The embedded vector store's folders, and which of them is in use."""
        return self.path / "index"

    @property
    def cache_dir(self) -> Path:
        """What can be made anew at any time; made on first use."""
        folder = self.path / "cache"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @contextmanager
    def lock(self, name: str, wait: float = 0) -> Iterator[None]:
        """Hold a lock that one process at a time can have; the system frees it when we die.

        Within the block the same `Home` may take it again.

        Args:
            name: What is locked, a word such as `ingest`.
            wait: Seconds to wait for another process that holds it.

        Raises:
            TwinError: Another process holds it still.
        """
        if name in self._held:
            yield
            return
        folder = self.path / "locks"
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _acquire(handle, name, time.monotonic() + wait)
            self._held.add(name)
            yield
        finally:
            self._held.discard(name)
            os.close(handle)

    def _open(self, migrations: Sequence[Migration]) -> None:
        newest = len(migrations) + 1
        if (self.path / RESTORED).is_dir():
            with self.lock("restore", wait=60):
                finish_restore(self.path)
        version = self._version()
        if version is None:
            # Another process may be about to write the version.
            if any(not each.name.startswith(VERSION_FILE) for each in self.path.iterdir()):
                raise UsageError(
                    f"{self.path}: is not empty and not a state folder of llm-twin; "
                    "set LLM_TWIN_HOME to a new or empty folder"
                )
            self.path.chmod(0o700)
            self._write(newest)
        elif version > newest:
            raise UsageError(
                f"{self.path}: is of version {version}, and this llm-twin knows up to {newest}; "
                "install a newer llm-twin or set LLM_TWIN_HOME to another folder"
            )
        elif version < newest:
            with self.lock("migration", wait=60):
                for step in range(self._version() or version, newest):
                    migrations[step - 1](self.path)
                    self._write(step + 1)

    def _version(self) -> int | None:
        try:
            text = (self.path / VERSION_FILE).read_text(encoding="ascii").strip()
            return int(text)
        except FileNotFoundError:
            return None
        except ValueError:
            raise UsageError(
                f"{self.path / VERSION_FILE}: holds no version; set LLM_TWIN_HOME to another "
                "folder and bring a backup back there with `llm-twin restore`"
            ) from None

    def _write(self, version: int) -> None:
        write_whole(self.path / VERSION_FILE, f"{version}\n".encode())


def finish_restore(path: Path) -> None:
    """Put the parts of a backup in their places; after an interruption it goes on where it was.

    Raises:
        OSError: A part can't be moved.
    """
    parts = path / RESTORED
    if not parts.is_dir():
        return
    # What the backup holds, with the journals of databases that are replaced. The version is last.
    for part in sorted(parts.iterdir(), key=lambda part: part.name == VERSION_FILE):
        old = path / part.name
        if old.is_dir():
            shutil.rmtree(old)
        for journal in ("-wal", "-shm"):
            old.with_name(f"{old.name}{journal}").unlink(missing_ok=True)
        part.replace(old)
        sync_folder(path)
    parts.rmdir()
    sync_folder(path)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all, whenever the machine stops.

    Raises:
        OSError: The file can't be written.
    """
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: without it a new file may be gone after a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _acquire(handle: int, name: str, until: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(_TRIED_EVERY)
                continue
            holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip()
            process = f" (process {holder})" if holder else ""
            raise TwinError(
                f"another {name} is running{process}; wait for it to end and try again"
            ) from None
        os.truncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        return
