"""Whether the passages answer a question at all, and which of their statements do.

The weights were fitted on the tuning questions, which `llm-twin evaluate` names, and stand with the
threshold in `thresholds.json`; `python -m llm_twin.evaluation.tuning` fits them again.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from llm_twin.generation.orders import asks_private, gives_orders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_twin.generation.reading import Reader, Statement
    from llm_twin.retrieval.chunks import Hit

SHARES: Final = 0.7  # weight of words in common, beside nearness and cover
FITS: Final = 0.1
RANK: Final = 0.1
FUSED: Final = 5.0  # weight of the search's score, beside what the reader says of the passage
AGAIN: Final = 0.1  # what a further passage of the same document is set back by
PRIVATE: Final = 0.97  # confidence from which on private matters of people are told
FEATURES: Final = ("near", "passage_covers", "passage_least")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When there is evidence enough.

    Attributes:
        weights: Weight of each feature.
        bias: What is added.
        least: The confidence from which on the twin answers, 0 to 1.
    """

    weights: Mapping[str, float]
    bias: float
    least: float

    def confidence(self, features: Mapping[str, float]) -> float:
        """Return the probability, 0 to 1, that the passages answer: a logistic regression."""
        logit = self.bias + sum(self.weights[name] * features[name] for name in FEATURES)
        return 1 / (1 + math.exp(-max(min(logit, 50.0), -50.0)))


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for an answer.

    Attributes:
        statements: The statements, the best first; none that gives orders to a model.
        hits: The passages, in the order that the reader gave them.
        confidence: Probability that they hold the answer.
        enough: Whether that suffices to answer.
    """

    statements: tuple[Statement, ...]
    hits: tuple[Hit, ...]
    confidence: float
    enough: bool


@cache
def thresholds() -> Thresholds:
    """Return the fitted thresholds."""
    text = files("llm_twin.generation").joinpath("thresholds.json").read_text(encoding="utf-8")
    fitted = json.loads(text)
    return Thresholds(fitted["weights"], fitted["bias"], fitted["least"])


def score(statement: Statement) -> float:
    """Return how well a statement answers; comparable within one question alone."""
    return (
        statement.near
        + statement.covers
        + SHARES * statement.shares
        + FITS * statement.fits
        + RANK * statement.rank
    )


def features(statements: Sequence[Statement]) -> dict[str, float]:
    """Return what the confidence is judged by: the best of each figure."""
    return {
        name: max((getattr(each, name) for each in statements), default=0.0) for name in FEATURES
    }


def weigh(
    question: str, hits: Sequence[Hit], rarity: Mapping[str, float], reader: Reader
) -> Evidence:
    """Judge what the passages say to a question.

    Args:
        question: The question, complete in itself.
        hits: The passages that were found, the best first.
        rarity: Inverse document frequency of the question's stems.
        reader: Reads them.
    """
    found = [
        each
        for each in reader.statements(question, hits, rarity)
        if not gives_orders(each.unit.told)
    ]
    if not found:
        return Evidence((), tuple(hits), 0.0, enough=False)
    confidence = thresholds().confidence(features(found))
    least = PRIVATE if asks_private(question) else thresholds().least
    return Evidence(
        tuple(sorted(found, key=score, reverse=True)),
        _ranked(hits, found),
        confidence,
        enough=confidence >= least and not gives_orders(question),
    )


def _ranked(hits: Sequence[Hit], found: Sequence[Statement]) -> tuple[Hit, ...]:
    """The passages by what the search and the reader say of them together.

    A document that has spoken steps back a little for the others each time.
    """
    read = {each.hit.chunk.id: each.passage_near + each.passage_covers for each in found}
    worth = {hit.chunk.id: read.get(hit.chunk.id, 0.0) + FUSED * hit.score for hit in hits}
    left = list(hits)
    ranked: list[Hit] = []
    while left:
        spoken = Counter(hit.chunk.document for hit in ranked)
        best = max(left, key=lambda hit: _standing(hit, worth, spoken))
        left.remove(best)
        ranked.append(best)
    return tuple(ranked)


def _standing(hit: Hit, worth: Mapping[str, float], spoken: Mapping[str, int]) -> float:
    return worth[hit.chunk.id] - AGAIN * spoken.get(hit.chunk.document, 0)
