"""The service's page says what is true: its settings, statuses, metrics and fields."""

import json
import re

from llm_twin.service.bodies import HINTS, ChatRequest
from llm_twin.service.settings import ServiceSettings
from tests.llm_twin.service.running import Service, question
from tests.repository import ROOT

PAGE = (ROOT / "docs/twin-service.md").read_text()


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables whose first column has this heading."""
    found: list[list[str]] = []
    for table in re.findall(rf"(?m)^\| {heading} \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE):
        found += [[cell.strip() for cell in row.strip("|").split("|")] for row in table.split("\n")]
    return [row for row in found if row != [""]]


def test_settings() -> None:
    """Each setting is in the table, with its default."""
    told = {cells[0].strip("`"): cells[1].strip("`") for cells in rows("Setting")}
    known = {
        f"service.{name}": str(value) if value != () else "none"
        for name, value in ServiceSettings()
    }
    assert told == known


def test_metrics_and_fields(service: Service) -> None:
    """Each metric and each field of an answer is in its table."""
    with service.client() as client:
        answer = client.post("/v1/chat/completions", json=question()).json()
        text = client.get("/metrics").text
        document = client.get("/openapi.json").json()
    metrics = {name for cells in rows("Metric") for name in re.findall(r"`(\w+)`", cells[0])}
    known = set(re.findall(r"(?m)^# TYPE (\w+)", text))
    assert metrics == {name for name in known if not name.endswith("_created")}
    fields = {name for cells in rows("Field") for name in re.findall(r"`(\w+)`", cells[0])}
    assert fields == set(answer["twin"])
    statuses = {int(cells[0]) for cells in rows("Status")}
    described = {int(code) for code in re.findall(r'"(\d{3})": ', json.dumps(document["paths"]))}
    assert statuses == described - {200, 401} | {401}


def test_fields_of_a_request() -> None:
    """Each field of a request is on the page."""
    section = PAGE.partition("### Fields of a request")[2].partition("###")[0]
    named = {name.partition(".")[0] for name in re.findall(r"`([\w.]+)`", section)}
    taken = set(ChatRequest.model_fields) - {"parallel_tool_calls", "tool_choice", "modalities"}
    assert taken - {"response_format"} <= named
    assert set(HINTS) <= named
