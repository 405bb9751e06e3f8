"""A document, on its way into the corpus and in it."""

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the author's, as the corpus holds it: cleaned and masked.

    Attributes:
        id: SHA-256, in hex, of the title, where it has one of its own, and the text.
        source: Where it comes from, the same on every machine: a path that starts with the name of
            the folder that was ingested, `PATH/MEMBER` in an archive, `PATH#RECORD` in an export,
            `git:REPOSITORY@COMMIT`.
        title: Its title; never empty.
        text: Markdown, with headings and code as the author wrote them.
        author: Who wrote it, where that is known.
        date: When, in ISO 8601, where that is known.
        url: Where it can be read, where that is known.
        kind: What it was read from: `markdown`, `html`, `pdf`, `text`, `json`, `feed`, `commit`.
    """

    id: str
    source: str
    title: str
    text: str
    author: str | None
    date: str | None
    url: str | None
    kind: str


@dataclass(frozen=True, slots=True)
class Item:
    """What a reader found, before it is cleaned and masked.

    Attributes:
        name: Which of the file's documents it is; empty where a file is one document.
        text: Markdown.
        title: Its title, where it has one.
        author: The author's name, where one is given.
        e_mail: The author's address, to tell authors apart; it is not kept.
        date: When it was written, as the source writes it.
        url: Where it can be read.
        kind: See `Document.kind`.
        source: Its address, where that is not the file's.
    """

    name: str
    text: str
    kind: str
    title: str | None = None
    author: str | None = None
    e_mail: str | None = None
    date: str | None = None
    url: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """What a reader did not take.

    Attributes:
        name: Which of the file's documents it is; empty for the file.
        reason: Why, in words for a person.
        again: Whether the next run should try again, though the file be the same.
    """

    name: str
    reason: str
    again: bool = False


class NotTakenError(Exception):
    """A whole file that is not taken; the message says why, as `Skip.reason` does."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A document as one place holds it, ready to be stored.

    Attributes:
        document: The document.
        name: `Item.name`.
        signature: What tells near duplicates, see `dedupe.signature`; empty for a short text.
        writer: Hash of the author's e-mail address, see `forgotten`; empty where none is known.
    """

    document: Document
    name: str
    signature: bytes = b""
    writer: str = ""


def identity(title: str, text: str) -> str:
    """Return a document's id: SHA-256 of title and text, with white space made even.

    Args:
        title: Empty where it was made from the file's name: then two copies are one document.
        text: Its text.
    """
    even = re.sub(r"\s+", " ", f"{title}\0{text}").strip()
    return hashlib.sha256(even.encode("utf-8", "surrogatepass")).hexdigest()
