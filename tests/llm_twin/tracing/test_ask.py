"""`ask` and `chat` leave traces, and deliver them when the answer is out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_twin.home import Home
from llm_twin.settings import OpikSettings, Settings
from llm_twin.tracing.forward import Forwarder
from llm_twin.tracing.server import Server
from llm_twin.tracing.spool import Spool
from llm_twin.tracing.tracer import Tracer
from llm_twin.tracing.tracker import SpoolTracker
from tests.llm_twin.tracing.conftest import whole_request
from tests.opik_server import OpikServer

COMMAND = Path(sys.executable).with_name("llm-twin")
DOCUMENT = (
    "# Boats\n\n## Repairs\n\nThe hull of a boat is repaired with epoxy resin in the dry dock.\n"
)


def run(
    folder: Path, *arguments: str, given: str | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with a state folder, without a language model."""
    ours = {"LLM_TWIN_HOME": str(folder / "home"), "LLM_TWIN_ANSWERS_MODE": "extractive"}
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env=os.environ | ours | variables,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with an index of one document."""
    folder = tmp_path_factory.mktemp("asking")
    (folder / "boats.md").write_text(DOCUMENT)
    done = run(folder, "ingest", "boats.md")
    assert done.returncode == 0, done.stderr
    return folder


def test_ask_is_a_trace_that_is_delivered(folder: Path, canary: str) -> None:
    """The question, its steps and the versions are in the spool, then at the server."""
    question = f"How is the hull of a boat repaired? My key is {canary}."
    with OpikServer() as opik:
        done = run(
            folder,
            *("ask", "--json", question),
            LLM_TWIN_OPIK_URL=opik.url,
            LLM_TWIN_OPIK_API_KEY=canary,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert opik.api.problems == []
        (trace,) = opik.api.traces.values()
        assert "llm-twin-answer" in opik.api.prompts
    answer = json.loads(done.stdout)
    assert trace["id"] == answer["trace_id"]
    assert trace["output"]["text"] == answer["text"]
    assert trace["metadata"]["prompt_version"] == answer["prompt_version"]
    assert trace["metadata"]["index"] == answer["index"]
    found = SpoolTracker(Spool(Home(folder / "home").spool_db)).get(trace["id"])
    assert found is not None
    assert found.spans[0]["name"] == "retrieval"
    assert canary not in json.dumps(found.as_json())


def test_server_that_is_away_does_not_fail_the_answer(folder: Path) -> None:
    """The answer comes, the exit code is 0, and a line says that the trace waits."""
    with OpikServer() as opik:
        opik.mode = 503
        done = run(folder, "ask", "How is a hull repaired?", LLM_TWIN_OPIK_URL=opik.url)
    assert done.returncode == 0
    assert done.stdout
    assert "Warning: the trace waits in the spool" in done.stderr
    assert "answers 503" in done.stderr


def test_chat_is_a_trace_a_question(folder: Path) -> None:
    """Each question of a conversation is a request of its own, with what was said before."""
    spool = Spool(Home(folder / "home").spool_db)
    before = spool.status().traces
    done = run(folder, "chat", given="How is a hull repaired?\nAnd with what?\n\n")
    assert done.returncode == 0, done.stderr
    newest = [json.loads(entry.body)["trace"] for entry in spool.walk(newest_first=True)]
    assert len(newest) == before + 2
    assert [trace["name"] for trace in newest[:2]] == ["chat", "chat"]
    assert [len(trace["input"]["messages"]) for trace in newest[:2]] == [3, 1]


def test_forget_deletes_at_the_server_too(folder: Path) -> None:
    """A trace that names who is forgotten goes, also where it was delivered; else it is told."""
    home = Home(folder / "home")
    tracer = Tracer.open(home, Settings(home=home.path))
    names = ("Ada Lovelace", "Grace Hopper", "Alan Turing")
    traces = [whole_request(tracer, f"Does {name} repair hulls?").trace_id for name in names]
    with OpikServer() as opik:
        there = OpikSettings(url=opik.url)
        with Server(there) as server:
            Forwarder(tracer.spool, server).drain()
        assert set(traces) <= set(opik.api.traces)
        done = run(folder, "forget", names[0], "--person", LLM_TWIN_OPIK_URL=opik.url)
        assert done.returncode == 0, done.stderr
        assert traces[0] not in opik.api.traces
        assert set(traces[1:]) <= set(opik.api.traces)
        assert tracer.spool.of_trace(traces[0]) == []
        opik.mode = 503
        done = run(folder, "forget", names[1], "--person", LLM_TWIN_OPIK_URL=opik.url)
        assert "answers 503" in done.stdout + done.stderr
        assert f"delete there {traces[1]}" in done.stdout + done.stderr
    tracer.spool.close()
