"""What is said to the twin, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from llm_twin.retrieval.chunks import Hit

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that an answer rests on.

    Attributes:
        number: The number by which the answer's text names it, as in `[1]`.
        chunk: `Chunk.id` of the passage.
        title: Title of its document, followed by the headings above the passage.
        source: Where the document comes from.
        url: Where it can be read, where that is known.
        quote: The words of the passage that count, as they stand there.
    """

    number: int
    chunk: str
    title: str
    source: str
    url: str | None
    quote: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer.

    Attributes:
        text: What the twin says; the same as all `Token.text` of the stream together.
        citations: What it rests on, in the order of their numbers.
        abstained: It says that it doesn't know.
        extractive: All of its sentences are quoted, none is the model's.
        model: The language model that was asked, or would have been.
        prompt_version: Hash of the prompt's files.
        index: Identity of the index that was searched.
        corpus: `Corpus.snapshot()` of what the index holds.
        prompt_tokens: Tokens that the model read; 0 where it was not asked.
        completion_tokens: Tokens that the model wrote, whether or not they were used.
        timings: Seconds since the question came, to the end of each step: `retrieval`,
            `first_token` and `total`.
        finish_reason: `length` where the limit on tokens cut the answer.
        confidence: Probability, as it was judged before, that the passages hold the answer.
        grounded: The part of the answer's sentences that the passages bear out, 0 to 1.
        problem: Why the model could not be asked, where the passages are quoted for that.
    """

    text: str
    citations: tuple[Citation, ...]
    abstained: bool
    extractive: bool
    model: str
    prompt_version: str
    index: str
    corpus: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    timings: dict[str, float] = field(default_factory=dict)
    finish_reason: FinishReason = "stop"
    confidence: float = 0.0
    grounded: float = 1.0
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The passages were found; comes first."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True)
class Token:
    """A further piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is complete; comes last."""

    answer: Answer


Event = Retrieved | Token | Done
