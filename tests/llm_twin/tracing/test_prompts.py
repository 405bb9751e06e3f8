"""The prompt library: a version where the text is new, and none where it isn't."""

from collections.abc import Iterator

import pytest

from llm_twin.generation import prompts
from llm_twin.settings import Settings
from llm_twin.tracing.prompts import register, register_ours
from llm_twin.tracing.server import Server, UnavailableError
from llm_twin.tracing.tracer import Tracer
from tests.opik_server import OpikServer


@pytest.fixture
def server(served: Settings) -> Iterator[Server]:
    """A connection to the loopback server."""
    with Server(served.opik) as server:
        yield server


def test_prompts_get_a_version_when_their_text_is_new(opik: OpikServer, server: Server) -> None:
    """A new prompt and a changed one get a version, a known one gets none."""
    texts = {"answer": "Answer from {{passages}}.", "refuse": "Say that you don't know."}
    assert register(server, texts, project="p", version="v1") == ["answer", "refuse"]
    assert register(server, texts, project="p", version="v1") == []
    texts["answer"] = "Answer from {{passages}} alone."
    assert register(server, texts, project="p", version="v1") == ["answer"]
    versions = opik.api.prompts["answer"]
    assert [version["template"] for version in versions] == [
        "Answer from {{passages}}.",
        "Answer from {{passages}} alone.",
    ]
    assert versions[1]["metadata"]["prompt_version"] == "v1"
    assert len(versions[1]["metadata"]["sha256"]) == 64
    assert len(opik.api.prompts["refuse"]) == 1


def test_ours_are_registered_once(opik: OpikServer, server: Server, tracer: Tracer) -> None:
    """Each prompt of the twin is in the library; what is known is not asked for again."""
    with opik.failing(503), pytest.raises(UnavailableError):
        register_ours(tracer.spool, server, "p")
    register_ours(tracer.spool, server, "p")
    assert len(opik.api.prompts) == len(prompts.NAMES)
    (answer,) = opik.api.prompts["llm-twin-answer"]
    assert answer["template"] == prompts.text("answer.md")
    assert answer["metadata"]["prompt_version"] == prompts.version()
    requests = opik.requests
    register_ours(tracer.spool, server, "p")
    assert opik.requests == requests
    register_ours(tracer.spool, server, "another project")
    assert opik.requests > requests
