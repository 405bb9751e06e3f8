"""Whether the passages bear out what a model says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.generation.orders import gives_orders
from llm_twin.retrieval.words import words

if TYPE_CHECKING:
    from collections.abc import Sequence

BORNE: Final = 0.8  # part of a sentence's words that one passage, or the question, has to hold
OWN: Final = 0.6  # part that the passage has to hold by itself
KEPT: Final = 0.6  # part of a statement's words that a sentence has to keep to say the same
ORDERED: Final = 0.8  # part of a sentence's words that stand in the statement in the same order

_HARD: Final = re.compile(r"`[^`]+`|\d[\d.,:]*|(?<![.!?:\n]\s)(?<!^)\b[A-Z][\w-]*[a-z\d]\b")
_UNKNOWN: Final = re.compile(
    r"\bI(?: do not|'m not sure| don['\u2019]t) (?:know|have)\b"
    r"|\bnot (?:mentioned|stated|specified)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a sentence.

    Attributes:
        grounded: A passage bears it out.
        passage: The passage's place among those that were given, where it is.
        share: The part of the sentence's words that the best passage holds.
    """

    grounded: bool
    passage: int
    share: float


def judge(sentence: str, passages: Sequence[str], question: str) -> Judgement:
    """Look for a passage that bears a sentence out.

    Every number, name and piece of code of the sentence has to stand in the passage or the
    question, and nearly all of its words. That finds inventions; it does not find a sentence that
    uses the passage's words to say something else.

    Args:
        sentence: What the model said, in one sentence.
        passages: The passages that it was given.
        question: The question that it was asked.
    """
    said = set(words(sentence))
    if not said or gives_orders(sentence):
        return Judgement(grounded=False, passage=0, share=0.0)
    asked = set(words(question))
    hard = {match.strip("`.,:").lower() for match in _HARD.findall(sentence)}
    best = Judgement(grounded=False, passage=0, share=-1.0)
    for place, passage in enumerate(passages):
        held = set(words(passage))
        text = f"{passage}\n{question}".lower()
        share = len(said & held) / len(said)
        borne = len(said & (held | asked)) / len(said)
        new = said - asked
        grounded = (
            borne >= BORNE
            and share >= OWN
            and all(piece in text for piece in hard)
            and bool(new & held)
        )
        if (grounded, share) > (best.grounded, best.share):
            best = Judgement(grounded, place, share)
    return best


def faithful(sentence: str, statement: str, question: str) -> bool:
    """Tell whether a sentence says what a statement says: its words, in its order, most of them.

    Args:
        sentence: What a small model made of the statement.
        statement: A sentence of the author's.
        question: The question, whose words the sentence may take up.
    """
    if not judge(sentence, [statement], question).grounded:
        return False
    asked = set(words(question))
    said = [word for word in words(sentence) if word not in asked]
    told = [word for word in words(statement) if word not in asked]
    kept = _in_order(said, told)
    return bool(told) and kept >= KEPT * len(told) and kept >= ORDERED * len(said)


def _in_order(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        corner = 0
        for place, other in enumerate(second, start=1):
            corner, row[place] = (
                row[place],
                corner + 1 if word == other else max(row[place], row[place - 1]),
            )
    return row[-1]


def says_unknown(text: str) -> bool:
    """Tell whether a model says that it does not know."""
    return _UNKNOWN.search(text) is not None
