"""Three ways to write an answer: quotations, a model's checked sentences, or all that it says."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from llm_twin.generation import asking
from llm_twin.generation.client import ModelError
from llm_twin.generation.extract import extract
from llm_twin.generation.grounding import faithful, judge, says_unknown
from llm_twin.retrieval.units import sentences

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

    from llm_twin.answers import Message
    from llm_twin.generation.client import ChatClient, Piece
    from llm_twin.generation.evidence import Evidence
    from llm_twin.retrieval.chunks import Chunk

SENTENCES: Final = 2  # of a small model
SMALL_TOKENS: Final = 80
LETTERS: Final = 4  # of a token, where the endpoint was stopped before it told their number

_CITED: Final = re.compile(r"\[(\d{1,2})\]")


@dataclass
class Draft:
    """An answer while it is written.

    Attributes:
        text: What was handed on so far.
        cited: The passages by their numbers, each with the words that count.
        extractive: The words are the passages'.
        abstained: The model said that it does not know.
        prompt_tokens: Tokens that the model read.
        completion_tokens: Tokens that it wrote.
        finish: Why it ended.
        grounded: The part of the sentences that the passages bear out.
        problem: What was wrong with the model, where the passages had to be quoted for that.
        rejected: What the model said and was not handed on.
        led: The answer begins with a sentence of the model's.
    """

    text: str = ""
    cited: dict[int, tuple[Chunk, str]] = field(default_factory=dict)
    extractive: bool = False
    abstained: bool = False
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: Literal["stop", "length"] = "stop"
    grounded: float = 1.0
    problem: str | None = None
    rejected: str = ""
    led: bool = False

    def add(self, text: str) -> str:
        """Take a further piece, and return it."""
        self.text += text
        return text


@dataclass(frozen=True, slots=True)
class Request:
    """What the model is asked for.

    Attributes:
        messages: The conversation.
        question: Its last question, complete in itself.
        evidence: What the passages say to it.
        max_tokens: Limit on what the model writes.
        temperature: 0 for the likeliest words.
    """

    messages: Sequence[Message]
    question: str
    evidence: Evidence
    max_tokens: int
    temperature: float


def quoted(draft: Draft, request: Request) -> Iterator[str]:
    """Quote the statements that answer best."""
    draft.extractive = not draft.led
    for number, part in enumerate(extract(request.evidence.statements), start=1):
        draft.cited[number] = (part.chunk, part.quote)
        # A mark after a block of code would be part of it.
        mark = f"\n[{number}]" if part.text.endswith(("```", "~~~")) else f" [{number}]"
        yield draft.add(("\n\n" if draft.text else "") + part.text + mark)


def passages_of(evidence: Evidence, count: int) -> list[Chunk]:
    """Return the passages with the best statements, each once."""
    chunks: dict[str, Chunk] = {}
    for each in evidence.statements:
        chunks.setdefault(each.hit.chunk.id, each.hit.chunk)
    return list(chunks.values())[:count]


def small_messages(request: Request) -> list[dict[str, str]]:
    """Return what a small model is asked: the passage with the best statement, and the question."""
    (chunk,) = passages_of(request.evidence, 1)
    return asking.for_small(request.question, asking.passage(chunk))


async def checked(
    draft: Draft, request: Request, client: ChatClient, asked: Sequence[Mapping[str, str]]
) -> AsyncGenerator[str, None]:
    """Begin with the model's first sentence, if the best statement bears it out; then quote.

    A small model's sentence reads better than a quotation, and is wrong more often. So it is taken
    only where it says what the best statement says, and the statements follow it in any case.
    """
    best = request.evidence.statements[0]
    try:
        pieces = client.stream(
            asked,
            max_tokens=min(request.max_tokens, SMALL_TOKENS),
            temperature=request.temperature,
        )
        async with aclosing(_sentences(draft, asked, pieces)) as stream:
            async for sentence in stream:
                if faithful(sentence, best.unit.told, request.question):
                    draft.led = True
                    yield draft.add(f"{sentence} [1]")
                else:
                    draft.rejected = sentence
                break
    except ModelError as error:
        draft.problem = str(error)
    for piece in quoted(draft, request):
        yield piece


async def _sentences(
    draft: Draft, asked: Sequence[Mapping[str, str]], pieces: AsyncGenerator[Piece, None]
) -> AsyncGenerator[str, None]:
    """Put the pieces together to sentences; one that the limit cut off is left out."""
    held = ""
    async with aclosing(pieces) as stream:
        async for piece in stream:
            _count(draft, asked, piece)
            held += piece.text
            *whole, rest = sentences(held) or [""]
            if piece.finish == "stop" and rest:
                whole, rest = [*whole, rest], ""
            for sentence in whole:
                yield sentence
            if whole:
                held = rest


async def streamed(
    draft: Draft,
    request: Request,
    client: ChatClient,
    asked: Sequence[Mapping[str, str]],
    chunks: Sequence[Chunk],
) -> AsyncGenerator[str, None]:
    """Hand on what the model says as it comes; look afterwards what it rests on.

    Raises:
        ModelError: The answer broke off after it had begun. Before that the statements are quoted.
    """
    try:
        pieces = client.stream(
            asked,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
        )
        async with aclosing(pieces) as stream:
            async for piece in stream:
                _count(draft, asked, piece)
                if piece.text:
                    if asking.leaks(draft.text + piece.text):
                        draft.rejected = piece.text
                        break
                    yield draft.add(piece.text)
    except ModelError as error:
        if draft.text:
            raise
        draft.problem = str(error)
    if not draft.text.strip():
        for piece_of_quote in quoted(draft, request):
            yield piece_of_quote
        return
    _attribute(draft, request, chunks)


def _attribute(draft: Draft, request: Request, chunks: Sequence[Chunk]) -> None:
    """Find what a text rests on: the passages that it names, else those that bear it out."""
    said = [each for each in sentences(_CITED.sub("", draft.text)) if len(each.split()) > 1]
    if says_unknown(draft.text) and len(said) <= SENTENCES:
        draft.abstained = True
        return
    quotes: Mapping[str, str] = {
        each.hit.chunk.id: each.unit.text for each in reversed(request.evidence.statements)
    }
    texts = [asking.passage(chunk) for chunk in chunks]
    verdicts = [judge(each, texts, request.question) for each in said]
    draft.grounded = sum(each.grounded for each in verdicts) / len(verdicts) if verdicts else 0.0
    named = [int(number) - 1 for number in _CITED.findall(draft.text)]
    places = [place for place in named if 0 <= place < len(chunks)]
    for place in sorted(set(places or [each.passage for each in verdicts if each.grounded])):
        chunk = chunks[place]
        draft.cited[place + 1] = (chunk, quotes.get(chunk.id, texts[place]))


def _count(draft: Draft, asked: Sequence[Mapping[str, str]], piece: Piece) -> None:
    """Count tokens: as the endpoint tells, and by pieces and letters until it does."""
    if piece.finish:
        draft.finish = piece.finish
    if piece.prompt_tokens is not None and piece.completion_tokens is not None:
        draft.prompt_tokens = piece.prompt_tokens
        draft.completion_tokens = piece.completion_tokens
    elif piece.text:
        draft.completion_tokens += 1
        draft.prompt_tokens = sum(len(each["content"]) for each in asked) // LETTERS
