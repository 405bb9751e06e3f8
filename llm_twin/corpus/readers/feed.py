"""Reads RSS and Atom files."""

import io
from calendar import timegm
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from llm_twin.corpus.document import Item, NotTakenError, Skip
from llm_twin.corpus.readers.html import looks_like_html, markdown_of
from llm_twin.corpus.rules import CorpusSettings


def read_feed(data: bytes, name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read the entries of a feed. Its addresses are read from and never fetched."""
    import feedparser  # type: ignore[import-untyped] # it has no types

    del name, rules
    # A stream: a text or bytes might be taken for an address or a path.
    feed = feedparser.parse(io.BytesIO(data), sanitize_html=False, resolve_relative_uris=False)
    if not feed.version:
        raise NotTakenError("is not an RSS or Atom feed")
    if not feed.entries:
        raise NotTakenError(
            "is a feed that can't be read" if feed.bozo else "is a feed without entries"
        )
    owner = feed.feed.get("author")
    for number, entry in enumerate(feed.entries, 1):
        key = entry.get("id") or entry.get("link") or str(number)
        yield _item(entry, f"#{key}", owner)


def _item(entry: Mapping[str, Any], name: str, owner: str | None) -> Item:
    contents = entry.get("content") or [entry.get("summary_detail") or {}]
    text = max((str(content.get("value") or "") for content in contents), key=len)
    about = entry.get("author_detail") or {}
    written = entry.get("published_parsed") or entry.get("updated_parsed")
    return Item(
        name=name,
        text=markdown_of(text) if looks_like_html(text) or "</" in text else text,
        kind="feed",
        title=entry.get("title"),
        author=about.get("name") or entry.get("author") or owner,
        e_mail=about.get("email"),
        date=datetime.fromtimestamp(timegm(written), UTC).isoformat() if written else None,
        url=entry.get("link"),
    )
