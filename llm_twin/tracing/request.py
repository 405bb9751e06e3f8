"""One request while it goes on, and its steps."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from llm_twin.errors import TwinError
from llm_twin.observing import Kind
from llm_twin.tracing import record
from llm_twin.tracing.prices import Prices

if TYPE_CHECKING:
    from llm_twin.answers import Answer

CANCELLED: Final = "cancelled"
"""Tag of a request whose caller went away."""

# The trace and the span that the code at hand is in.
_inside: ContextVar[tuple[str, str] | None] = ContextVar("span", default=None)


class Span:
    """A step while it goes on; see `llm_twin.observing.Span`."""

    def __init__(self, step: record.Step, clock: Callable[[], float]) -> None:
        self._step = step
        self._clock = clock

    def update(
        self,
        *,
        output: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        usage: Mapping[str, int] | None = None,
        model: str | None = None,
        provider: str | None = None,
    ) -> None:
        """Add what is known by now; what is None stays as it was."""
        step = self._step
        step.output = step.output if output is None else output
        step.metadata.update(metadata or {})
        step.usage = step.usage if usage is None else usage
        step.model = step.model if model is None else model
        step.provider = step.provider if provider is None else provider

    def first_token(self) -> None:
        """Note that the first piece of the answer came, now."""
        if self._step.first_token is None:
            self._step.first_token = self._clock() - self._step.start


class Request:
    """One request while it goes on; an `llm_twin.observing.Observer`.

    Attributes:
        trace_id: The trace's id, for the header `x-trace-id`.
    """

    def __init__(
        self,
        step: record.Step,
        thread: str | None,
        commit: Callable[[record.Step, Sequence[record.Step], str | None], None],
        prices: Prices,
    ) -> None:
        self.trace_id = step.id
        self._step = step
        self._thread = thread
        self._write = commit
        self._prices = prices
        self._spans: list[record.Step] = []
        self._begun = time.monotonic()
        self._committed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._committed:
            return
        if isinstance(error, asyncio.CancelledError | GeneratorExit):
            self._step.tags.append(CANCELLED)
        elif error is not None:
            self._step.error = error
        try:
            self.commit()
        except TwinError as problem:
            if error is None:
                raise
            # The first error is what the caller has to hear of.
            error.add_note(f"and its trace is lost: {problem}")

    @contextmanager
    def span(
        self,
        name: str,
        kind: Kind,
        input: Mapping[str, object],  # noqa: A002 - Opik's word for it
    ) -> Iterator[Span]:
        """Open a step; it ends with the `with` block, and with its error where there is one."""
        step = record.new_step(name, self._now(), input)
        trace, parent = _inside.get() or ("", None)
        step.kind, step.parent = kind, parent if trace == self.trace_id else None
        self._spans.append(step)
        token = _inside.set((self.trace_id, step.id))
        try:
            yield Span(step, self._now)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError | GeneratorExit):
                step.tags.append(CANCELLED)
            else:
                step.error = error
            raise
        finally:
            step.end = self._now()
            # A generator that is closed from elsewhere ends in another context.
            if _inside.get() == (self.trace_id, step.id):
                _inside.reset(token)

    def finish(
        self,
        output: Mapping[str, object],
        *,
        metadata: Mapping[str, object] | None = None,
        tags: Sequence[str] = (),
        first_token: float | None = None,
    ) -> None:
        """Say what came out of the request.

        Args:
            output: What the caller gets.
            metadata: What else is worth keeping, such as versions.
            tags: Words to find it by.
            first_token: Seconds from the request to the first piece of the answer.
        """
        self._step.output = output
        self._step.metadata.update(metadata or {})
        self._step.tags += tags
        self._step.first_token = first_token

    def answered(self, answer: "Answer") -> None:
        """Say what came out of the request: an answer of the twin."""
        kinds = {"abstained": answer.abstained, "extractive": answer.extractive}
        self.finish(
            {"text": answer.text, "citations": answer.citations, "finish": answer.finish_reason},
            metadata={
                "model": answer.model,
                "prompt_version": answer.prompt_version,
                "index": answer.index,
                "corpus": answer.corpus,
                "seconds": answer.timings,
                **kinds,
            },
            tags=[tag for tag, holds in kinds.items() if holds],
            first_token=answer.timings.get("first_token"),
        )

    def fail(self, error: BaseException) -> None:
        """Say that the request ended with an error that its caller was told of."""
        self._step.error = error

    def commit(self) -> None:
        """Write the request; when this returns it is on the disk. Later calls do nothing.

        Raises:
            FullError: The spool is full, and may drop nothing for this.
            TwinError: It could not be written.
        """
        if self._committed:
            return
        self._committed = True
        self._step.end = self._now()
        for span in self._spans:
            if span.kind == "llm" and span.cost is None:
                span.cost = self._prices.cost(span.usage or {})
        self._write(self._step, self._spans, self._thread)

    async def committed(self) -> None:
        """Write the request as `commit` does, and let others go on meanwhile."""
        await asyncio.to_thread(self.commit)

    def _now(self) -> float:
        # The wall clock may be set back; durations may not.
        return self._step.start + time.monotonic() - self._begun
