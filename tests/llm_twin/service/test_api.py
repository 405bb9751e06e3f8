"""The API as its callers use it: curl, OpenAI's client, and httpx for what these hide."""

import json
import re
import shutil
import subprocess

import openai
import pytest

from tests.llm_server import LlmServer
from tests.llm_twin.service.conftest import ANSWER
from tests.llm_twin.service.running import MODEL, Service, events, question

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
TRACE = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
def official(service: Service) -> openai.OpenAI:
    """OpenAI's own client, unchanged."""
    return openai.OpenAI(base_url=f"{service.url}/v1", api_key="none is needed", max_retries=0)


def test_whole_answer(service: Service) -> None:
    """An answer has the text, its sources, the tokens and its trace's id."""
    with service.client() as client:
        response = client.post("/v1/chat/completions", json=question())
    assert response.status_code == 200
    body = response.json()
    assert body["object"] == "chat.completion"
    assert body["model"] == MODEL
    (choice,) = body["choices"]
    assert choice["message"] == {"role": "assistant", "content": ANSWER, "refusal": None}
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    (cited,) = body["twin"]["citations"]
    assert cited["number"] == 1
    assert cited["source"].endswith("kiln.md")
    assert "1240 degrees" in cited["quote"]
    trace = response.headers["x-trace-id"]
    assert TRACE.fullmatch(trace)
    assert body["twin"]["trace_id"] == trace
    assert body["id"] == f"chatcmpl-{trace}"


def test_stream_is_the_same_answer_in_pieces(service: Service, llm: LlmServer) -> None:
    """A stream begins with the role, ends with the reason, the sources and the proper end."""
    llm.pause = 0.05
    with service.client() as client:
        body = question(stream=True, stream_options={"include_usage": True})
        with client.stream("POST", "/v1/chat/completions", json=body) as response:
            assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
            trace = response.headers["x-trace-id"]
            *chunks, end = events(response)
    assert end is None
    first, *pieces, last, usage = [chunk for chunk in chunks if chunk is not None]
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(piece["choices"][0]["delta"]["content"] for piece in pieces) == ANSWER
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["twin"]["trace_id"] == trace
    assert last["twin"]["citations"][0]["source"].endswith("kiln.md")
    assert usage["choices"] == []
    assert usage["usage"]["completion_tokens"] > 0


def test_official_client_whole(official: openai.OpenAI) -> None:
    """OpenAI's client reads an answer, and what the twin adds to it."""
    done = official.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "How hot is the kiln?"}]
    )
    assert done.choices[0].message.content == ANSWER
    assert done.usage is not None
    assert done.model_extra is not None
    assert done.model_extra["twin"]["citations"][0]["number"] == 1


def test_official_client_stream(official: openai.OpenAI) -> None:
    """OpenAI's client reads a stream."""
    with official.chat.completions.stream(
        model=MODEL, messages=[{"role": "user", "content": "How hot is the kiln?"}]
    ) as stream:
        done = stream.get_final_completion()
    assert done.choices[0].message.content == ANSWER


def test_official_client_goes_on_with_the_conversation(
    official: openai.OpenAI, llm: LlmServer
) -> None:
    """The message that OpenAI's client got is accepted back as a part of the conversation."""
    asked: list[openai.types.chat.ChatCompletionMessageParam] = [
        {"role": "user", "content": "How hot is the kiln?"}
    ]
    first = official.chat.completions.create(model=MODEL, messages=asked)
    answered = first.choices[0].message.to_dict()
    again = official.chat.completions.create(
        model=MODEL,
        messages=[
            *asked,
            {"role": "assistant", "content": str(answered["content"])},
            {"role": "user", "content": [{"type": "text", "text": "How long does that take?"}]},
        ],
        temperature=0.2,
        max_completion_tokens=50,
        top_p=0.9,
        seed=1,
    )
    assert again.choices[0].message.content
    assert again.model_extra is not None
    assert again.model_extra["twin"]["ignored"] == ["top_p", "seed"]
    assert any("How long does that take?" in json.dumps(body) for body in llm.asked)


def test_official_client_lists_models(official: openai.OpenAI) -> None:
    """The twin is a model."""
    assert [model.id for model in official.models.list()] == [MODEL]
    assert official.models.retrieve(MODEL).id == MODEL
    with pytest.raises(openai.NotFoundError, match="the only one is llm-twin"):
        official.models.retrieve("gpt-x")


