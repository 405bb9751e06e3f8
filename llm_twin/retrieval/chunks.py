"""A document's passages, cut where its structure allows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from markdown_it.token import Token

    from llm_twin.corpus.document import Document

VERSION: Final = 1
"""Changes with every change of how documents are cut: an index belongs to one version."""

LARGEST: Final = 160
"""Tokens of the embedder in a passage, its title and headings not counted."""


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

    @property
    def place(self) -> str:
        """The title and the headings above the passage, as one line."""
        return " > ".join((self.title, *self.headings))

    @property
    def embedded(self) -> str:
        """What the embedder reads: the passage below its title and headings."""
        return f"{self.place}\n{self.text}"


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


def chunks(document: Document, count: Callable[[str], int]) -> list[Chunk]:
    """Cut a document into passages.

    A passage never reaches over a heading. Paragraphs, lists, tables and blocks of code stay whole
    where they fit; a longer one is cut between its sentences, items, rows or lines.

    Args:
        document: The document.
        count: Counts the embedder's tokens of a text.
    """
    found: list[Chunk] = []
    for headings, text in _passages(document, count):
        identity = hashlib.sha256(f"{document.id}\n{len(found)}\n{text}".encode())
        found.append(
            Chunk(
                id=identity.hexdigest()[:32],
                document=document.id,
                title=document.title,
                headings=headings,
                text=text,
                source=document.source,
                url=document.url,
                position=len(found),
            )
        )
    return found


def _passages(
    document: Document, count: Callable[[str], int]
) -> Iterator[tuple[tuple[str, ...], str]]:
    for headings, blocks in _sections(document):
        kept: list[str] = []
        size = 0
        lead = ""
        for block in blocks:
            for piece in block.pieces(count):
                length = count(piece)
                if kept and size + length > LARGEST:
                    # What a list or a table is about goes with each part of it.
                    alone = lead and kept == [lead]
                    if not alone:
                        yield headings, "\n\n".join(kept)
                        kept = [lead] if lead else []
                        size = count(lead)
                kept.append(piece)
                size += length
            lead = block.lead
        if kept:
            yield headings, "\n\n".join(kept)


def _sections(document: Document) -> Iterator[tuple[tuple[str, ...], list[_Block]]]:
    """The blocks below each heading, with the headings above them."""
    from llm_twin.retrieval.units import parser, plain

    lines = document.text.splitlines()
    tokens = parser().parse(document.text)
    path: list[tuple[int, str]] = []
    blocks: list[_Block] = []
    for place, token in enumerate(tokens):
        if token.level or token.map is None:
            continue
        if token.type == "heading_open":
            if blocks:
                yield _headings(path, document), blocks
                blocks = []
            depth = int(token.tag[1:])
            path = [each for each in path if each[0] < depth]
            path.append((depth, plain(tokens[place + 1])))
        else:
            text = "\n".join(lines[slice(*token.map)]).rstrip()
            if text.strip():
                blocks.append(_Block(token, text, _children(tokens, place)))
    if blocks:
        yield _headings(path, document), blocks


def _headings(path: Sequence[tuple[int, str]], document: Document) -> tuple[str, ...]:
    headings = tuple(text for _, text in path)
    return headings[1:] if headings[:1] == (document.title,) else headings


def _children(tokens: Sequence[Token], place: int) -> list[Token]:
    """The tokens inside of the block that opens at a place."""
    inside = []
    for token in tokens[place + 1 :]:
        if token.level == 0:
            break
        inside.append(token)
    return inside


@dataclass(frozen=True, slots=True)
class _Block:
    opening: Token
    text: str
    inside: Sequence[Token]

    def pieces(self, count: Callable[[str], int]) -> list[str]:
        """The block, whole if it fits."""
        if count(self.text) <= LARGEST:
            return [self.text]
        lines = self.text.splitlines()
        match self.opening.type:
            case "table_open":
                return _joined(lines[2:], count, before="\n".join(lines[:2]) + "\n")
            case "fence":
                last = lines[-1] if len(lines) > 1 and lines[-1].strip() == self._fence else None
                body = lines[1:-1] if last else lines[1:]
                return _joined(body, count, f"{lines[0]}\n", f"\n{last or self._fence}")
            case "bullet_list_open" | "ordered_list_open":
                return _joined(self._items(lines), count)
            case "paragraph_open":
                from llm_twin.retrieval.units import sentences

                return _joined(sentences(self.text), count, glue=" ")
            case _:
                return _joined(lines, count)

    @property
    def lead(self) -> str:
        """The last sentence of a paragraph, if it is unfinished and so introduces what follows."""
        from llm_twin.retrieval.units import sentences

        if self.opening.type != "paragraph_open" or self.text[-1] in ".!?":
            return ""
        return sentences(self.text)[-1]

    @property
    def _fence(self) -> str:
        return self.opening.markup

    def _items(self, lines: Sequence[str]) -> list[str]:
        first = self.opening.map[0] if self.opening.map else 0
        starts = [
            token.map[0] - first
            for token in self.inside
            if token.type == "list_item_open" and token.level == 1 and token.map
        ]
        ends = [*starts[1:], len(lines)]
        return [
            "\n".join(lines[start:end]).rstrip() for start, end in zip(starts, ends, strict=True)
        ]


def _joined(
    parts: Sequence[str],
    count: Callable[[str], int],
    before: str = "",
    after: str = "",
    glue: str = "\n",
) -> list[str]:
    """Join parts up to the largest size; what is too large by itself is cut between words."""
    room = max(LARGEST - count(before + after), LARGEST // 2)
    joined: list[str] = []
    kept: list[str] = []
    size = 0
    for part in (small for each in parts for small in _small(each, room, count)):
        length = count(part)
        if kept and size + length > room:
            joined.append(before + glue.join(kept) + after)
            kept, size = [], 0
        kept.append(part)
        size += length
    if kept:
        joined.append(before + glue.join(kept) + after)
    return joined


def _small(part: str, room: int, count: Callable[[str], int]) -> list[str]:
    if count(part) <= room:
        return [part]
    # A token is never longer than a word that has its own blank, but a word may be many tokens.
    words, small, kept = part.split(" "), [], ""
    for word in words:
        longer = f"{kept} {word}" if kept else word
        if kept and count(longer) > room:
            small.append(kept)
            longer = word
        while count(longer) > room:
            half = max(1, len(longer) * room // (2 * count(longer)))
            small.append(longer[:half])
            longer = longer[half:]
        kept = longer
    return [*small, kept] if kept else small
