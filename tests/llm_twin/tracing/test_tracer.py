"""The tracer: what a request leaves behind, however it ends."""

import asyncio
import json
import threading
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from llm_twin.errors import TwinError
from llm_twin.home import Home
from llm_twin.settings import EndpointSettings, OpikSettings, Settings, TracingSettings
from llm_twin.tracing.prices import Prices
from llm_twin.tracing.retention import FullError
from llm_twin.tracing.tracer import Request, Tracer, UnknownTraceError
from llm_twin.twin import Answer
from tests.llm_twin.tracing.conftest import Ask, whole_request

if TYPE_CHECKING:
    from llm_twin.observing import Observer


def recorded(tracer: Tracer, request: Request) -> dict[str, Any]:
    """The body of a request's trace."""
    entry, *_ = tracer.spool.of_trace(request.trace_id)
    body: dict[str, Any] = json.loads(entry.body)
    return body


def test_a_request_is_one_trace_with_its_spans(tracer: Tracer, ask: Ask) -> None:
    """Question, steps, tokens, cost and times are all there after `commit`."""
    request = ask("Why?")
    body = recorded(tracer, request)
    trace = body["trace"]
    assert trace["id"] == request.trace_id
    assert trace["input"] == {"question": "Why?"}
    assert trace["output"] == {"text": "With `rollback`."}
    assert trace["thread_id"] == "thread-1"
    assert trace["project_name"] == "llm-twin"
    assert trace["environment"] == "development"
    assert trace["ttft"] == 250
    assert trace["metadata"]["index"] == "i1"
    assert trace["metadata"]["version"]
    retrieval, generation = body["spans"]
    assert (retrieval["name"], retrieval["type"]) == ("retrieval", "tool")
    assert (generation["name"], generation["type"]) == ("generation", "llm")
    assert generation["usage"]["total_tokens"] == 12
    assert generation["total_estimated_cost"] == 0.0
    assert generation["ttft"] >= 0
    assert "total_estimated_cost" not in retrieval
    assert trace["start_time"] <= retrieval["start_time"] <= retrieval["end_time"]
    assert retrieval["end_time"] <= generation["end_time"] <= trace["end_time"]


def test_a_request_is_an_observer(tracer: Tracer) -> None:
    """The type checker holds the request against the protocol of the twin."""
    observer: Observer = tracer.request("x", {})
    with observer.span("prompt", "general", {}) as span:
        span.update(metadata={"a": 1})


def test_spans_nest_as_the_blocks_do_also_side_by_side(tracer: Tracer) -> None:
    """Steps in tasks that run at once have the step around them as parent, and not each other."""

    async def step(request: Request, name: str) -> None:
        with request.span(name, "general", {}):
            await asyncio.sleep(0.01)
            with request.span(f"{name}-inner", "general", {}):
                await asyncio.sleep(0.01)

    async def main() -> Request:
        with tracer.request("x", {}) as request:
            with request.span("outer", "general", {}):
                await asyncio.gather(step(request, "a"), step(request, "b"))
                await asyncio.to_thread(lambda: request.span("thread", "tool", {}).__enter__())
            with request.span("after", "general", {}):
                pass
            await request.committed()
        return request

    body = recorded(tracer, asyncio.run(main()))
    names = {span["id"]: span["name"] for span in body["spans"]}
    parents = {span["name"]: names.get(span.get("parent_span_id")) for span in body["spans"]}
    assert parents == {
        "outer": None,
        "a": "outer",
        "b": "outer",
        "a-inner": "a",
        "b-inner": "b",
        "thread": "outer",
        "after": None,
    }


def test_an_error_is_recorded_and_goes_on(tracer: Tracer) -> None:
    """A request that fails is there with its error, in the step where it happened too."""
    with (
        pytest.raises(ZeroDivisionError),
        tracer.request("x", {}) as request,
        request.span("generation", "llm", {}),
    ):
        _ = 1 / 0
    body = recorded(tracer, request)
    assert body["trace"]["error_info"]["exception_type"] == "ZeroDivisionError"
    assert "1 / 0" in body["trace"]["error_info"]["traceback"]
    assert body["spans"][0]["error_info"]["message"] == "division by zero"
    assert [entry.trace for entry in tracer.spool.walk(failed=True)] == [request.trace_id]


