"""Backups: one file with corpus, traces and index, each as it was at one moment.

A zip archive: `manifest.json` with the size and SHA-256 of every part, and the parts. It is read
back part by part, and nothing in the state folder changes before all of them were right.
"""

import hashlib
import json
import os
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Final

from llm_twin.corpus.store import guarded
from llm_twin.errors import RefusedError, TwinError, UsageError
from llm_twin.home import NEWEST, RESTORED, VERSION_FILE, Home, finish_restore, sync_folder

_MANIFEST: Final = "manifest.json"
_SCHEMA: Final = 1
_BLOCK: Final = 1 << 20
_LONGEST_MANIFEST: Final = 64 << 20
_WAIT: Final = 60.0  # seconds for an index to be built


@dataclass(frozen=True)
class Part:
    """A part of a backup: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


def backup(home: Home, target: Path, *, force: bool = False) -> int:
    """Write a backup; nobody but its owner may read it.

    Args:
        home: The state folder.
        target: The file.
        force: Whether a file that is there is replaced.

    Returns:
        Its size in bytes.

    Raises:
        UsageError: The file is there, or within the state folder.
        TwinError: It can't be written, or a part can't be read.
    """
    if target.exists() and not force:
        raise UsageError(f"{target}: is there already; name another file or add --force")
    if target.resolve().is_relative_to(home.path.resolve()):
        raise UsageError(f"{target}: is within the state folder; name a file outside of it")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    work = home.path / f"backup.{os.getpid()}"
    try:
        with home.lock("ingest", wait=_WAIT), home.lock("index", wait=_WAIT):
            _clear(home, "backup.*")
            work.mkdir(mode=0o700)
            _copy_databases(home, work)
            handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as file:
                _write(file, _files(home, work))
                file.flush()
                os.fsync(file.fileno())
        unfinished.replace(target)
        sync_folder(target.absolute().parent)
        return target.stat().st_size
    except OSError as error:
        raise TwinError(f"{target}: can't be written: {error.strerror}") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
        with suppress(OSError):
            unfinished.unlink()


def restore(source: Path, home: Home, *, force: bool = False) -> dict[str, Part]:
    """Bring the state folder to what a backup holds; a service on it has to be stopped before.

    Traces stay where the backup has none.

    Args:
        source: The backup.
        home: The state folder.
        force: Whether a corpus, index or traces that are there are replaced.

    Returns:
        The parts that were restored, by their names.

    Raises:
        UsageError: The file is no backup, or one of a newer version.
        RefusedError: The state folder holds something already.
        TwinError: The backup is damaged, or can't be read or unpacked.
    """
    with home.lock("ingest"), home.lock("index"):
        taken = [name for name in _names(home) if name != VERSION_FILE]
        if taken and not force:
            raise RefusedError(
                f"{home.path}: holds {', '.join(taken)}; --force replaces it, or set LLM_TWIN_HOME "
                "to another folder"
            )
        staged = home.path / f"{RESTORED}.{os.getpid()}"
        try:
            _clear(home, f"{RESTORED}.*")
            with _opened(source) as archive:
                parts = _manifest(archive, source)
                staged.mkdir(mode=0o700)
                for name, part in parts.items():
                    _unpack(archive, source, name, part, staged)
            _check_version(staged, source)
            # An index of other documents would be of no use.
            (staged / home.index_dir.name).mkdir(mode=0o700, exist_ok=True)
            _sync(staged)
            # From here on it is done, whatever happens: whoever opens the folder next goes on.
            staged.rename(home.path / RESTORED)
            sync_folder(home.path)
            finish_restore(home.path)
        except OSError as error:
            raise TwinError(f"{home.path}: can't be restored: {error.strerror}") from None
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    return parts


def _names(home: Home) -> list[str]:
    """Return the state folder's parts that are there, as names."""
    paths = (home.corpus_db, home.spool_db, home.index_dir, home.path / VERSION_FILE)
    return [path.name for path in paths if path.exists()]


