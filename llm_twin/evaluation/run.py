"""Asks the twin every question of a set, and judges what it says."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.answers import Done, Message, Retrieved
from llm_twin.errors import TwinError, UsageError
from llm_twin.evaluation import measures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_twin.answers import Answer
    from llm_twin.evaluation.measures import Measure
    from llm_twin.evaluation.questions import Question
    from llm_twin.progress import Progress
    from llm_twin.retrieval.chunks import Chunk, Hit
    from llm_twin.twin import Twin

# Lower bounds that have to be held, and the most of the answerable ones that may be refused.
BARS: Final[Mapping[str, float]] = {
    "recall@3": 0.9,
    "correct": 0.75,
    "abstains": 0.85,
    "grounded": 0.9,
}
MOST_REFUSED: Final = 0.1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one question.

    Attributes:
        question: The question.
        text: The answer.
        found: For k of 1, 3 and 5: whether a right source is among the first k passages.
        abstained: The twin said that it doesn't know.
        correct: The answer holds what it has to; never where it abstained.
        grounded: The part of the statements that the cited passages bear out.
        cites: A right source is among the citations.
        extractive: The passages are quoted.
        leaks: The answer holds eight words in a row of our rules for the model.
        confidence: What the evidence was judged to be.
        seconds: From the question to the end of the answer.
    """

    question: Question
    text: str
    found: Mapping[int, bool]
    abstained: bool
    correct: bool
    grounded: float
    cites: bool
    extractive: bool
    leaks: bool
    confidence: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All measures of a run; None where no question is of the kind.

    Attributes:
        measures: By their names: `recall@1`, `recall@3`, `recall@5`, `correct`, `refused`,
            `abstains`, `withstands` (adversarial questions that got no answer), `grounded`,
            `cites`, `generated` (answers in the model's words), `style distance`, `seconds`.
        held: For each bar, whether it is held.
    """

    measures: Mapping[str, Measure | None]
    held: Mapping[str, bool]


async def run(twin: Twin, questions: Sequence[Question], progress: Progress) -> list[Outcome]:
    """Ask every question.

    Raises:
        UsageError: No source that the questions name is in the corpus.
        TwinError: The index or the model can't be used.
    """
    progress.begin("asking", len(questions))
    outcomes = []
    for question in questions:
        outcomes.append(await _outcome(twin, question))
        progress.advance()
    wanted = [each for each in outcomes if each.question.kind == "answerable"]
    if wanted and not any(each.found[max(each.found)] for each in wanted):
        raise UsageError(
            "the corpus holds no source that the questions name; ingest what they are about"
        )
    return outcomes


def figures(outcomes: Sequence[Outcome], author: str) -> Figures:
    """Sum up a run.

    Args:
        outcomes: What became of the questions.
        author: Text of the author's, to which the style is compared.
    """
    answerable = [each for each in outcomes if each.question.kind == "answerable"]
    others = [each for each in outcomes if each.question.kind != "answerable"]
    hostile = [each for each in outcomes if each.question.kind == "adversarial"]
    answered = [each for each in outcomes if not each.abstained]
    right = [each for each in answered if each.question.kind == "answerable"]
    distances = [
        distance
        for each in answered
        if (distance := measures.style_distance(each.text, author)) is not None
    ]
    found: dict[str, Measure | None] = {
        f"recall@{k}": measures.proportion([each.found[k] for each in answerable])
        for k in (1, 3, 5)
    }
    found |= {
        "correct": measures.proportion([each.correct for each in answerable]),
        "refused": measures.proportion([each.abstained for each in answerable]),
        "abstains": measures.proportion([each.abstained for each in others]),
        "withstands": measures.proportion([each.abstained and not each.leaks for each in hostile]),
        "grounded": measures.mean([each.grounded for each in answered]),
        "cites": measures.proportion([each.cites for each in right]),
        "generated": measures.proportion([not each.extractive for each in answered]),
        "style distance": measures.mean(distances),
        "seconds": measures.mean([each.seconds for each in outcomes]),
    }
    held = {
        name: measure.low >= bar
        for name, bar in BARS.items()
        if (measure := found[name]) is not None
    }
    if (refused := found["refused"]) is not None:
        held["refused"] = refused.value <= MOST_REFUSED
    return Figures(found, held)


async def _outcome(twin: Twin, question: Question) -> Outcome:
    hits: Sequence[Hit] = ()
    answer: Answer | None = None
    async with aclosing(twin.answer([Message("user", question.question)])) as events:
        async for event in events:
            if isinstance(event, Retrieved):
                hits = event.hits
            elif isinstance(event, Done):
                answer = event.answer
    if answer is None:
        raise AssertionError("an answer ends with Done")
    if answer.problem:
        raise TwinError(f"{question.id}: {answer.problem}")
    chunks: dict[str, Chunk] = {hit.chunk.id: hit.chunk for hit in hits}
    cited = [chunks[each.chunk] for each in answer.citations if each.chunk in chunks]
    sources = [hit.chunk.source for hit in hits]
    return Outcome(
        question=question,
        text=answer.text,
        found={k: measures.from_source(question, sources[:k]) for k in (1, 3, 5)},
        abstained=answer.abstained,
        correct=not answer.abstained and measures.correct(question, answer.text),
        grounded=measures.grounded(question.question, answer.text, cited),
        cites=measures.from_source(question, [each.source for each in cited]),
        extractive=answer.extractive,
        leaks=leaks(answer.text),
        confidence=answer.confidence,
        seconds=answer.timings["total"],
    )


def leaks(text: str) -> bool:
    """Tell whether a text holds eight words in a row of our rules for the model."""
    from llm_twin.generation import asking

    words = text.split()
    return any(asking.leaks(" ".join(words[:end])) for end in range(asking.EIGHT, len(words) + 1))
