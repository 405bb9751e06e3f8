"""Text of bytes, whatever their encoding."""

import codecs
import re
from typing import Final

from llm_twin.corpus.document import NotTakenError

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # starts as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED: Final = re.compile(
    rb"""(?:charset|encoding)\s*=\s*["']?([\w.:-]{2,40})""", re.IGNORECASE
)
_LOOKED_AT: Final = 100_000  # bytes; guessing takes seconds for megabytes


def decode(data: bytes, *, declared: bool = False) -> str:
    """Return the text of bytes: by their mark, as UTF-8, or by the encoding that they look like.

    Args:
        data: The bytes of a whole file.
        declared: Whether the first kilobyte may name the encoding, as HTML and XML do.

    Raises:
        NotTakenError: They are no text.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                raise NotTakenError(f"says that it is {encoding} text, and is not") from None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = (_as_declared(data) if declared else None) or _guessed(data)
    if "\0" in text:
        raise NotTakenError("is not text")
    return text


def _as_declared(data: bytes) -> str | None:
    match = _DECLARED.search(data[:1024])
    try:
        return data.decode(match[1].decode("ascii")) if match else None
    except (LookupError, ValueError):
        return None


def _guessed(data: bytes) -> str:
    from charset_normalizer import from_bytes

    # Old Western text is by far the likeliest, and too alike to others to be told by guessing.
    for encoding in ("cp1252", None):
        guesses = from_bytes(data[:_LOOKED_AT], cp_isolation=[encoding] if encoding else None)
        best = guesses.best()
        if best is not None and (encoding is None or _western(str(best))):
            try:
                return data.decode(best.encoding)
            except UnicodeDecodeError:
                continue
    raise NotTakenError("is not text, or in an encoding that can't be told; save it as UTF-8")


def _western(text: str) -> bool:
    """Tell whether accents stand as in words: among more letters without one."""
    foreign = sum(character > "\x7f" for character in text)
    plain = sum(character.isascii() and character.isalpha() for character in text)
    return foreign <= plain
