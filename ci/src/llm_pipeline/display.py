"""Text that comes from tools and sources, made safe to show: nothing hidden, nothing active."""

import re
from typing import Final

_SEQUENCES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)"  # OSC and its kin: titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
# Control characters, what no XML 1.0 may hold, and what shows a text as another than it is:
# zero-width characters, marks of direction, other line ends, bytes that are no UTF-8 (PEP 383).
_ODD: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\ufffe\uffff]"
)

LONGEST: Final = 1000


def clean(text: str) -> str:
    r"""Return a text of lines without terminal sequences, all odd characters written out.

    Line ends become ``\n``; the result encodes as UTF-8 and is valid in XML 1.0.
    """
    text = _SEQUENCES.sub("", text.replace("\r\n", "\n")).replace("\r", "\n")
    return _ODD.sub(_written_out, text)


def one_line(text: str) -> str:
    """Return a cleaned text with its lines joined by a space."""
    return " ".join(clean(text).split())


def path(name: str) -> str:
    r"""Return a cleaned path; a line end or a tab in it is written ``\n`` or ``\t``."""
    return clean(name.replace("\r", "\\r")).replace("\n", "\\n").replace("\t", "\\t")


def duration(seconds: float) -> str:
    """Return a time for people, for example ``0.4 s`` or ``2 min 05 s``."""
    if seconds < 99.95:  # noqa: PLR2004 - three digits at most
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s"


def tail(text: str, lines: int) -> tuple[list[str], int]:
    """Return the last lines of a text, none endless, and how many were left out before them."""
    every = text.rstrip().split("\n") if text.strip() else []
    return [shortened(line) for line in every[-lines:]], max(0, len(every) - lines)


def shortened(line: str) -> str:
    """Return a line of at most about ``LONGEST`` characters that says how much was cut."""
    more = len(line) - LONGEST
    return f"{line[:LONGEST]} ... {more} more characters" if more > 0 else line


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, for example ``1 finding`` or ``3 findings``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # noqa: PLR2004 - how surrogateescape carries a byte
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"  # noqa: PLR2004 - one byte
