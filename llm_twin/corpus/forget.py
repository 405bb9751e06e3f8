"""Erases documents and persons from all that the state folder holds, and keeps them out."""

import os
import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from llm_twin.corpus import dedupe, elsewhere
from llm_twin.corpus.discover import key_of
from llm_twin.corpus.document import Document, Entry, identity
from llm_twin.corpus.forgotten import Veil, forms
from llm_twin.corpus.ingest import store_entry, veil_of
from llm_twin.corpus.store import Corpus
from llm_twin.errors import RefusedError, TwinError, UsageError
from llm_twin.home import Home
from llm_twin.progress import Progress
from llm_twin.settings import Settings

_SHORTEST_ID: Final = 8
_FORGOTTEN: Final = "was forgotten"
As = Literal["document", "person"]


@dataclass
class Forgetting:
    """What was erased, and what could not be reached.

    Attributes:
        documents: Sources of the documents that are gone.
        altered: Sources of the documents in which a person's name was replaced.
        traces: How many traces are gone from the spool.
        beyond: What this command can't reach, and what to do about it, a line each.
    """

    documents: list[str] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)
    traces: int = 0
    beyond: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {"schema": 1, **asdict(self)}

    def lines(self) -> list[str]:
        """Return it as lines for a person."""
        done = [f"erased   {source}" for source in self.documents]
        done += [f"changed  {source}: the name is gone" for source in self.altered]
        done += [f"beyond   {each}" for each in self.beyond]
        counts = f"{len(self.documents)} documents erased, {len(self.altered)} changed"
        return [*done, f"{counts}, {self.traces} traces erased"]


def forget(
    term: str, home: Home, settings: Settings, progress: Progress, wanted: As | None = None
) -> Forgetting:
    """Erase a document or a person from corpus, index and spool.

    The caller holds the lock `ingest` of the state folder.

    Args:
        term: A document's id or eight letters of it, source, path, URL or title; or a person's
            name or e-mail address.
        home: The state folder.
        settings: Where index and traces are.
        progress: Told how far it is.
        wanted: What the term means; by default a document, and a person where there is none.

    Raises:
        RefusedError: Nothing is known by that term.
        TwinError: The corpus can't be written. What else could not be erased is in the result, and
            running it again tries again.
    """
    done = Forgetting()
    with Corpus.open(home) as corpus:
        veil = veil_of(corpus)
        found = [] if wanted == "person" else _documents(corpus.db, term)
        if not found and (again := _forgotten_before(corpus, veil, term)):
            terms = again
        elif found:
            terms = _forget_documents(corpus, settings, veil, found, done)
        elif wanted == "document" or not term.strip():
            raise RefusedError(f"{term}: no document has this id, source, path, URL or title")
        else:
            terms = _forget_person(corpus, settings, veil, term, done, sure=wanted == "person")
        left = len(corpus)
        try:
            corpus.scrub()
        except TwinError as error:
            done.beyond.append(f"pages of the database: {error}; then run this command again")
    done.traces = elsewhere.forget(home, settings, progress, terms, left=left, beyond=done.beyond)
    return done


def undo(term: str, corpus: Corpus) -> None:
    """Let what was forgotten by a term be taken again, at the next ingest.

    Raises:
        RefusedError: Nothing was forgotten by that term.
    """
    veil = veil_of(corpus)
    place = _absolute(term)
    rows = corpus.db.execute(
        "SELECT path, name FROM skipped WHERE reason = ? AND (path = ? OR source = ?)",
        (_FORGOTTEN, place, term),
    )
    hashes = {veil.hash(f"{path}\n{name}") for path, name in rows} | {veil.hash(term)}
    hashes |= {veil.name_hash(form)[0] for form in forms(term)}
    with corpus.writing() as db:
        acts = {
            at
            for value in hashes
            for (at,) in db.execute("SELECT at FROM forgotten WHERE hash = ?", (value,))
        }
        if not acts:
            raise RefusedError(f"{term}: nothing was forgotten by this name")
        db.executemany("DELETE FROM forgotten WHERE at = ?", [(at,) for at in acts])
        db.execute("UPDATE files SET stamp = '', digest = ''")


def _forgotten_before(corpus: Corpus, veil: Veil, term: str) -> list[str]:
    """Return what names a document or person that is gone already, but may not be from all."""
    query = "SELECT source FROM skipped WHERE reason = ? AND (path = ? OR source = ?)"
    rows = corpus.db.execute(query, (_FORGOTTEN, _absolute(term), term))
    if sources := [row[0] for row in rows]:
        return sources
    if veil.hash(term) in veil.documents | veil.addresses:
        return [term]
    return forms(term) if veil.hides(term, None) else []


def _documents(db: sqlite3.Connection, term: str) -> list[str]:
    """Return the ids that a term means."""
    if re.fullmatch(rf"[0-9a-f]{{{_SHORTEST_ID},64}}", term):
        query = "SELECT id FROM contents WHERE substr(id, 1, ?) = ?"
        if ids := [row[0] for row in db.execute(query, (len(term), term))]:
            return _one(ids, term)
    place = _absolute(term)
    below = place.rstrip("/") + "/"
    query = (
        "SELECT DISTINCT document FROM entries WHERE source = :term OR url = :term "
        "OR path = :place OR substr(path, 1, length(:below)) = :below"
    )
    values = {"term": term, "place": place, "below": below}
    if ids := [row[0] for row in db.execute(query, values)]:
        return ids
    query = "SELECT DISTINCT document FROM entries WHERE lower(title) = lower(?)"
    return _one([row[0] for row in db.execute(query, (term,))], term)


