"""The records: Opik's shapes, always JSON, and masked in every field."""

import dataclasses
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_twin.masking import Masker
from llm_twin.tracing import ids, record
from tests.opik_api import OpikApi


def writer(*known: str) -> record.Writer:
    """A writer that knows these secrets."""
    return record.Writer(record.Labels("p", "test", {"version": "1"}), Masker(known))


def test_ids_are_what_opik_makes_and_sort_by_time() -> None:
    """Ids are UUIDs of version 7 of now, and later ones are greater."""
    from opik.id_helpers import is_valid_uuid_v7

    before = time.time()
    made = [ids.new() for _ in range(1000)]
    assert all(map(is_valid_uuid_v7, made))
    assert len(set(made)) == 1000
    assert before - 0.002 <= ids.made(made[0]) <= time.time()
    milliseconds = [identity[:13] for identity in made]
    assert milliseconds == sorted(milliseconds)
    assert ids.is_id(made[0])
    assert not any(
        map(ids.is_id, ["", "x", made[0].upper(), "7cf0a2a8-1dd2-4d8f-a5a0-1f2f6d0b6a11"])
    )


def test_a_whole_record_is_what_opik_takes() -> None:
    """Trace, spans and score pass the SDK's own models, with no field that those don't have."""
    api = OpikApi()
    step = record.new_step("chat", time.time(), {"q": "x"})
    step.output, step.first_token, step.tags = {"text": "y"}, 0.25, ["a"]
    step.error = ValueError("wrong")
    span = record.new_step("generation", step.start, {"m": [1]})
    span.kind, span.model, span.provider, span.cost = "llm", "m", "p", 0.0
    span.usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    span.end = step.end = step.start + 1.5
    body = json.loads(writer().trace(step, [span], "thread"))
    api.take("POST", "/api/v1/private/traces/batch", {"traces": [body["trace"]]})
    api.take("POST", "/api/v1/private/spans/batch", {"spans": body["spans"]})
    score = json.loads(writer().score(step.id, "user_feedback", 1.0, "good", "sdk"))
    api.take("PUT", "/api/v1/private/traces/feedback-scores", {"scores": [score]})
    assert api.problems == []
    trace = api.traces[step.id]
    assert trace["ttft"] == 250.0
    assert trace["environment"] == "test"
    assert trace["metadata"] == {"version": "1"}
    assert trace["error_info"]["exception_type"] == "ValueError"
    assert trace["error_info"]["message"] == "wrong"
    assert api.spans[span.id]["total_estimated_cost"] == 0.0
    assert api.spans[span.id]["trace_id"] == step.id
    ends = datetime.fromisoformat(trace["end_time"]) - datetime.fromisoformat(trace["start_time"])
    assert ends.total_seconds() == pytest.approx(1.5, abs=1e-5)


@dataclasses.dataclass(frozen=True)
class Odd:
    """Something that JSON has no form for."""

    at: datetime
    path: object


def test_anything_becomes_json() -> None:
    """What JSON has no form for is told as text; nothing raises."""
    nested: list[Any] = []
    for _ in range(100):
        nested = [nested]
    value = {
        1: float("nan"),
        "inf": float("inf"),
        "big": 2**80,
        "odd": Odd(datetime(2026, 1, 2, tzinfo=UTC), {1}),
        "bytes": b"\xff",
        "half": "a\ud800b",
        "type": Odd,
        "deep": nested,
        None: (1, 2.5, True),
    }
    plain = record.plain(value)
    text = json.dumps(plain, allow_nan=False, ensure_ascii=False).encode()
    assert json.loads(text) == plain
    assert isinstance(plain, dict)
    assert plain["odd"] == {"at": "2026-01-02T00:00:00+00:00", "path": [1]}
    assert plain["half"] == "a?b"
    assert plain["big"] == hex(2**80)
    assert plain["1"] == "nan"
    assert plain["None"] == [1, 2.5, True]
    assert "at depth 32" in text.decode()


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda each: st.lists(each) | st.dictionaries(st.text() | st.integers(), each),
    )
)
def test_any_value_is_written(value: object) -> None:
    """No value of a request breaks its record."""
    step = record.new_step("chat", 1.0, {"value": value})
    body = writer().trace(step, [], None)
    assert json.loads(body.encode())["trace"]["id"] == step.id


def test_every_field_is_masked(canary: str) -> None:
    """A known key, an address and a number are in no field: names, tags and tracebacks neither."""
    token = "sk-" + "ant-api03-" + canary.replace("-", "")
    hidden = f"{canary} jane.doe@corp.example {token}"

    def broken() -> None:
        raise RuntimeError(hidden)

    step = record.new_step(hidden, 1.0, {hidden: [hidden, {"deep": hidden}]})
    step.output = {"text": hidden, "password": "short"}
    step.metadata = {hidden: hidden}
    step.tags = [hidden]
    try:
        broken()
    except RuntimeError as error:
        error.add_note(hidden)
        step.error = error
    span = record.new_step(hidden, 1.0, {hidden: hidden})
    span.kind, span.model, span.provider = "llm", hidden, hidden
    span.usage, span.error, span.tags = {hidden: 1}, step.error, [hidden]
    span.metadata, span.output = {hidden: hidden}, {hidden: hidden}
    masking = writer(canary)
    bodies = masking.trace(step, [span], hidden), masking.score(step.id, hidden, 1, hidden, "sdk")
    for body in bodies:
        assert canary not in body
        assert "jane.doe" not in body
        assert token not in body
        assert canary.removeprefix("canary-") not in body
        assert "[e-mail]" in body
    assert '"password":"[key]"' in bodies[0]


def test_remembered_texts_are_masked_as_others_are(canary: str) -> None:
    """The masker of traces gives what the plain one gives, for keys over several paragraphs too."""
    from llm_twin.tracing.masks import RememberingMasker

    block = "-----BEGIN RSA " + "PRIVATE KEY-----\nProc-Type: 4\n\n" + "QUJD" * 20
    block += "\n-----END RSA " + "PRIVATE KEY-----"
    texts = [
        "plain",
        f"a {canary}\n\nb x@corp.example\n\n\nc",
        f"before\n\n{block}\n\nafter",
        "long " * 10_000 + "x@corp.example",
    ]
    plain, remembering = Masker([canary]), RememberingMasker([canary])
    for text in [*texts, *texts]:
        assert remembering.mask_text(text) == plain.mask_text(text)
    assert "QUJD" not in remembering.mask_text(texts[2])
