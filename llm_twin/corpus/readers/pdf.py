"""Reads PDF files."""

import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from llm_twin.corpus.document import Item, NotTakenError, Skip
from llm_twin.corpus.rules import CorpusSettings

if TYPE_CHECKING:
    from pypdf import PdfReader

_MOST_PAGES: Final = 5000
_EDGE: Final = 4  # lines at the top and the foot of a page that may be furniture
_FEWEST_PAGES: Final = 4  # on fewer, a line that repeats says nothing


def read_pdf(data: bytes, name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read the text of a PDF; its outline's entries become headings."""
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PdfReadError, PyPdfError

    del name, rules
    try:
        reader = PdfReader(io.BytesIO(data), strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise NotTakenError("is encrypted; save it without a password")
        if len(reader.pages) > _MOST_PAGES:
            raise NotTakenError(f"has more than {_MOST_PAGES} pages; split it")
        pages = [page.extract_text().splitlines() for page in reader.pages]
        headings = _outline(reader)
        item = _item(reader, _without_furniture(pages, headings), headings)
    except DependencyError:
        raise NotTakenError("is encrypted; save it without a password") from None
    except (PyPdfError, PdfReadError) as error:
        raise NotTakenError(f"is a broken PDF: {str(error)[:100]}") from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError):
        # pypdf meets objects of the wrong kind with whatever Python says of them.
        raise NotTakenError("is a broken PDF") from None
    if not item.text.strip():
        raise NotTakenError("holds no text; it may be a scan: run OCR on it")
    yield item


def _item(
    reader: "PdfReader", pages: Sequence[list[str]], headings: Mapping[tuple[int, str], int]
) -> Item:
    lines = []
    for number, page in enumerate(pages):
        for line in page:
            level = headings.get((number, _even(line)))
            lines.append(f"\n{'#' * min(level, 6)} {line.strip()}\n" if level else line.rstrip())
        lines.append("")
    text = re.sub(r"(\w)-\n(?=[^\W\d_]*[a-zà-ÿ])", r"\1", "\n".join(lines))
    about = reader.metadata
    written = about.creation_date if about else None
    return Item(
        name="",
        text=text,
        kind="pdf",
        title=(about.title if about else None) or _first_line(pages),
        author=(about.author if about else None) or None,
        date=written.isoformat(timespec="seconds") if written else None,
    )


def _outline(reader: "PdfReader") -> dict[tuple[int, str], int]:
    """Return page number and title of each outline entry, and the level of heading that it is."""
    found: dict[tuple[int, str], int] = {}

    def walk(entries: Sequence[Any], level: int) -> None:
        for entry in entries:
            if isinstance(entry, list):
                walk(entry, level + 1)
            elif (number := reader.get_destination_page_number(entry)) is not None:
                found[number, _even(str(entry.title))] = level

    walk(reader.outline, 2)
    return found


def _without_furniture(
    pages: Sequence[list[str]], headings: Mapping[tuple[int, str], int]
) -> list[list[str]]:
    """Leave out lines that stand at the edge of more than half of the pages, and page numbers."""
    edges: Counter[str] = Counter()
    for page in pages:
        edges.update({_shape(line) for line in page[:_EDGE] + page[-_EDGE:]})
    often = len(pages) / 2 if len(pages) >= _FEWEST_PAGES else len(pages) + 1

    def stays(number: int, place: int, line: str) -> bool:
        inside = _EDGE <= place < len(pages[number]) - _EDGE
        furniture = edges[_shape(line)] > often or _is_number(line)
        return inside or not furniture or (number, _even(line)) in headings

    return [
        [line for place, line in enumerate(page) if stays(number, place, line)]
        for number, page in enumerate(pages)
    ]


def _shape(line: str) -> str:
    return re.sub(r"\d+", "#", _even(line))


def _is_number(line: str) -> bool:
    return (
        re.fullmatch(r"(?i)\W*(?:page\s+)?\d{1,4}(?:\s*(?:/|of)\s*\d{1,4})?\W*", line) is not None
    )


def _even(line: str) -> str:
    return " ".join(line.split()).casefold()


def _first_line(pages: Sequence[list[str]]) -> str | None:
    lines = (line.strip() for page in pages[:1] for line in page)
    return next((line for line in lines if any(map(str.isalpha, line))), None)
