"""Takes files into the corpus: only what changed is read, and it is all taken or nothing."""

import hashlib
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from llm_twin import masking
from llm_twin.corpus import cleaning, dedupe
from llm_twin.corpus.discover import Found, Unit, digest_of, discover
from llm_twin.corpus.document import Entry, Skip
from llm_twin.corpus.forgotten import Veil
from llm_twin.corpus.prepare import Preparer
from llm_twin.corpus.report import Report
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.corpus.store import Corpus
from llm_twin.corpus.worker import Reading
from llm_twin.progress import Progress
from llm_twin.settings import Settings
from llm_twin.values import secrets_in

# What changes how a document comes out; limits and duplicates don't.
_RULES: Final = {"max_file_mb", "max_seconds", "near_duplicates"}


@dataclass(frozen=True)
class _Known:
    """What is known of a file since it was last read."""

    stamp: str
    digest: str
    reader: str


def ingest(paths: Sequence[Path], corpus: Corpus, settings: Settings, progress: Progress) -> Report:
    """Take files and folders into the corpus, and leave what is gone from them out of it.

    The caller holds the lock `ingest` of the state folder.

    Raises:
        UsageError: A path is not there.
        TwinError: The corpus can't be written.
    """
    rules = settings.corpus
    reader = _reader(rules)
    known = {
        path: _Known(stamp, digest, read_with)
        for path, stamp, digest, read_with in corpus.db.execute("SELECT * FROM files")
    }
    found = discover(paths, rules, list(known))
    found.skipped.sort()
    gone = [key for key in sorted(known) if key not in found.units and found.covers(key)]
    report = Report(others=dict(sorted(found.others.items())))
    touched = [unit for _, unit in sorted(found.units.items()) if _moved(unit, known, reader)]
    report.unchanged = len(found.units) - len(touched)
    if touched or gone or corpus.meta("near_duplicates") != str(rules.near_duplicates):
        preparer = Preparer.of(rules, list(secrets_in(settings)), veil_of(corpus))
        with corpus.writing() as db, Reading(preparer) as reading:
            _remove(db, gone, report, found)
            progress.begin("reading", len(touched))
            run = _Run(db, reading, preparer, reader, report)
            for unit in touched:
                run.take(unit, known.get(unit.key))
                progress.advance()
            dedupe.mark_duplicates(corpus, rules.near_duplicates)
            set_share = "INSERT OR REPLACE INTO meta VALUES ('near_duplicates', ?)"
            db.execute(set_share, (str(rules.near_duplicates),))
    _complete(report, corpus, found)
    return report


def veil_of(corpus: Corpus) -> Veil:
    """Return what finds again what was forgotten."""
    rows = corpus.db.execute("SELECT hash, kind, words FROM forgotten").fetchall()
    return Veil.of(corpus.salt(), rows)


def _reader(rules: CorpusSettings) -> str:
    """Return what tells whether a file would come out the same today."""
    said = rules.model_dump_json(exclude=_RULES)
    versions = f"{cleaning.VERSION} {masking.VERSION} {said}"
    return hashlib.sha256(versions.encode()).hexdigest()[:16]


def _moved(unit: Unit, known: dict[str, _Known], reader: str) -> bool:
    last = known.get(unit.key)
    return last is None or last.stamp != unit.stamp or last.reader != reader


def _remove(db: sqlite3.Connection, gone: Sequence[str], report: Report, found: Found) -> None:
    unreadable = {key for key, _, _ in found.skipped}
    for key in gone:
        sources = db.execute("SELECT min(source) FROM entries WHERE path = ?", (key,)).fetchone()
        db.execute("DELETE FROM files WHERE path = ?", (key,))
        if key not in unreadable:
            report.removed.append(sources[0] or key.rpartition("/")[2])


@dataclass(frozen=True)
class _Run:
    """Reads files and stores what they hold."""

    db: sqlite3.Connection
    reading: Reading
    preparer: Preparer
    reader: str
    report: Report

    def take(self, unit: Unit, last: _Known | None) -> None:
        """Take a file, in the place of what it held before; leave it where it is the same."""
        try:
            digest = digest_of(unit)
        except OSError as error:
            digest = f"unread: {error.strerror}"
        if last and last.digest == digest and last.reader == self.reader:
            self.db.execute("UPDATE files SET stamp = ? WHERE path = ?", (unit.stamp, unit.key))
            self.report.unchanged += 1
            return
        self.db.execute("DELETE FROM files WHERE path = ?", (unit.key,))
        row = (unit.key, unit.stamp, digest, self.reader)
        self.db.execute("INSERT INTO files VALUES (?, ?, ?, ?)", row)
        taken = 0
        for message in self.reading.read(unit):
            if isinstance(message, Skip):
                self._skip(unit, message)
            else:
                taken += 1
                store_entry(self.db, unit.key, message)
        if taken:
            (self.report.changed if last else self.report.taken).append(unit.source)

    def _skip(self, unit: Unit, skip: Skip) -> None:
        source = self.preparer.masker.mask_text(f"{unit.source}{skip.name}")
        row = (unit.key, skip.name, source, skip.reason)
        self.db.execute("INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?)", row)
        if skip.again:
            change = "UPDATE files SET stamp = '', digest = '' WHERE path = ?"
            self.db.execute(change, (unit.key,))


def store_entry(db: sqlite3.Connection, path: str, entry: Entry) -> None:
    """Store a document and where it is from."""
    document = entry.document
    content = (document.id, document.text, entry.signature)
    db.execute("INSERT OR IGNORE INTO contents VALUES (?, ?, ?, NULL)", content)
    row = (path, entry.name, document.id, document.source, document.title, document.author)
    db.execute(
        "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, document.date, document.url, document.kind, entry.writer),
    )


def _complete(report: Report, corpus: Corpus, found: Found) -> None:
    report.skipped = [(source, reason) for _, source, reason in found.skipped]
    rows = corpus.db.execute("SELECT path, source, reason FROM skipped ORDER BY path, name")
    report.skipped += [(source, reason) for path, source, reason in rows if found.covers(path)]
    for kept, rows_of in (
        (report.exact, dedupe.exact_duplicates),
        (report.near, dedupe.near_duplicates),
    ):
        kept += [(source, of) for path, source, of in rows_of(corpus.db) if found.covers(path)]
    report.documents = len(corpus)
    report.snapshot = corpus.snapshot()