def _one(ids: list[str], term: str) -> list[str]:
    if len(ids) > 1:
        named = ", ".join(each[:12] for each in ids[:5])
        raise UsageError(f"{term}: means {len(ids)} documents; name one by its id: {named}")
    return ids


def _absolute(term: str) -> str:
    try:
        return key_of(Path(os.path.abspath(Path(term).expanduser())))  # noqa: PTH100 - as ingest does
    except (RuntimeError, ValueError):
        return term


def _forget_documents(
    corpus: Corpus, settings: Settings, veil: Veil, ids: Sequence[str], done: Forgetting
) -> list[str]:
    with corpus.writing() as db:
        # What says nearly the same would come up in the place of what is erased.
        pairs = "SELECT id, coalesce(duplicate_of, id) FROM contents ORDER BY id"
        kept = dict(db.execute(pairs).fetchall())
        groups = {kept[each] for each in ids}
        terms = _erase(db, veil, [each for each in kept if kept[each] in groups], done)
        dedupe.mark_duplicates(corpus, settings.corpus.near_duplicates)
    return terms


def _erase(db: sqlite3.Connection, veil: Veil, ids: Iterable[str], done: Forgetting) -> list[str]:
    """Erase documents wherever they were, and keep them out; return what names them."""
    now = datetime.now(UTC).isoformat()
    terms = []
    for each in ids:
        rows = db.execute("SELECT path, name, source FROM entries WHERE document = ?", (each,))
        places = rows.fetchall()
        keep_out = [veil.hash(each), *(veil.hash(f"{path}\n{name}") for path, name, _ in places)]
        db.executemany(
            "INSERT OR IGNORE INTO forgotten VALUES (?, 'document', 0, ?)",
            [(value, now) for value in keep_out],
        )
        db.executemany(
            "INSERT OR REPLACE INTO skipped VALUES (?, ?, ?, ?)",
            [(path, name, source, _FORGOTTEN) for path, name, source in places],
        )
        db.execute("DELETE FROM entries WHERE document = ?", (each,))
        db.execute("INSERT OR IGNORE INTO erased VALUES (?, ?)", (each, now))
        sources = [source for _, _, source in places]
        done.documents += sources
        terms += [each, *sources]
    return terms


def _forget_person(  # noqa: PLR0913 - what one person needs
    corpus: Corpus, settings: Settings, veil: Veil, term: str, done: Forgetting, *, sure: bool
) -> list[str]:
    """Erase what a person wrote, replace the name in what others wrote, and keep both out."""
    written, known = _ways(veil, term)
    now = datetime.now(UTC).isoformat()
    with corpus.writing() as db:
        rows = "SELECT DISTINCT document, author, writer FROM entries"
        theirs = {
            document
            for document, author, writer in db.execute(rows).fetchall()
            if known.hides(author, None) or writer in known.addresses
        }
        terms = _erase(db, veil, sorted(theirs), done)
        _replace(db, known, done)
        if not (theirs or done.altered or sure):
            raise RefusedError(
                f"{term}: no document has this id, source, path, URL or title, and none is by or "
                "names such a person; --person keeps the name out all the same"
            )
        db.executemany(
            "INSERT OR IGNORE INTO forgotten VALUES (?, ?, ?, ?)",
            [(value, kind, words, now) for value, kind, words in written],
        )
        dedupe.mark_duplicates(corpus, settings.corpus.near_duplicates)
    return [*terms, *(forms(term) if "@" not in term else [term])]


def _ways(veil: Veil, term: str) -> tuple[list[tuple[str, str, int]], Veil]:
    """Return the rows that keep a person out, and a veil that knows this person alone."""
    if "@" in term:
        rows = [(veil.hash(term.strip()), "address", 0)]
    elif re.search(r"\w", term):
        rows = [(value, "name", words) for value, words in map(veil.name_hash, forms(term))]
    else:
        raise UsageError(f"{term}: is no name and no e-mail address")
    return rows, Veil.of(veil.salt, rows)


def _replace(db: sqlite3.Connection, known: Veil, done: Forgetting) -> None:
    """Put a placeholder in the place of a name in every document that holds it."""
    query = """
        SELECT c.id, c.text, e.path, e.name, e.source, e.title, e.author, e.date, e.url, e.kind,
        e.writer FROM entries e JOIN contents c ON c.id = e.document
    """
    now = datetime.now(UTC).isoformat()
    for old, text, path, name, source, title, author, *rest in db.execute(query).fetchall():
        bare, body = known.over(title), known.over(text)
        hidden = known.over(author) if author else None
        if (bare, body, hidden) == (title, text, author):
            continue
        date, url, kind, writer = rest
        new = identity(bare if identity(title, text) == old else "", body)
        document = Document(new, source, bare, body, hidden, date, url, kind)
        store_entry(db, path, Entry(document, name, dedupe.signature(body), writer))
        done.altered.append(source)
        if new != old:
            db.execute("INSERT OR IGNORE INTO erased VALUES (?, ?)", (old, now))
