"""A state folder, a tracer, and a loopback Opik server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_twin.home import Home
from llm_twin.settings import OpikSettings, Settings, TracingSettings
from llm_twin.tracing.tracer import Request, Tracer
from tests.opik_server import OpikServer


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A new state folder."""
    return Home(tmp_path / "home")


@pytest.fixture
def settings(home: Home) -> Settings:
    """The settings of a laptop with no server."""
    return Settings(home=home.path)


@pytest.fixture
def tracer(home: Home, settings: Settings) -> Iterator[Tracer]:
    """A tracer of the state folder."""
    tracer = Tracer.open(home, settings)
    yield tracer
    tracer.spool.close()


@pytest.fixture
def opik() -> Iterator[OpikServer]:
    """An Opik server."""
    with OpikServer() as server:
        yield server
        assert server.api.problems == []


@pytest.fixture
def served(home: Home, opik: OpikServer) -> Settings:
    """The settings with that server, which is given up on after half a second."""
    return Settings(
        home=home.path,
        opik=OpikSettings(url=opik.url, timeout=2.0),
        tracing=TracingSettings(environment="test"),
    )


Ask = Callable[..., Request]


@pytest.fixture
def ask(tracer: Tracer) -> Ask:
    """Record a whole request: `ask("question")`."""

    def record(question: str = "How do I roll back?", name: str = "chat") -> Request:
        return whole_request(tracer, question, name)

    return record


def whole_request(tracer: Tracer, question: str, name: str = "chat") -> Request:
    """Record a request with the spans of an answer."""
    with tracer.request(name, {"question": question}, thread="thread-1") as request:
        with request.span("retrieval", "tool", {"query": question}) as span:
            span.update(output={"passages": [{"text": "Roll back with `rollback`.", "score": 0.9}]})
        with request.span("generation", "llm", {"question": question}) as span:
            span.first_token()
            span.update(
                output={"text": "With `rollback`."},
                usage={"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
                model="smollm2",
                provider="embedded",
            )
        request.finish({"text": "With `rollback`."}, metadata={"index": "i1"}, first_token=0.25)
        request.commit()
    return request