def test_an_error_that_the_caller_was_told_of(tracer: Tracer) -> None:
    """`fail` records an error that doesn't leave the block."""
    with tracer.request("x", {}) as request:
        request.fail(TwinError("no model"))
    assert recorded(tracer, request)["trace"]["error_info"]["message"] == "no model"


def test_a_caller_who_goes_away_leaves_a_trace(tracer: Tracer) -> None:
    """A cancelled stream is committed, with a tag and no error."""
    requests = []

    async def answer() -> AsyncIterator[str]:
        with tracer.request("x", {}) as request:
            requests.append(request)
            with request.span("generation", "llm", {}):
                yield "first"
                yield "never"

    async def leave() -> None:
        stream = answer()
        assert await anext(stream) == "first"
        await stream.aclose()  # type: ignore[attr-defined] # an async generator has it

    asyncio.run(leave())
    body = recorded(tracer, requests[0])
    assert body["trace"]["tags"] == ["cancelled"]
    assert body["spans"][0]["tags"] == ["cancelled"]
    assert "error_info" not in body["trace"]


def test_commit_writes_once(tracer: Tracer, ask: Ask) -> None:
    """A request is one trace, however often it is committed."""
    request = ask()
    request.commit()
    assert len(list(tracer.spool.walk())) == 1


def test_an_answer_of_the_twin(tracer: Tracer) -> None:
    """All versions of an answer stand in the metadata, what it was in the tags."""
    answer = Answer(
        text="I don't know.",
        citations=(),
        abstained=True,
        extractive=False,
        model="smollm2",
        prompt_version="abc",
        index="i1",
        corpus="c1",
        timings={"retrieval": 0.1, "first_token": 0.2, "total": 0.3},
    )
    with tracer.request("ask", {"question": "?"}) as request:
        request.answered(answer)
    trace = recorded(tracer, request)["trace"]
    assert trace["tags"] == ["abstained"]
    assert trace["ttft"] == 200
    assert trace["output"]["text"] == "I don't know."
    wanted = {"model": "smollm2", "prompt_version": "abc", "index": "i1", "corpus": "c1"}
    assert trace["metadata"].items() >= wanted.items()


def test_versions_and_environment_come_from_the_settings(home: Home) -> None:
    """Image, commit, project and environment stand in every trace."""
    tracing = TracingSettings(environment="staging", image="r/i@sha256:1", commit="c0ffee")
    tracer = Tracer.open(
        home, Settings(home=home.path, opik=OpikSettings(project="mine"), tracing=tracing)
    )
    trace = recorded(tracer, whole_request(tracer, "?"))["trace"]
    assert (trace["project_name"], trace["environment"]) == ("mine", "staging")
    assert (trace["metadata"]["image"], trace["metadata"]["commit"]) == ("r/i@sha256:1", "c0ffee")


def test_keys_of_the_settings_are_in_no_trace(home: Home, canary: str) -> None:
    """What the settings hold as a secret is masked wherever it turns up."""
    model = EndpointSettings(url="http://127.0.0.1:9", api_key=SecretStr(canary))
    tracer = Tracer.open(home, Settings(home=home.path, model=model))
    request = whole_request(tracer, f"is {canary} good?", name=canary)
    tracer.feedback(request.trace_id, canary, 1, canary)
    entries = tracer.spool.of_trace(request.trace_id)
    assert len(entries) == 2
    assert not any(canary in entry.body + entry.name for entry in entries)
    tracer.spool.close()
    assert all(canary.encode() not in path.read_bytes() for path in home.path.rglob("*.db*"))


