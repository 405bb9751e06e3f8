"""Readers: a function for each format, chosen by the end of a file's name."""

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import PurePath
from typing import Final

from llm_twin.corpus.document import Item, Skip
from llm_twin.corpus.rules import CorpusSettings

Reader = Callable[[bytes, str, CorpusSettings], Iterator[Item | Skip]]
"""Reads a file's bytes, given its name; raises `NotTakenError` where it can't."""

_PACKAGE: Final = "llm_twin.corpus.readers"
_READERS: Final = {
    ".md": "markdown:read_markdown",
    ".markdown": "markdown:read_markdown",
    ".mdx": "markdown:read_markdown",
    ".txt": "markdown:read_text",
    ".text": "markdown:read_text",
    ".rst": "markdown:read_text",
    ".org": "markdown:read_text",
    ".adoc": "markdown:read_text",
    ".html": "html:read_html",
    ".htm": "html:read_html",
    ".xhtml": "html:read_html",
    ".pdf": "pdf:read_pdf",
    ".json": "exports:read_json",
    ".jsonl": "exports:read_jsonl",
    ".ndjson": "exports:read_jsonl",
    ".rss": "feed:read_feed",
    ".atom": "feed:read_feed",
    ".xml": "feed:read_feed",
}
ARCHIVE: Final = ".zip"
FORMATS: Final = frozenset({*_READERS, ARCHIVE})
"""The ends of names that are read, in lower case."""


def reader_of(name: str) -> Reader | None:
    """Return the reader of a file by its name; None where its format is not read."""
    target = _READERS.get(PurePath(name).suffix.lower())
    if target is None:
        return None
    module, _, function = target.partition(":")
    reader: Reader = getattr(import_module(f"{_PACKAGE}.{module}"), function)
    return reader
