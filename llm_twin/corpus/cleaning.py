"""Cleans Markdown: what a reader can't see or doesn't need goes, code and headings stay."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import PurePosixPath
from typing import Final

VERSION: Final = 1
"""Goes up where a document may come out differently, so that a corpus is read anew."""

_LONGEST_TITLE: Final = 300
_SECONDS: Final = re.compile(r"\d{9,13}(?:\.\d{1,9})?")
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
# Control characters, and what makes text invisible or turns it round: orders to a model are hidden
# with it. Joiners stay, as scripts and emoji need them.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_FENCE: Final = re.compile(
    r"(?P<indent>[ \t]*(?:>[ \t]?|[-*+][ \t]+|\d{1,9}[.)][ \t]+)*)(?P<mark>`{3,}|~{3,})"
)
# Code between backticks is matched to be kept. What is not closed loses its tag alone.
_ACTIVE: Final = re.compile(
    r"(?P<code>(?<!`)`[^`\n]{1,500}`(?!`))|<!--.{0,20000}?-->|<!--"
    r"|<(?P<name>script|style|svg|template|noscript)\b[^<>]{0,1000}>.{0,20000}?</(?P=name)\s*>"
    r"|</?(?:script|style|svg|template|noscript|iframe|object|embed)\b[^<>]{0,1000}/?>",
    re.DOTALL | re.IGNORECASE,
)
_INLINE_DATA: Final = re.compile(r"!\[([^\]\n]{0,300})\]\(\s*<?data:[^)\s]*>?[^)\n]*\)")
_HEADING: Final = re.compile(r"[ ]{0,3}#{1,6}[ \t]+(?P<title>[^\n]*?)[ \t]*#*[ \t]*$")
_UNDERLINE: Final = re.compile(r"[ ]{0,3}(=+|-+)[ \t]*$")
_MARKS: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*`]|(?<!\w)_+|_+(?!\w)|<[^>]*>")


def clean(markdown: str) -> str:
    """Return Markdown with even line ends, and without control characters, scripts and comments.

    Lines in fenced code keep every character that can be seen.
    """
    text = unicodedata.normalize("NFC", markdown.replace("\r\n", "\n").replace("\r", "\n"))
    text = _INVISIBLE.sub("", text)
    parts = (part if code else _clean_prose(part) for code, part in _segments(text))
    return "\n".join(part for part in parts if part).strip("\n")


def first_heading(markdown: str) -> str | None:
    """Return the text of the first heading, code left aside; None where there is none."""
    for code, part in _segments(markdown):
        before = ""
        for line in () if code else part.splitlines():
            match = _HEADING.match(line)
            title = match["title"] if match else before if _UNDERLINE.match(line) else ""
            if plain := one_line(_MARKS.sub(r"\1", title)):
                return plain
            before = line if line.strip() and not line.lstrip().startswith((">", "|")) else ""
    return None


def one_line(text: str) -> str:
    """Return a text on one line, cut where it is longer than a title may be."""
    even = " ".join(_INVISIBLE.sub("", unicodedata.normalize("NFC", text)).split())
    return even if len(even) <= _LONGEST_TITLE else even[: _LONGEST_TITLE - 1] + "…"


def title_of(name: str) -> str:
    """Return a title made from a file's name, as `release-notes.md` gives `release notes`."""
    return one_line(re.sub(r"[-_\s]+", " ", PurePosixPath(name).stem)) or "untitled"


def iso_date(value: object) -> str | None:
    """Return a date in ISO 8601, or None where it is none that we know.

    Args:
        value: A date, seconds or milliseconds since 1970, or a text in ISO 8601 or as in mail
            (RFC 5322).
    """
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    text = str(value).strip()
    return _from_seconds(text) or _from_iso(text) or _from_mail(text)


def _from_seconds(text: str) -> str | None:
    if not _SECONDS.fullmatch(text):
        return None
    seconds = float(text)
    seconds = seconds / 1000 if abs(seconds) > _LATEST else seconds
    if not 0 < seconds < _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _from_iso(text: str) -> str | None:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).isoformat(timespec="seconds")
    except ValueError:
        return None


def _from_mail(text: str) -> str | None:
    try:
        return parsedate_to_datetime(text).isoformat(timespec="seconds")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _segments(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the text in pieces: whether it is fenced code, with its fences, and the piece."""
    piece: list[str] = []
    mark = ""
    for line in text.split("\n"):
        match = _FENCE.match(line)
        if mark:
            piece.append(line)
            closing = match is not None and match["mark"].startswith(mark)
            if closing and match is not None and not line[match.end() :].strip(" \t`~"):
                yield True, "\n".join(piece)
                piece, mark = [], ""
        elif match and not (match["mark"][0] == "`" and "`" in line[match.end() :]):
            if piece:
                yield False, "\n".join(piece)
            piece, mark = [line], match["mark"]
        else:
            piece.append(line)
    if piece:
        yield bool(mark), "\n".join(piece)


def _clean_prose(text: str) -> str:
    text = _ACTIVE.sub(lambda match: match["code"] or "", text) if "<" in text else text
    text = _INLINE_DATA.sub(r"\1", text) if "data:" in text else text
    text = re.sub(r"[ \t]+$", "", text.replace("\u00a0", " "), flags=re.MULTILINE)
    return re.sub(r"\n{3,}", "\n\n", text)