def test_official_client_understands_errors(official: openai.OpenAI) -> None:
    """Errors are those that OpenAI's client has classes for, with the field that is wrong."""
    with pytest.raises(openai.NotFoundError) as unknown:
        official.chat.completions.create(model="gpt-x", messages=[{"role": "user", "content": "?"}])
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.UnprocessableEntityError) as two:
        official.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "?"}], n=2
        )
    assert two.value.param == "n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_curl(service: Service) -> None:
    """Curl gets a stream line by line."""
    body, url = json.dumps(question(stream=True)), f"{service.url}/v1/chat/completions"
    done = subprocess.run(
        ["curl", "-sSNf", "-H", "Content-Type: application/json", "-d", body, url],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = [line for line in done.stdout.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    assert '"content":"The"' in lines[1]


@pytest.mark.parametrize(
    ("rating", "value", "comment"), [("up", 1.0, "Just what I needed."), ("down", 0.0, None)]
)
def test_feedback_is_kept_with_the_trace(
    service: Service, rating: str, value: float, comment: str | None
) -> None:
    """Feedback is a score of the answer's trace, with what was said."""
    with service.client() as client:
        trace = client.post("/v1/chat/completions", json=question()).headers["x-trace-id"]
        body = {"trace_id": trace, "rating": rating} | ({"comment": comment} if comment else {})
        response = client.post("/v1/feedback", json=body)
    assert response.json() == {"object": "feedback", "trace_id": trace, "rating": rating}
    (kept,) = [each for each in service.traces() if each["trace"]["id"] == trace]
    (score,) = kept["scores"]
    assert (score["name"], score["value"]) == ("user_feedback", value)
    assert score.get("reason") == comment


def test_feedback_on_an_unknown_trace(service: Service) -> None:
    """Feedback that belongs to no answer is refused."""
    with service.client() as client:
        body = {"trace_id": "01a21496-d2bd-7409-b45e-32d967899491", "rating": "up"}
        response = client.post("/v1/feedback", json=body)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "unknown_trace"


def test_trace_holds_question_answer_and_steps(service: Service) -> None:
    """A request is a trace with its steps, by the time the answer is there."""
    with service.client() as client:
        response = client.post("/v1/chat/completions", json=question())
    trace = response.headers["x-trace-id"]
    (kept,) = [each for each in service.traces() if each["trace"]["id"] == trace]
    assert "How" in json.dumps(kept["trace"]["input"]) or "kiln" in json.dumps(kept["trace"])
    assert ANSWER in json.dumps(kept["trace"]["output"])
    assert {"retrieval", "generation"} <= {span["name"] for span in kept["spans"]}


def test_health_and_metrics(service: Service) -> None:
    """The service says that it is well, and what it did."""
    with service.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.get("/readyz").json() == {"status": "ready"}
        client.post("/v1/chat/completions", json=question())
        client.get("/no/such/path")
        text = client.get("/metrics").text
    counted = r'llm_twin_requests_total{method="%s",path="%s",status="%d"} [1-9]'
    assert re.search(counted % ("POST", "/v1/chat/completions", 200), text)
    assert re.search(counted % ("GET", "other", 404), text)
    assert re.search(r'llm_twin_tokens_total{kind="completion"} [1-9]', text)
    assert "llm_twin_first_token_seconds_bucket" in text
    assert "llm_twin_answers_running 0.0" in text
    assert "/no/such/path" not in text


def test_page_and_headers(service: Service) -> None:
    """The page comes with a strict policy, names nothing outside, and is not sent twice."""
    with service.client() as client:
        page = client.get("/")
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        for path in ("/static/chat.css", "/static/chat.js", "/static/icon.svg"):
            file = client.get(path)
            assert file.status_code == 200
            assert file.headers["x-content-type-options"] == "nosniff"
            outside = re.findall(r"(?:https?:)?//[a-z][\w.-]+\.[a-z]+", file.text)
            assert outside in ([], ["http://www.w3.org"])  # the name of SVG, which nobody fetches
        again = client.get("/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert not re.search(r"<style|style=|<script[^>]*>[^<]|\son\w+=|https?://", page.text)


def test_no_page_of_the_framework(service: Service) -> None:
    """The framework's own pages, which load scripts from elsewhere, are not there."""
    with service.client() as client:
        assert client.get("/docs").status_code == 404
        assert client.get("/redoc").status_code == 404
        assert client.get("/openapi.json").json()["info"]["title"] == "LLM twin"


def test_errors_have_one_shape(service: Service) -> None:
    """What the framework refuses has the same shape as what we refuse."""
    with service.client() as client:
        answers = [
            (404, client.get("/nothing/here")),
            (405, client.get("/v1/chat/completions")),
            (400, client.post("/v1/feedback", content=b"{", headers=JSON)),
            (422, client.post("/v1/feedback", content=b"{}", headers=TEXT)),
            (422, client.post("/v1/feedback", content=b"[]", headers=JSON)),
            (400, client.post("/v1/feedback", content=b"[" * 100_000, headers=JSON)),
        ]
    for status, response in answers:
        assert response.status_code == status, response.text
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
