"""Reads files in a process of its own.

Documents come from anywhere. One that takes all memory, never ends or crashes a library written in
C costs its own place in the corpus and nothing else.
"""

import logging
import multiprocessing
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, Self

from llm_twin.corpus.discover import Unit
from llm_twin.corpus.document import Entry, Item, NotTakenError, Skip
from llm_twin.corpus.readers import ARCHIVE, reader_of
from llm_twin.corpus.readers.archive import read_archive
from llm_twin.corpus.readers.repository import read_repository
from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

    from llm_twin.corpus.prepare import Preparer
    from llm_twin.corpus.rules import CorpusSettings

_MEMORY: Final = 4 << 30  # bytes
_TO_START: Final = 120  # seconds
_TO_END: Final = 10  # seconds
_Message = Entry | Skip | None
"""None after the last one of a file."""


class Reading:
    """The process that reads, started when it is first needed and again after it died."""

    def __init__(self, preparer: "Preparer") -> None:
        self._preparer = preparer
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def read(self, unit: Unit) -> Iterator[Entry | Skip]:
        """Yield the documents of a file or repository, and what of it was not taken.

        Raises:
            TwinError: The process does not start.
        """
        connection = self._started()
        seconds = self._preparer.rules.max_seconds
        try:
            connection.send(unit)
            while connection.poll(seconds):
                message: _Message = connection.recv()
                if message is None:
                    return
                yield message
        except (EOFError, OSError):
            self._end()
            yield Skip(
                "", "ended the reader: it needs too much memory, or is made to do harm", again=True
            )
            return
        self._end()
        yield Skip("", f"took longer than {seconds} s (corpus.max_seconds)", again=True)

    def _started(self) -> Connection:
        if self._connection is None:
            # Spawned: a fork would share the database's handle.
            context = multiprocessing.get_context("spawn")
            self._connection, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, self._preparer), daemon=True)
            process.start()
            theirs.close()
            self._process = process
            # Starting is not part of any document's time.
            if not _is_ready(self._connection):
                self._end()
                raise TwinError(
                    "the process that reads files did not start; close other programs and try again"
                )
        return self._connection

    def _end(self) -> None:
        if self._connection is None or self._process is None:
            return
        self._connection.close()
        self._connection = None
        # Idle it ends by itself, as its pipe is closed.
        self._process.join(0.5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join(_TO_END)
        self._process.close()
        self._process = None


def _is_ready(connection: Connection) -> bool:
    try:
        return connection.poll(_TO_START) and connection.recv() is None
    except (EOFError, OSError):
        return False


def serve(connection: Connection, preparer: "Preparer") -> None:
    """Read what is asked for until the other end closes; the target of the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    _limit_memory()
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with suppress(EOFError, OSError):  # the other end closed
        connection.send(None)
        while True:
            unit: Unit = connection.recv()
            for message in _messages(unit, preparer):
                connection.send(message)
            connection.send(None)


def _messages(unit: Unit, preparer: "Preparer") -> Iterator[Entry | Skip]:
    names: dict[str, int] = {}
    try:
        for item in _items(unit, preparer.rules):
            # A record's name may be an address of its author's.
            name = preparer.masker.mask_text(item.name)
            seen = names[name] = names.get(name, 0) + 1
            named = replace(item, name=name if seen == 1 else f"{name}~{seen}")
            if isinstance(named, Skip):
                yield named
            else:
                yield preparer.entry(named, unit.source, unit.key)
    except NotTakenError as error:
        yield Skip("", str(error))
    except MemoryError:
        yield Skip("", f"needs more than {_MEMORY >> 30} GB of memory to be read", again=True)
    except RecursionError:
        yield Skip("", "is nested too deeply")
    except OSError as error:
        yield Skip("", f"can't be read: {error.strerror or type(error).__name__}", again=True)
    except Exception as error:  # noqa: BLE001 - whatever a library says of a bad file
        yield Skip("", f"can't be read: {type(error).__name__}")


def _items(unit: Unit, rules: "CorpusSettings") -> Iterator[Item | Skip]:
    if unit.repository:
        yield from read_repository(unit.path, rules)
    elif unit.path.suffix.lower() == ARCHIVE:
        yield from read_archive(unit.path, rules)
    else:
        read = reader_of(unit.path.name)
        assert read is not None  # noqa: S101 - the name was looked at before
        yield from read(_bytes(unit, rules), unit.path.name, rules)


def _bytes(unit: Unit, rules: "CorpusSettings") -> bytes:
    limit = rules.max_file_mb << 20
    with unit.path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:  # it grew since it was looked at
        raise NotTakenError(f"is larger than {rules.max_file_mb} MB (corpus.max_file_mb)")
    return data


def _limit_memory() -> None:
    if sys.platform == "linux":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        most = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
