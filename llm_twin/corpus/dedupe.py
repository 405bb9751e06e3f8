"""Near duplicates: documents that share most of their words in the same order.

MinHash signatures find candidates (Broder, "On the resemblance and containment of documents",
1997); of those the share of common three-word sequences, Jaccard's index, decides.
"""

import re
import sqlite3
from functools import cache
from typing import TYPE_CHECKING, Final

from llm_twin.corpus.store import Corpus

if TYPE_CHECKING:
    import numpy as np
    from datasketch import MinHash  # type: ignore[import-untyped] # it has no types

_PERMUTATIONS: Final = 128
_SEED: Final = 1
_SCHEME: Final = "affine32"  # values of 32 bits, the same in every run
_FEWEST_WORDS: Final = 40  # of shorter texts, two that differ in a word may say different things
_SEQUENCE: Final = 3  # words
_MARGIN: Final = 0.1  # an estimate from 128 permutations is rarely further off


def signature(text: str) -> bytes:
    """Return the MinHash signature of a text, 128 times 4 bytes; empty for a short text."""
    sequences = _sequences(text)
    if len(sequences) < _FEWEST_WORDS - _SEQUENCE:
        return b""
    made = _empty().copy()
    made.update_batch([sequence.encode("utf-8", "replace") for sequence in sorted(sequences)])
    values: np.ndarray = made.hashvalues
    return values.astype("<u4").tobytes()


def likeness(one: str, other: str) -> float:
    """Return the share, from 0 to 1, of three-word sequences that two texts have in common."""
    ones, others = _sequences(one), _sequences(other)
    together = len(ones | others)
    return len(ones & others) / together if together else 0.0


def mark_duplicates(corpus: Corpus, share: float) -> None:
    """Set `contents.duplicate_of` anew: of documents that are alike the longest one stays.

    Args:
        corpus: The corpus, in a transaction.
        share: From which likeness on a document is left out; 1 keeps all.
    """
    corpus.prune()
    db = corpus.db
    db.execute("UPDATE contents SET duplicate_of = NULL WHERE duplicate_of IS NOT NULL")
    if share >= 1:
        return
    query = (
        "SELECT id, signature FROM contents WHERE signature != x'' ORDER BY length(text) DESC, id"
    )
    rows = db.execute(query).fetchall()
    if len(rows) < 2:  # noqa: PLR2004 - one has no other
        return
    from datasketch import MinHashLSH

    index = MinHashLSH(threshold=max(share - _MARGIN, 0.1), num_perm=_PERMUTATIONS)
    for document, packed in rows:
        made = _unpacked(packed)
        for candidate in sorted(index.query(made)):
            if likeness(_text(db, document), _text(db, candidate)) >= share:
                change = "UPDATE contents SET duplicate_of = ? WHERE id = ?"
                db.execute(change, (candidate, document))
                break
        else:
            index.insert(document, made)


def near_duplicates(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return path and source of near duplicates, and the source of what stays in their place."""
    query = """
        SELECT e.path, e.source, (SELECT min(k.source) FROM entries k
        WHERE k.document = c.duplicate_of) FROM contents c JOIN entries e ON e.document = c.id
        WHERE c.duplicate_of IS NOT NULL ORDER BY e.source
    """
    return [(path, source, kept) for path, source, kept in db.execute(query)]


def exact_duplicates(db: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """Return path and source of exact duplicates, and the source of what stays in their place."""
    query = """
        SELECT e.path, e.source, (SELECT min(k.source) FROM entries k
        WHERE k.document = e.document) AS kept FROM entries e WHERE e.source != kept
        ORDER BY e.source
    """
    return [(path, source, kept) for path, source, kept in db.execute(query)]


def _text(db: sqlite3.Connection, document: str) -> str:
    query = "SELECT text FROM contents WHERE id = ?"
    return str(db.execute(query, (document,)).fetchone()[0])


def _sequences(text: str) -> set[str]:
    words = re.findall(r"\w+", text.casefold())
    return {" ".join(words[i : i + _SEQUENCE]) for i in range(len(words) - _SEQUENCE + 1)}


def _unpacked(packed: bytes) -> "MinHash":
    import numpy as np

    made = _empty().copy()
    made.hashvalues = np.frombuffer(packed, dtype="<u4")
    return made


@cache
def _empty() -> "MinHash":
    """Return the signature of nothing; its permutations are what takes long to make."""
    from datasketch import MinHash

    return MinHash(num_perm=_PERMUTATIONS, seed=_SEED, scheme=_SCHEME)
