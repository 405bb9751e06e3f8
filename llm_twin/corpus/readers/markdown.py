"""Reads Markdown and plain text."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from llm_twin.corpus.cleaning import first_heading
from llm_twin.corpus.document import Item, Skip
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.corpus.text import decode

_LONGEST_TITLE: Final = 100  # characters; a longer first line is a paragraph


def read_markdown(data: bytes, name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read Markdown; its front matter (YAML between `---`, TOML between `+++`) is metadata."""
    del name
    metadata, text = _parted(decode(data).lstrip("\ufeff").replace("\r\n", "\n"))
    if not rules.drafts and (metadata.get("draft") is True or metadata.get("published") is False):
        yield Skip("", "is a draft (corpus.drafts)")
        return
    yield Item(
        name="",
        text=text,
        kind="markdown",
        title=_text(metadata.get("title")) or first_heading(text),
        author=_names(metadata.get("author") or metadata.get("authors")),
        date=_text(metadata.get("date") or metadata.get("published_at") or metadata.get("created")),
        url=_text(metadata.get("canonical_url") or metadata.get("url") or metadata.get("link")),
    )


def read_text(data: bytes, name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read plain text; a short first line with an empty one below it is the title."""
    del rules
    text = decode(data)
    lines = [line.strip() for line in text.lstrip().splitlines()[:2]]
    underlined = len(lines) > 1 and lines[1] != "" and set(lines[1]) <= set("=-~#*")
    first = lines[0].lstrip("=#* ").rstrip("=#* ") if lines else ""
    titled = 0 < len(first) <= _LONGEST_TITLE and (len(lines) == 1 or not lines[1] or underlined)
    plain = PurePosixPath(name).suffix.lower() in {".txt", ".text", ""}
    yield Item(
        name="",
        text=text,
        kind="text",
        title=first if titled and not (plain and first.endswith((".", ",", ";"))) else None,
    )


def _parted(text: str) -> tuple[Mapping[str, Any], str]:
    """Return front matter and the text below it; what is no front matter is text."""
    import frontmatter
    from yaml import YAMLError

    if text.startswith("+++\n"):
        head, mark, body = text[4:].partition("\n+++")
        try:
            return (tomllib.loads(head), body.lstrip("\n")) if mark else ({}, text)
        except tomllib.TOMLDecodeError:
            return {}, text
    try:
        metadata, body = frontmatter.parse(text)
    except (YAMLError, ValueError, RecursionError):
        return {}, re.sub(r"\A---\n.*?\n---[ \t]*(?:\n|\Z)", "", text, flags=re.DOTALL)
    return metadata, body


def _text(value: object) -> str | None:
    # Anything else in YAML may be a structure of any size.
    from datetime import date

    if isinstance(value, date):  # datetime too
        return value.isoformat()
    return str(value) if isinstance(value, str | int | float) and str(value).strip() else None


def _names(value: object) -> str | None:
    if isinstance(value, Mapping):
        value = value.get("name")
    if isinstance(value, list):
        return ", ".join(filter(None, map(_names, value[:20]))) or None
    return _text(value)
