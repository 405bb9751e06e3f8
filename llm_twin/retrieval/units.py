"""The statements of a passage: sentences, list items, rows of tables and blocks of code.

They are what an answer quotes. Markdown's marks are taken away, except for those around code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Kind = Literal["sentence", "item", "row", "code"]

# A full stop after these ends no sentence.
ABBREVIATIONS: Final = frozenset(
    re.findall(
        r"\S+",
        "e.g i.e etc vs cf al approx fig no vol pp dr mr mrs ms prof st jr sr inc ltd resp",
    )
)
_ENDS: Final = re.compile(
    r"(?<=[.!?])[\"')\]*_`\u2019\u201d]*\s+(?=[\"'(\[*_`\u2018\u201c]*[^\W_])"
)
_LAST_WORD: Final = re.compile(r"([\w.]+)\.[\"')\]*_`\u2019\u201d]*$")
LONG_ITEM: Final = 45  # words; a longer item is told sentence by sentence


@dataclass(frozen=True, slots=True)
class Unit:
    """One statement.

    Attributes:
        text: The statement, on one line except for code.
        kind: What it was in the document.
        lead: What introduces it: the unfinished sentence before a list, a table or a block of
            code, and the heads of a table's columns; empty where there is nothing of the kind.
        group: The number of the paragraph, list or table that it belongs to, within the text.
    """

    text: str
    kind: Kind
    lead: str
    group: int

    @property
    def told(self) -> str:
        """The statement with what introduces it."""
        return f"{self.lead} {self.text}" if self.lead else self.text


@cache
def parser() -> MarkdownIt:
    """Return the parser of Markdown: CommonMark with tables."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table")


def units(text: str) -> list[Unit]:
    """Take a passage of Markdown apart.

    Args:
        text: The passage.

    Returns:
        Its statements in order; headings are none.
    """
    return list(_Reader(parser().parse(text)).read())


def sentences(text: str) -> list[str]:
    """Split a paragraph at the ends of its sentences."""
    found, start = [], 0
    for end in _ENDS.finditer(text):
        piece = text[start : end.end()].strip()
        word = _LAST_WORD.search(piece)
        if word and (word[1].lower() in ABBREVIATIONS or re.fullmatch(r"[A-Z]", word[1])):
            continue
        found.append(piece)
        start = end.end()
    if rest := text[start:].strip():
        found.append(rest)
    return found


def plain(inline: Token) -> str:
    """Return the words of an inline token, with code in backticks and links as their text."""
    parts = []
    for child in inline.children or ():
        match child.type:
            case "code_inline":
                parts.append(f"`{child.content}`")
            case "softbreak" | "hardbreak":
                parts.append(" ")
            case "image":
                parts.append(child.content)
            case "text" | "text_special":
                parts.append(child.content)
            case _:
                continue
    return re.sub(r"\s+", " ", "".join(parts)).strip()


class _Reader:
    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._group = 0
        self._lead = ""  # an unfinished sentence, until something else comes
        self._lists = 0

    def read(self) -> Iterator[Unit]:
        place = 0
        while place < len(self._tokens):
            token = self._tokens[place]
            match token.type:
                case "heading_open":
                    self._lead = ""
                    place += 2
                case "table_open":
                    end = self._end(place, "table_close")
                    yield from self._table(self._tokens[place:end])
                    place = end
                case "bullet_list_open" | "ordered_list_open":
                    self._lists += 1
                    self._group += self._lists == 1
                case "bullet_list_close" | "ordered_list_close":
                    self._lists -= 1
                    if not self._lists:
                        self._lead = ""
                case "fence" | "code_block" if token.content.strip():
                    self._group += 1
                    yield Unit(token.content.rstrip(), "code", self._lead, self._group)
                    self._lead = ""
                case "inline":
                    yield from self._paragraph(plain(token))
                case _:
                    pass
            place += 1

    def _end(self, place: int, kind: str) -> int:
        while self._tokens[place].type != kind:
            place += 1
        return place

    def _paragraph(self, text: str) -> Iterator[Unit]:
        if not text:
            return
        if self._lists:
            whole = len(text.split()) <= LONG_ITEM
            for piece in [text] if whole else sentences(text):
                yield Unit(piece, "item", self._lead, self._group)
            return
        self._group += 1
        pieces = [Unit(piece, "sentence", "", self._group) for piece in sentences(text)]
        yield from pieces
        last = pieces[-1].text
        self._lead = "" if last[-1] in ".!?" else last

    def _table(self, tokens: Sequence[Token]) -> Iterator[Unit]:
        self._group += 1
        rows: list[list[str]] = []
        for token in tokens:
            if token.type == "tr_open":
                rows.append([])
            elif token.type == "inline":
                rows[-1].append(plain(token))
        heads = rows[0] if rows else []
        named = ", ".join(filter(None, heads))
        lead = f"{self._lead} {named}:".strip() if named else self._lead
        for row in rows[1:]:
            if text := _row(heads, row):
                yield Unit(text, "row", lead, self._group)
        self._lead = ""


def _row(heads: Sequence[str], row: Sequence[str]) -> str:
    """A row in one line: its first cell, then the others, with their heads if there are several."""
    first, *others = row
    named = len(others) > 1
    told = [
        f"{head}: {cell}" if named and head else cell
        for head, cell in zip(heads[1:], others, strict=False)
        if cell
    ]
    return f"{first}: {'; '.join(told)}" if told else first
