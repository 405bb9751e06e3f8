"""How the twin tells what it does, step by step, to whoever records it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

Kind = Literal["general", "tool", "llm"]


class Span(Protocol):
    """One step while it is going on."""

    def update(
        self,
        *,
        output: Mapping[str, object] | None = None,
        metadata: Mapping[str, object] | None = None,
        usage: Mapping[str, int] | None = None,
        model: str | None = None,
        provider: str | None = None,
    ) -> None:
        """Add what is known by now; what is None stays as it was.

        Args:
            output: What the step gave.
            metadata: What else is worth keeping; keys are added to those that are there.
            usage: Tokens: `prompt_tokens`, `completion_tokens` and `total_tokens`.
            model: The model that answered.
            provider: Who runs the model.
        """
        ...


class Observer(Protocol):
    """Takes the steps of one answer. Spans nest as the `with` blocks do."""

    def span(
        self,
        name: str,
        kind: Kind,
        input: Mapping[str, object],  # noqa: A002 - Opik's word for it
    ) -> AbstractContextManager[Span]:
        """Open a step; it ends with the `with` block, and with its error where there is one.

        Args:
            name: What the step is: `retrieval`, `prompt` or `generation`.
            kind: What Opik calls the span's type.
            input: What the step was given.
        """
        ...


class Silent:
    """An observer that records nothing."""

    def span(
        self,
        name: str,
        kind: Kind,
        input: Mapping[str, object],  # noqa: A002 - Opik's word for it
    ) -> AbstractContextManager[Span]:
        """Open a step that nobody sees."""
        del name, kind, input
        return nullcontext(_SilentSpan())


class _SilentSpan:
    def update(self, **_: object) -> None:
        """Record nothing."""