def _copy_databases(home: Home, work: Path) -> None:
    for path in (home.corpus_db, home.spool_db):
        if path.exists():
            with (
                guarded(path),
                closing(sqlite3.connect(path, timeout=_WAIT)) as db,
                closing(sqlite3.connect(work / path.name)) as copy,
            ):
                db.backup(copy)


def _files(home: Home, work: Path) -> Iterator[tuple[str, Path]]:
    """Yield what belongs into a backup: the name there, and the file."""
    yield VERSION_FILE, home.path / VERSION_FILE
    for path in sorted(work.iterdir()):
        yield path.name, path
    from llm_twin.retrieval import files

    current = files.current(home.index_dir)
    if current is not None and current.is_dir():
        top = home.index_dir
        for path in sorted([top / files.CURRENT, *current.rglob("*")]):
            if path.is_file():
                yield f"{top.name}/{path.relative_to(top).as_posix()}", path


def _write(file: IO[bytes], members: Iterator[tuple[str, Path]]) -> None:
    parts: dict[str, dict[str, object]] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in members:
            digest, size = hashlib.sha256(), 0
            with path.open("rb") as part, archive.open(name, "w", force_zip64=True) as packed:
                while block := part.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
                    packed.write(block)
            parts[name] = {"size": size, "sha256": digest.hexdigest()}
        about = {"schema": _SCHEMA, "made": datetime.now(UTC).isoformat(), "parts": parts}
        archive.writestr(_MANIFEST, json.dumps(about, indent=2))


@contextmanager
def _opened(source: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with source.open("rb") as file, zipfile.ZipFile(file) as archive:
            yield archive
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise UsageError(f"{source}: can't be read: {error.strerror}") from None
    except zipfile.BadZipFile:
        raise UsageError(f"{source}: is no backup of llm-twin, or is cut short") from None


def _manifest(archive: zipfile.ZipFile, source: Path) -> dict[str, Part]:
    try:
        with archive.open(_MANIFEST) as file:
            about = json.loads(file.read(_LONGEST_MANIFEST))
        if about["schema"] != _SCHEMA:
            raise UsageError(f"{source}: was made by a newer llm-twin; restore it with that one")
        parts = {
            str(name): Part(int(part["size"]), str(part["sha256"]))
            for name, part in about["parts"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error, EOFError, RuntimeError):
        raise UsageError(f"{source}: is no backup of llm-twin") from None
    if VERSION_FILE not in parts:
        raise UsageError(f"{source}: is no backup of llm-twin")
    for name in parts:
        if not _belongs(name):
            raise UsageError(f"{source}: holds {name!r}, which no backup does; nothing was changed")
    return parts


def _belongs(name: str) -> bool:
    pieces = name.split("/")
    plain = all(
        piece not in {"", ".", ".."} and piece.isprintable() and "\\" not in piece
        for piece in pieces
    )
    single = len(pieces) == 1 and name in {VERSION_FILE, "corpus.db", "spool.db"}
    return plain and PurePosixPath(name).as_posix() == name and (single or pieces[0] == "index")


def _unpack(archive: zipfile.ZipFile, source: Path, name: str, part: Part, staged: Path) -> None:
    path = staged / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    try:
        with archive.open(name) as packed, path.open("xb") as file:
            path.chmod(0o600)
            # No further than the manifest says, however much it would unpack to.
            while size <= part.size and (block := packed.read(_BLOCK)):
                digest.update(block)
                size += len(block)
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except (KeyError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError):
        raise _damaged(source, name) from None
    if (size, digest.hexdigest()) != (part.size, part.sha256):
        raise _damaged(source, name)


def _check_version(staged: Path, source: Path) -> None:
    text = (staged / VERSION_FILE).read_bytes().strip()
    if not text.isdigit() or not 1 <= int(text) <= NEWEST:
        raise UsageError(f"{source}: was made by a newer llm-twin; restore it with that one")


def _clear(home: Home, pattern: str) -> None:
    """Remove what was left by one that was killed."""
    for path in home.path.glob(pattern):
        shutil.rmtree(path, ignore_errors=True)


def _damaged(source: Path, name: str) -> TwinError:
    return TwinError(f"{source}: {name} is damaged; nothing was changed; take another backup")


def _sync(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
