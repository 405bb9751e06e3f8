"""`kill -9` of the real service: each answer that a client has whole has its trace."""

import itertools
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from llm_twin.home import Home
from llm_twin.tracing.spool import Spool
from tests.llm_twin.service.running import Service, events, llm_twin, question, running
from tests.llm_twin.tracing.test_kill import deliver
from tests.opik_server import OpikServer

CALLERS = 4
TEXT = (
    "# Kiln\n\nThe kiln in the shed is fired at 1240 degrees. It takes nine hours to reach that.\n"
)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A state folder with an index of one document."""
    (tmp_path / "kiln.md").write_text(TEXT)
    home = tmp_path / "home"
    llm_twin("ingest", "kiln.md", home=home)
    return home


def ask(service: Service, number: int, received: list[str], over: threading.Event) -> None:
    """Ask again and again, every other time for a stream; note what came to its end."""
    with service.client() as client:
        for count in itertools.count():
            body = question(f"At how many degrees is the kiln fired? {number}-{count}")
            try:
                if count % 2:
                    with client.stream(
                        "POST", "/v1/chat/completions", json=body | {"stream": True}
                    ) as response:
                        whole = None in events(response)
                else:
                    response = client.post("/v1/chat/completions", json=body)
                    whole = response.status_code == 200
                if whole:
                    received.append(response.headers["x-trace-id"])
            except httpx.HTTPError:
                if over.is_set():
                    return


def rounds(home: Path, folder: Path, opik: OpikServer, answers: list[int]) -> Iterator[list[str]]:
    """Kill the service after so many answers, again and again; give what was received whole."""
    for number, count in enumerate(answers):
        received: list[str] = []
        over = threading.Event()
        here = folder / f"round-{number}"
        here.mkdir()
        variables = {"LLM_TWIN_ANSWERS_MODE": "extractive", "LLM_TWIN_OPIK_URL": opik.url}
        with running(home, here, **variables) as service:
            callers = [
                threading.Thread(target=ask, args=(service, caller, received, over))
                for caller in range(CALLERS)
            ]
            for caller in callers:
                caller.start()
            until = time.monotonic() + 300
            while len(received) < count:
                assert time.monotonic() < until, service.log.read_text()
                time.sleep(0.005)
            over.set()
            service.process.kill()
            for caller in callers:
                caller.join()
            home = service.home
        # The forwarder has ended when its lock is free; the next round copies the folder.
        with Home(home).lock("forward", wait=60):
            yield received


def test_answers_that_went_out_have_their_traces(
    corpus: Path, tmp_path: Path, *, acceptance: bool
) -> None:
    """Whole answers and whole streams are in the spool of a killed service, and arrive once."""
    answers = [50, 100, 150, 200, 250] if acceptance else [12]
    received: list[str] = []
    with OpikServer() as opik:
        for got in rounds(corpus, tmp_path, opik, answers):
            received += got
        spool = Spool(Home(tmp_path / f"round-{len(answers) - 1}" / "home").spool_db)
        with spool.reading() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = [entry.trace for entry in spool.walk()]
        deliver(spool, opik)
        spool.close()
        assert opik.api.problems == []
        assert len(received) >= sum(answers)
        assert set(received) <= set(kept)
        assert len(kept) == len(set(kept))
        assert set(opik.api.traces) == set(kept)
