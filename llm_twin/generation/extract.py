"""The extractive answer: the statements that answer best, in the author's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.generation.evidence import score
from llm_twin.retrieval.units import units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_twin.generation.reading import Statement
    from llm_twin.retrieval.chunks import Chunk
    from llm_twin.retrieval.units import Unit

MOST: Final = 4  # statements
BEHIND: Final = 0.4  # a statement whose score is further behind the best is left out
WORDS: Final = 120  # statements after these are left out, the first never
LISTED: Final = 10  # items told after the sentence that introduces them
PARAGRAPH: Final = 70  # words; the best sentence brings a paragraph that is no longer than that


@dataclass(frozen=True, slots=True)
class Quoted:
    """The part of an answer that comes from one passage.

    Attributes:
        chunk: The passage.
        text: Its statements as Markdown.
        quote: The best of them.
    """

    chunk: Chunk
    text: str
    quote: str


def extract(statements: Sequence[Statement]) -> list[Quoted]:
    """Choose the statements that answer.

    A sentence that only introduces a list brings the list with it, and an item of a list brings
    the sentence that introduces it. The best sentence brings its paragraph: in a story the next
    sentence often holds the answer.

    Args:
        statements: The statements, the best first; at least one.

    Returns:
        The parts of the answer, the passage with the best statement first.
    """
    chosen: dict[str, dict[int, Unit]] = {}
    passages: dict[str, tuple[Chunk, str]] = {}
    least = score(statements[0]) - BEHIND
    count, length = 0, 0
    for each in statements:
        chunk = each.hit.chunk
        if each.number in chosen.get(chunk.id, ()):
            continue
        if count and (count == MOST or score(each) < least or length >= WORDS):
            break
        everything = units(chunk.text)
        added = _with_context(each, everything)
        if not count:
            added |= _paragraph(each, everything)
        if _told_already(added, chosen):
            continue
        chosen.setdefault(chunk.id, {}).update(added)
        passages.setdefault(chunk.id, (chunk, each.unit.text))
        count += 1
        length += _length(added)
    return [
        Quoted(chunk, _told([chosen[name][number] for number in sorted(chosen[name])]), quote)
        for name, (chunk, quote) in passages.items()
    ]


def _with_context(statement: Statement, everything: Sequence[Unit]) -> dict[int, Unit]:
    number, unit = statement.number, statement.unit
    added = {number: unit}
    following = everything[number + 1 :]
    if unit.kind == "sentence" and following and following[0].lead.startswith(unit.text):
        group = following[0].group
        for offset, each in enumerate(following[:LISTED], start=number + 1):
            if each.group != group:
                break
            added[offset] = each
    elif unit.lead and unit.kind in {"item", "code"}:
        for earlier in range(number - 1, -1, -1):
            if everything[earlier].text == unit.lead:
                added[earlier] = everything[earlier]
                break
    return added


def _paragraph(statement: Statement, everything: Sequence[Unit]) -> dict[int, Unit]:
    if statement.unit.kind != "sentence":
        return {}
    around = {
        number: unit for number, unit in enumerate(everything) if unit.group == statement.unit.group
    }
    return around if _length(around) <= PARAGRAPH else {}


def _length(chosen: Mapping[int, Unit]) -> int:
    return sum(len(unit.text.split()) for unit in chosen.values())


def _told_already(added: Mapping[int, Unit], chosen: Mapping[str, Mapping[int, Unit]]) -> bool:
    """Whether another document told the same: files that quote each other need not both speak."""
    told = {unit.text for there in chosen.values() for unit in there.values()}
    return any(unit.text in told for unit in added.values())


def _told(chosen: Sequence[Unit]) -> str:
    """Join statements: sentences to a paragraph, items and rows to a list, code as a block."""
    parts: list[str] = []
    last = ""
    for unit in chosen:
        if unit.kind == "code":
            fence = "~~~" if "```" in unit.text else "```"
            parts.append(f"\n\n{fence}\n{unit.text}\n{fence}")
        elif unit.kind in {"item", "row"} and len(chosen) > 1:
            parts.append(f"{'' if last == 'list' else chr(10)}\n- {unit.text}")
        else:
            parts.append(
                f"{'' if not parts else ' ' if last == 'sentence' else chr(10) * 2}{unit.text}"
            )
        last = {"code": "code", "sentence": "sentence"}.get(unit.kind, "list")
    return "".join(parts).strip()
