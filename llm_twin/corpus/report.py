"""What an ingest did: for a person and for a program."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Final

_SHOWN: Final = 20  # lines of a list that a person gets to see; `--json` has them all


@dataclass
class Report:
    """What was taken, what was not, and why. Files are named by their sources.

    Attributes:
        taken: New files, archives and repositories that were read.
        changed: Those that were read again.
        unchanged: How many were left as they are.
        removed: Those that are gone, with their documents.
        skipped: What was not taken, and why.
        others: How many files there are of formats that are not read, by the end of their names.
        exact: What says the same as another document, and which.
        near: What says nearly the same as another document, and which.
        documents: How many documents the corpus holds now, duplicates left out.
        snapshot: `Corpus.snapshot`.
    """

    taken: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: int = 0
    removed: list[str] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    others: dict[str, int] = field(default_factory=dict)
    exact: list[tuple[str, str]] = field(default_factory=list)
    near: list[tuple[str, str]] = field(default_factory=list)
    documents: int = 0
    snapshot: str = ""

    @property
    def touched(self) -> bool:
        """Whether anything in the corpus changed."""
        return bool(self.taken or self.changed or self.removed)

    def as_json(self) -> dict[str, object]:
        """Return it as JSON values."""
        pairs = {
            "skipped": [{"source": source, "reason": reason} for source, reason in self.skipped],
            "exact": [{"source": source, "same_as": kept} for source, kept in self.exact],
            "near": [{"source": source, "like": kept} for source, kept in self.near],
        }
        return {"schema": 1, **asdict(self), **pairs}

    def lines(self) -> Iterator[str]:
        """Yield it as lines for a person."""
        for source, reason in self.skipped[:_SHOWN]:
            yield f"skipped  {source}: {reason}"
        yield from _more(len(self.skipped))
        for source, kept in (self.exact + self.near)[:_SHOWN]:
            yield f"double   {source}: says what {kept} says"
        yield from _more(len(self.exact) + len(self.near))
        if self.others:
            counts = Counter(self.others).most_common(6)
            kinds = ", ".join(f"{count} {kind or 'without an ending'}" for kind, count in counts)
            rest = sum(self.others.values()) - sum(count for _, count in counts)
            yield f"not read {kinds}{f', {rest} others' if rest else ''}"
        documents = "1 document" if self.documents == 1 else f"{self.documents} documents"
        yield (
            f"{len(self.taken)} taken, {len(self.changed)} changed, {self.unchanged} unchanged, "
            f"{len(self.removed)} removed, {len(self.skipped)} skipped; "
            f"the corpus holds {documents}"
        )


def _more(count: int) -> Iterator[str]:
    if count > _SHOWN:
        yield f"         and {count - _SHOWN} more; --json lists them"