def test_feedback_is_a_score_of_its_trace(tracer: Tracer, ask: Ask) -> None:
    """Feedback is kept with its trace; for an unknown one it is refused."""
    request = ask()
    tracer.feedback(request.trace_id, "user_feedback", 0, "wrong; write to a@corp.example")
    _, score = tracer.spool.of_trace(request.trace_id)
    assert json.loads(score.body) == {
        "id": request.trace_id,
        "project_name": "llm-twin",
        "name": "user_feedback",
        "value": 0,
        "reason": "wrong; write to [e-mail]",
        "source": "sdk",
    }
    for unknown in ("01a21492-0a86-7fe0-9f40-ee35ae3b2476", "nonsense", ""):
        with pytest.raises(UnknownTraceError) as caught:
            tracer.feedback(unknown, "user_feedback", 1)
        assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        (Prices(local=True), 0.0),
        (Prices(local=False), None),
        (Prices(local=False, input=1.0), None),
        (Prices(local=False, input=1.0, output=3.0), 5e-6),
    ],
)
def test_cost_is_known_or_not_told(prices: Prices, cost: float | None) -> None:
    """A local model costs nothing, another what the settings say; there is no guess."""
    assert prices.cost({"prompt_tokens": 2, "completion_tokens": 1}) == cost


def test_full_spool_refuses_or_drops(home: Home) -> None:
    """With `refuse` a full spool is an error of the request, and what is there stays."""
    settings = Settings(
        home=home.path, tracing=TracingSettings(max_megabytes=1, when_full="refuse")
    )
    tracer = Tracer.open(home, settings)

    def fill() -> None:
        for _ in range(100):
            with tracer.request("x", {"text": "word " * 3_900}) as request:
                request.finish({})

    with pytest.raises(FullError, match="LLM_TWIN_TRACING_MAX_MEGABYTES"):
        fill()
    kept = len(list(tracer.spool.walk()))
    assert kept > 10
    assert tracer.spool.removals() == []
    roomy = Tracer.open(home, Settings(home=home.path, tracing=TracingSettings(max_megabytes=1)))
    tracer = roomy
    fill()
    (removal,) = roomy.spool.removals()
    assert removal.traces == removal.undelivered == kept + 100 - len(list(roomy.spool.walk()))
    assert roomy.spool.measure() < 1_150_000


def test_error_of_the_caller_is_told_first(tracer: Tracer, home: Home) -> None:
    """Where the trace can't be written either, the first error goes on with a note."""
    with tracer.spool.writing() as connection:
        connection.execute("DROP TABLE outbox")
    with (
        pytest.raises(KeyError) as caught,
        tracer.request("x", {}),
    ):
        raise KeyError("first")
    assert "its trace is lost" in "".join(traceback.format_exception(caught.value))
    assert home.spool_db.exists()


def test_threads_record_at_once(tracer: Tracer) -> None:
    """Requests of many threads are whole, each with its own spans."""
    threads = [
        threading.Thread(target=lambda n=n: [whole_request(tracer, f"{n}-{i}") for i in range(20)])
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bodies = [json.loads(entry.body) for entry in tracer.spool.walk()]
    assert len({body["trace"]["input"]["question"] for body in bodies}) == 160
    for body in bodies:
        assert {span["trace_id"] for span in body["spans"]} == {body["trace"]["id"]}
        assert body["spans"][0]["input"]["query"] == body["trace"]["input"]["question"]


def test_request_path_never_imports_opik(tmp_path: Path) -> None:
    """Recording loads neither the SDK nor an HTTP client: both are slow."""
    import subprocess
    import sys

    code = (
        "import sys\nfrom pathlib import Path\nfrom llm_twin.home import Home\n"
        "from llm_twin.settings import Settings\nfrom llm_twin.tracing.tracer import Tracer\n"
        f"home = Path({str(tmp_path / 'h')!r})\n"
        "tracer = Tracer.open(Home(home), Settings(home=home))\n"
        "with tracer.request('x', {'a': 'b'}) as request:\n    request.commit()\n"
        "tracer.feedback(request.trace_id, 'n', 1)\n"
        "print([m for m in ('opik', 'httpx', 'numpy', 'fastapi') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
