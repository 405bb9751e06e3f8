"""Records requests: what was asked, each step, what came out, what people thought of it.

    with tracer.request("chat", {"messages": [...]}) as request:
        async for event in twin.answer(messages, observer=request):
            ...
        request.answered(answer)
        request.commit()
        # now the last byte of the answer may leave

A request that ends without `commit`, by an error or because its caller went away, is committed at
the end of the `with` block.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, Self

from llm_twin import __version__
from llm_twin.errors import RefusedError
from llm_twin.home import Home
from llm_twin.tracing import ids, record, retention
from llm_twin.tracing.model import Entry
from llm_twin.tracing.prices import Prices
from llm_twin.tracing.request import Request
from llm_twin.tracing.spool import Spool

if TYPE_CHECKING:
    from llm_twin.settings import Settings

__all__ = ["Request", "Tracer", "UnknownTraceError", "limits"]

MEGABYTE: Final = 1_000_000


class UnknownTraceError(RefusedError):
    """There is no such trace in the spool."""


class Tracer:
    """Writes requests and feedback to the spool; safe to use from several threads.

    Attributes:
        spool: Where they go.
        limits: What the spool may hold.
    """

    def __init__(
        self, spool: Spool, writer: record.Writer, limits: retention.Limits, prices: Prices
    ) -> None:
        self.spool = spool
        self.limits = limits
        self._writer = writer
        self._prices = prices

    @classmethod
    def open(cls, home: Home, settings: "Settings") -> Self:
        """Open the spool of a state folder.

        Raises:
            TwinError: The spool can't be opened.
        """
        from llm_twin.tracing.masks import masker

        tracing = settings.tracing
        versions = {
            "version": __version__,
            "image": tracing.image,
            "commit": tracing.commit,
        }
        labels = record.Labels(
            project=settings.opik.project,
            environment=tracing.environment,
            metadata={key: value for key, value in versions.items() if value is not None},
        )
        return cls(
            Spool(home.spool_db),
            record.Writer(labels, masker(settings)),
            limits(settings),
            Prices(
                local=settings.model.url is None,
                input=tracing.input_price,
                output=tracing.output_price,
            ),
        )

    def request(
        self,
        name: str,
        input: Mapping[str, object],  # noqa: A002 - Opik's word for it
        *,
        thread: str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, object] | None = None,
    ) -> Request:
        """Begin a request; use it in a `with` block.

        Args:
            name: What kind of request it is, such as `chat` or `ask`.
            input: What was asked.
            thread: The conversation that it belongs to, where the caller names one.
            tags: Words to find it by.
            metadata: What else is worth keeping.
        """
        step = record.new_step(name, time.time(), input)
        step.tags += tags
        step.metadata.update(metadata or {})
        return Request(step, thread, self._commit, self._prices)

    def feedback(
        self,
        trace: str,
        name: str,
        value: float,
        reason: str | None = None,
        *,
        source: str = "sdk",
    ) -> None:
        """Keep what somebody thought of an answer; the last word on a name counts.

        Args:
            trace: The trace's id, as in the header `x-trace-id`.
            name: What is judged, such as `user_feedback`.
            value: The score, such as 1 for a thumb up and 0 for one down.
            reason: What the person said.
            source: Opik's word for where it comes from: `sdk`, `ui` or `online_scoring`.

        Raises:
            UnknownTraceError: The spool doesn't hold the trace, or not any more.
            TwinError: It can't be written.
        """
        if not ids.is_id(trace) or not self.spool.holds(trace):
            raise UnknownTraceError(
                "no such trace: feedback is taken as long as the spool keeps the answer's trace"
            )
        body = self._writer.score(trace, name, value, reason, source)
        retention.admit(self.spool, self.limits)
        self.spool.append(
            [Entry("score", trace, self._writer.text(name), time.time(), failed=False, body=body)]
        )

    def close(self) -> None:
        """Bring the spool within its limits, and close it."""
        retention.enforce(self.spool, self.limits)
        self.spool.close()

    def _commit(self, step: record.Step, spans: Sequence[record.Step], thread: str | None) -> None:
        body = self._writer.trace(step, spans, thread)
        name = self._writer.text(step.name)
        retention.admit(self.spool, self.limits)
        self.spool.append([Entry("trace", step.id, name, step.start, step.error is not None, body)])


def limits(settings: "Settings") -> retention.Limits:
    """What the settings let the spool hold."""
    tracing = settings.tracing
    return retention.Limits(
        bytes=tracing.max_megabytes * MEGABYTE,
        seconds=tracing.max_days * retention.DAY,
        refuse=tracing.when_full == "refuse",
    )
