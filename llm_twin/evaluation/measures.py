"""What is measured of an answer, and with which interval.

Proportions have Wilson's interval (Wilson 1927), which holds its level with few questions and near
0 and 1; means have a bootstrap interval (bias-corrected, Efron 1987), with a fixed seed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.generation.grounding import judge
from llm_twin.retrieval.units import sentences, units

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_twin.evaluation.questions import Question
    from llm_twin.retrieval.chunks import Chunk

LEVEL: Final = 0.95
SEED: Final = 5
FEWEST: Final = 8  # words that a style is told from

# English function words: their shares tell a writer's habits and nothing of the topic.
FUNCTION_WORDS: Final = tuple(
    re.findall(
        r"\w+",
        "the of and to a in that is was it for on with as be at by i this had not are but from or"
        " have an they which one you were all her she there would their we him been has when who"
        " will no if out so up said what its about than into them can only other time new some"
        " could these two may first then do any my now such like our over me even most after also",
    )
)

_MARKS: Final = re.compile(r"\s*\[\d+\]")


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with its interval.

    Attributes:
        value: The estimate.
        low: Lower end of the 95 % interval.
        high: Upper end.
        count: How many questions it is over.
    """

    value: float
    low: float
    high: float
    count: int


def proportion(hits: Sequence[bool]) -> Measure | None:
    """Return the share of hits with Wilson's interval, None of nothing."""
    from scipy.stats import binomtest  # type: ignore[import-untyped] # it has no types

    if not hits:
        return None
    result = binomtest(sum(hits), len(hits))
    interval = result.proportion_ci(confidence_level=LEVEL, method="wilson")
    return Measure(sum(hits) / len(hits), float(interval.low), float(interval.high), len(hits))


def mean(values: Sequence[float]) -> Measure | None:
    """Return the mean with a bootstrap interval, None of nothing."""
    import numpy as np
    from scipy.stats import bootstrap

    if not values:
        return None
    average = float(np.mean(values))
    if len(set(values)) == 1:
        return Measure(average, average, average, len(values))
    result = bootstrap(
        (np.array(values),),
        np.mean,
        confidence_level=LEVEL,
        n_resamples=2000,
        rng=np.random.default_rng(SEED),
    )
    interval = result.confidence_interval
    return Measure(average, float(interval.low), float(interval.high), len(values))


def even(text: str) -> str:
    """Return a text in the form in which phrases are looked for."""
    return re.sub(r"\s+", " ", text.replace("`", "").replace("*", "")).lower().strip()


def from_source(question: Question, sources: Sequence[str]) -> bool:
    """Tell whether one of the sources that hold the answer is among some."""
    return any(
        source == wanted or source.endswith(f"/{wanted}")
        for source in sources
        for wanted in question.sources
    )


def correct(question: Question, text: str) -> bool:
    """Tell whether an answer holds what a right answer has to hold."""
    told = even(text)
    return bool(question.phrases) and all(
        any(even(phrase) in told for phrase in group) for group in question.phrases
    )


def grounded(question: str, text: str, passages: Sequence[Chunk]) -> float:
    """Return the part of an answer's statements that its cited passages bear out.

    A statement is borne out where it stands in a passage word for word, or as `grounding.judge`
    says. It is told from the answer's text alone, whoever wrote it.
    """
    texts = ["\n".join(unit.told for unit in units(chunk.text)) for chunk in passages]
    evened = [even(text) for text in texts]
    said = [
        piece
        for unit in units(_MARKS.sub("", text))
        for piece in ([unit.text] if unit.kind == "code" else sentences(unit.text))
        if even(piece)
    ]
    borne = [
        any(even(piece) in each for each in evened)
        or (judge(piece, texts, question).grounded if texts else False)
        for piece in said
    ]
    return sum(borne) / len(borne) if borne else 0.0


def style(text: str) -> list[float] | None:
    """Return how often a text has each function word, by its words; None where it is too short."""
    found = re.findall(r"[a-z']+", text.lower())
    counts = Counter(found)
    told = sum(counts[word] for word in FUNCTION_WORDS)
    if told < FEWEST:
        return None
    return [counts[word] / told for word in FUNCTION_WORDS]


def style_distance(text: str, other: str) -> float | None:
    """Return the Jensen-Shannon distance of two texts' function words, 0 to 1."""
    from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped] # no types

    first, second = style(text), style(other)
    if first is None or second is None:
        return None
    return float(jensenshannon(first, second, base=2))
