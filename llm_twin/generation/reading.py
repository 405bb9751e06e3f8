"""What the statements of some passages have to do with a question.

Every passage is read once by MiniLM, token by token. A statement is as near to the question as the
mean of its tokens is, and covers a word of the question as well as its nearest token does: the late
interaction of ColBERT (Khattab and Zaharia 2020), with words weighted by how rare they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.retrieval.units import units
from llm_twin.retrieval.words import measures, pairs, words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from llm_twin.retrieval.chunks import Chunk, Hit
    from llm_twin.retrieval.minilm import MiniLM, States
    from llm_twin.retrieval.units import Unit

REMEMBERED: Final = 512  # passages; about 0.1 MB each

_NUMBER: Final = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty"
    r"|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|half|once|twice|dozen|no|none"
    r"|never)\b",
    re.IGNORECASE,
)
_ASKS_NUMBER: Final = re.compile(
    r"\bhow (?:many|much|long|far|old|often|big|large|high|tall|fast|slow|heavy|deep|hot|cold)\b"
    r"|\bwhat (?:percentage|number|size|age)\b|\bat what\b",
    re.IGNORECASE,
)
_ASKS_TIME: Final = re.compile(r"\bwhen\b|\bsince when\b|\bwhat time\b", re.IGNORECASE)
_TIME: Final = re.compile(
    r"\d|\b(?:when|while|before|after|until|once|as soon as|if"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
    r"|january|february|march|april|may|june|july|august|september|october|november|december"
    r"|spring|summer|autumn|winter|morning|evening|night|noon|weeks?|months?|years?)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One passage, read.

    Attributes:
        units: Its statements.
        states: The tokens of its place and statements, one row each, of unit length.
        rows: For each statement, its rows in `states`.
        place: How many of the first rows are those of its title and headings.
    """

    units: Sequence[Unit]
    states: NDArray[np.float32]
    rows: Sequence[range]
    place: int


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement beside a question. All figures are about 0 to 1.

    Attributes:
        hit: The passage that it is in.
        number: Its number among the passage's statements.
        unit: The statement itself.
        near: Cosine of the question and the statement.
        covers: How well its tokens, and those of its headings, cover the question's words.
        shares: The part of the question's words that it has literally, or its headings.
        passage_near: Cosine of the question and the passage.
        passage_covers: As `covers`, of the whole passage.
        passage_least: How well the passage covers the word of the question that it covers worst.
        fits: Whether it can answer by its kind: 1 or 0 where a number or a time is asked for.
        rank: 1 for the passage found first, 1/2 for the second, and so on.
    """

    hit: Hit
    number: int
    unit: Unit
    near: float
    covers: float
    shares: float
    passage_near: float
    passage_covers: float
    passage_least: float
    fits: float
    rank: float


class Reader:
    """Reads passages beside questions, and remembers passages. Safe in several threads."""

    def __init__(self, model: MiniLM) -> None:
        """Take the model."""
        self._model = model
        self._read: dict[str, Reading] = {}

    def statements(
        self, question: str, hits: Sequence[Hit], rarity: Mapping[str, float]
    ) -> list[Statement]:
        """Compare a question with every statement of the passages.

        Args:
            question: The question.
            hits: The passages, the best first.
            rarity: Weight of each stem of the question, its inverse document frequency.
        """
        import numpy as np

        (asked,) = self._model.states([question])
        if not len(asked.vectors) or not hits:
            return []
        direction = _mean(asked.vectors)
        wanted = _wanted(question, asked, rarity)
        stems = {stem: rarity.get(stem, 1.0) for stem in words(question)}
        found = []
        for rank, (hit, reading) in enumerate(
            zip(hits, self._readings(hits), strict=True), start=1
        ):
            likeness = asked.vectors @ reading.states.T
            passage = _covered(wanted, likeness)
            passage_near = float(direction @ _mean(reading.states))
            for number, (unit, rows) in enumerate(zip(reading.units, reading.rows, strict=True)):
                if not len(rows):
                    continue  # beyond what the model reads
                columns = np.r_[0 : reading.place, rows.start : rows.stop]
                found.append(
                    Statement(
                        hit=hit,
                        number=number,
                        unit=unit,
                        near=float(direction @ _mean(reading.states[rows.start : rows.stop])),
                        covers=_weighted(wanted, _covered(wanted, likeness[:, columns])),
                        shares=_shared(stems, f"{hit.chunk.place} {unit.told}"),
                        passage_near=passage_near,
                        passage_covers=_weighted(wanted, passage),
                        passage_least=min(passage, default=0.0),
                        fits=_fits(question, unit),
                        rank=1 / rank,
                    )
                )
        return found

    def _readings(self, hits: Sequence[Hit]) -> list[Reading]:
        new = [hit.chunk for hit in hits if hit.chunk.id not in self._read]
        texts = [_text(chunk) for chunk in new]
        states = self._model.states([text for text, _, _ in texts])
        fresh = {
            chunk.id: _reading(*text, each)
            for chunk, text, each in zip(new, texts, states, strict=True)
        }
        readings = [fresh.get(hit.chunk.id) or self._read[hit.chunk.id] for hit in hits]
        if len(self._read) + len(fresh) > REMEMBERED:
            self._read = {}
        self._read |= fresh
        return readings


def _text(chunk: Chunk) -> tuple[str, list[Unit], list[int]]:
    """The text that is read, the passage's statements, and where each of them begins in it."""
    text, statements, starts = chunk.place, units(chunk.text), []
    for unit in statements:
        text += "\n"
        starts.append(len(text))
        text += unit.text
    return text, statements, starts


