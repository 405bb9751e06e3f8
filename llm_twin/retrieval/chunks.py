"""A document's passages, cut where its structure allows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chunk:
    """One passage of a document.

    Attributes:
        id: Its identity: a hash of the document's identity and the passage.
        document: `Document.id` of the document that it comes from.
        title: The document's title.
        headings: The headings above it, outermost first, without the title.
        text: The passage as Markdown.
        source: Where the document comes from.
        url: Where it can be read, where that is known.
        position: Its place among the document's passages, from 0.
    """

    id: str
    document: str
    title: str
    headings: tuple[str, ...]
    text: str
    source: str
    url: str | None
    position: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found.

    Attributes:
        chunk: The passage.
        score: The fused score by which hits are sorted; comparable within one search alone.
        dense: Cosine similarity of question and passage, -1 to 1.
        sparse: BM25 score of the question's words in the passage; 0 where they share none.
    """

    chunk: Chunk
    score: float
    dense: float
    sparse: float
