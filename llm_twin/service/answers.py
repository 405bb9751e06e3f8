"""What callers get: OpenAI's shapes, and what a twin adds to them in the field `twin`."""

import json
import time
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, Field

from llm_twin.twin import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

_HOLE: Final = "<text>"
_OR_ABSENT = Field(exclude_if=lambda value: value is None)


class Citation(BaseModel):
    """A passage that the answer rests on; `[number]` in the text refers to it."""

    number: int
    chunk: str
    title: str
    source: str
    url: str | None
    quote: str


class Extension(BaseModel):
    """What OpenAI's API has no field for.

    Attributes:
        trace_id: The same as the header `x-trace-id`; feedback names it.
        citations: What the answer rests on.
        abstained: The twin says that it doesn't know.
        extractive: The sentences are those of the passages.
        confidence: How sure it is that the passages answer the question, from 0 to 1.
        grounded: How much of the text the passages bear out, from 0 to 1.
        problem: Why the language model was of no use, where it was not.
        language_model: The language model behind the twin.
        prompt_version: Hash of the prompt's files.
        index: Identity of the index that was searched.
        corpus: Identity of what the index holds.
        seconds: Time until retrieval, the first token and the end.
        ignored: Fields of the request that made no difference.
    """

    trace_id: str
    citations: list[Citation]
    abstained: bool
    extractive: bool
    confidence: float
    grounded: float
    problem: str | None
    language_model: str
    prompt_version: str
    index: str
    corpus: str
    seconds: dict[str, float]
    ignored: list[str]


class Usage(BaseModel):
    """Tokens of the language model."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ReplyMessage(BaseModel):
    """The answer's text."""

    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    """The only choice."""

    index: Literal[0] = 0
    message: ReplyMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class Completion(BaseModel):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    twin: Extension


class Delta(BaseModel):
    """What a chunk adds."""

    role: Annotated[Literal["assistant"] | None, _OR_ABSENT] = None
    content: Annotated[str | None, _OR_ABSENT] = None


class ChunkChoice(BaseModel):
    """The only choice of a chunk."""

    index: Literal[0] = 0
    delta: Delta
    logprobs: None = None
    finish_reason: Literal["stop", "length"] | None = None


class Chunk(BaseModel):
    """A piece of a streamed answer; the last one with a choice has `twin`."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Annotated[Usage | None, _OR_ABSENT] = None
    twin: Annotated[Extension | None, _OR_ABSENT] = None


class Model(BaseModel):
    """The twin as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "llm-twin"


class Models(BaseModel):
    """All models: one."""

    object: Literal["list"] = "list"
    data: list[Model]


class FeedbackTaken(BaseModel):
    """The feedback is kept."""

    object: Literal["feedback"] = "feedback"
    trace_id: str
    rating: Literal["up", "down"]


class ErrorObject(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class Error(BaseModel):
    """An answer that is an error."""

    error: ErrorObject


class Writer:
    """Writes one answer in OpenAI's shapes."""

    def __init__(
        self, model: str, trace_id: str, ignored: list[str], mask: "Callable[[str], str]"
    ) -> None:
        """Begin an answer.

        Args:
            model: The name under which the twin is a model.
            trace_id: The answer's trace.
            ignored: Fields of the request that made no difference.
            mask: Takes secrets and personal data out of what others said of a problem.
        """
        self._mask = mask
        self._id = f"chatcmpl-{trace_id}"
        self._created = int(time.time())
        self._model = model
        self._trace_id = trace_id
        self._ignored = ignored
        # Pieces differ in their text alone, and there are many.
        piece = self._event([ChunkChoice(delta=Delta(content=_HOLE))])
        self._before, self._after = piece.split(json.dumps(_HOLE).encode())

    def whole(self, answer: Answer) -> bytes:
        """Return a whole answer as JSON."""
        message = ReplyMessage(content=answer.text)
        return (
            Completion(
                id=self._id,
                created=self._created,
                model=self._model,
                choices=[Choice(message=message, finish_reason=answer.finish_reason)],
                usage=_usage(answer),
                twin=self._extension(answer),
            )
            .model_dump_json()
            .encode()
        )

    def first(self) -> bytes:
        """Return the event that begins a stream."""
        return self._event([ChunkChoice(delta=Delta(role="assistant", content=""))])

    def piece(self, text: str) -> bytes:
        """Return the event of a piece of text."""
        return self._before + json.dumps(text).encode() + self._after

    def last(self, answer: Answer) -> bytes:
        """Return the event after the last piece of text: why it ended, and what it rests on."""
        end = ChunkChoice(delta=Delta(), finish_reason=answer.finish_reason)
        return self._event([end], twin=self._extension(answer))

    def usage(self, answer: Answer) -> bytes:
        """Return the event with the tokens."""
        return self._event([], usage=_usage(answer))

    def _event(
        self,
        choices: list[ChunkChoice],
        *,
        usage: Usage | None = None,
        twin: Extension | None = None,
    ) -> bytes:
        chunk = Chunk(
            id=self._id,
            created=self._created,
            model=self._model,
            choices=choices,
            usage=usage,
            twin=twin,
        )
        return event(chunk.model_dump_json())

    def _extension(self, answer: Answer) -> Extension:
        citations = [
            Citation(
                number=each.number,
                chunk=each.chunk,
                title=each.title,
                source=each.source,
                url=each.url,
                quote=each.quote,
            )
            for each in answer.citations
        ]
        return Extension(
            trace_id=self._trace_id,
            citations=citations,
            abstained=answer.abstained,
            extractive=answer.extractive,
            confidence=answer.confidence,
            grounded=answer.grounded,
            problem=None if answer.problem is None else self._mask(answer.problem),
            language_model=answer.model,
            prompt_version=answer.prompt_version,
            index=answer.index,
            corpus=answer.corpus,
            seconds=answer.timings,
            ignored=self._ignored,
        )


def event(data: str) -> bytes:
    """Return a server-sent event; the data is one line."""
    return f"data: {data}\n\n".encode()


def _usage(answer: Answer) -> Usage:
    return Usage(
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        total_tokens=answer.prompt_tokens + answer.completion_tokens,
    )