def _reading(text: str, statements: list[Unit], starts: list[int], states: States) -> Reading:
    bounds = [*starts, len(text)]
    begins = [span[0] for span in states.spans]
    rows, row = [], 0
    while row < len(begins) and begins[row] < bounds[0]:
        row += 1
    place = row
    for bound in bounds[1:]:
        first = row
        while row < len(begins) and begins[row] < bound:
            row += 1
        rows.append(range(first, row))
    return Reading(statements, states.vectors, rows, place)


def _mean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    import numpy as np

    mean: NDArray[np.float32] = vectors.mean(axis=0)
    return mean / max(float(np.linalg.norm(mean)), 1e-12)


def _wanted(
    question: str, asked: States, rarity: Mapping[str, float]
) -> list[tuple[list[int], float]]:
    """The rows of each word of the question that is no stop word, and the word's weight."""
    rows: dict[int, list[int]] = {}
    for row, word in enumerate(asked.words):
        rows.setdefault(word, []).append(row)
    wanted = []
    no_topic = measures(question)
    for each in rows.values():
        start, end = asked.spans[each[0]][0], asked.spans[each[-1]][1]
        if (start, end) in no_topic:
            continue
        text = question[start:end]
        if stems := [stem for _, stem in pairs(text)]:
            wanted.append((each, rarity.get(stems[0], 1.0)))
    return wanted or [([row], 1.0) for row in range(len(asked.words))]


def _covered(wanted: list[tuple[list[int], float]], likeness: NDArray[np.float32]) -> list[float]:
    nearest = likeness.max(axis=1)
    return [float(nearest[rows].mean()) for rows, _ in wanted]


def _weighted(wanted: list[tuple[list[int], float]], covered: list[float]) -> float:
    total = sum(weight for _, weight in wanted)
    return sum(c * weight for c, (_, weight) in zip(covered, wanted, strict=True)) / total


def _shared(stems: Mapping[str, float], text: str) -> float:
    total = sum(stems.values())
    there = set(words(text))
    return sum(weight for stem, weight in stems.items() if stem in there) / total if total else 0.0


def _fits(question: str, unit: Unit) -> float:
    if _ASKS_NUMBER.search(question):
        return float(bool(_NUMBER.search(unit.told)))
    if _ASKS_TIME.search(question):
        return float(bool(_TIME.search(unit.told)))
    return 1.0
