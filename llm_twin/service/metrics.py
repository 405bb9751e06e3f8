"""What Prometheus reads. Labels hold words of ours alone, never what a caller sent."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    generate_latest,
)

from llm_twin import __version__
from llm_twin.twin import Answer

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Metrics:
    """The service's own metrics, in a registry of their own."""

    def __init__(self, running: Callable[[], float], waiting: Callable[[], float]) -> None:
        """Begin at zero.

        Args:
            running: Tells how many answers are in the making.
            waiting: Tells how many requests wait for their turn.
        """
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "llm_twin_requests",
            "Requests that were answered.",
            ["path", "method", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "llm_twin_request_seconds",
            "Time until the last byte of an answer.",
            ["path"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._first_token = Histogram(
            "llm_twin_first_token_seconds",
            "Time from the question to the first token, without the wait for a turn.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._answers = Counter(
            "llm_twin_answers",
            "Answers: generated, extractive, abstained, failed or left by the caller.",
            ["kind"],
            registry=self._registry,
        )
        self._tokens = Counter(
            "llm_twin_tokens",
            "Tokens that the language model read (prompt) and wrote (completion).",
            ["kind"],
            registry=self._registry,
        )
        self._feedback = Counter(
            "llm_twin_feedback",
            "Feedback that was given.",
            ["rating"],
            registry=self._registry,
        )
        Gauge(
            "llm_twin_answers_running", "Answers in the making.", registry=self._registry
        ).set_function(running)
        Gauge(
            "llm_twin_requests_waiting", "Requests that wait.", registry=self._registry
        ).set_function(waiting)
        Info("llm_twin_build", "The version that runs.", registry=self._registry).info(
            {"version": __version__}
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Add a value that is read when it is asked for."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def request(self, path: str, method: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests.labels(path, method, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def answer(self, answer: Answer) -> None:
        """Count a whole answer."""
        kind = "generated"
        if answer.abstained:
            kind = "abstained"
        elif answer.extractive:
            kind = "extractive"
        self._answers.labels(kind).inc()
        self._tokens.labels("prompt").inc(answer.prompt_tokens)
        self._tokens.labels("completion").inc(answer.completion_tokens)
        if (first := answer.timings.get("first_token")) is not None:
            self._first_token.observe(first)

    def unfinished(self, kind: str) -> None:
        """Count an answer that `failed` or whose caller `left`."""
        self._answers.labels(kind).inc()

    def feedback(self, rating: str) -> None:
        """Count what a reader thought."""
        self._feedback.labels(rating).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self._registry)
