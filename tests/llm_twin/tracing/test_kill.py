"""`kill -9` at any moment: what a client received is there, and arrives once."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from llm_twin.home import Home
from llm_twin.settings import OpikSettings, Settings
from llm_twin.tracing.forward import Forwarder
from llm_twin.tracing.server import Server, UnavailableError
from llm_twin.tracing.spool import Spool
from tests.opik_server import OpikServer
from tests.repository import ROOT


def killed(
    settings: Mapping[str, object],
    number: int,
    enough: Callable[[int], bool],
    chance: random.Random,
) -> list[str]:
    """Record in a process of four threads, kill it after enough answers; return their traces."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.recording", json.dumps(settings), str(number), "4"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    received: list[str] = []
    while not enough(len(received)):
        received.append(process.stdout.readline().strip())
    if chance.random() < 0.5:
        with suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
    time.sleep(chance.random() * 0.02)
    process.kill()
    # What was on its way counts as received, where it came whole.
    received += [line.strip() for line in process.stdout if line.endswith("\n")]
    process.stdout.close()
    process.wait()
    return received


def test_kill_in_the_middle_loses_and_doubles_nothing(tmp_path: Path, *, acceptance: bool) -> None:
    """Service and forwarder die at random moments; each answer that went out has its one trace."""
    rounds, answers = (20, 500) if acceptance else (2, 60)
    chance = random.Random(7)  # noqa: S311 - no secret
    received: list[str] = []
    with OpikServer() as opik:
        home = tmp_path / "home"
        settings = {"home": str(home), "opik": {"url": opik.url, "timeout": 5.0}}
        for number in range(rounds):
            count, requests = chance.randint(answers // 2, answers * 2), opik.requests
            # Every other round ends while its forwarder is delivering.
            delivering = number % 2 == 1
            received += killed(
                settings,
                number,
                lambda have: have >= count and not (delivering and opik.requests == requests),  # noqa: B023 - called in this round
                chance,
            )
            spool = Spool(Home(home).spool_db)
            with spool.reading() as connection:
                assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert set(received) <= {entry.trace for entry in spool.walk()}
            spool.close()
        if acceptance:
            assert len(received) >= 10_000
        deliver(Spool(Home(home).spool_db), opik)
        api = opik.api
        bodies = [json.loads(entry.body) for entry in Spool(Home(home).spool_db).walk()]
    assert api.problems == []
    assert len(received) == len(set(received))
    assert set(received) <= set(api.traces)
    # Nothing was made up or doubled: what the server has is what the spool has.
    assert set(api.traces) == {body["trace"]["id"] for body in bodies}
    assert set(api.spans) == {span["id"] for body in bodies for span in body["spans"]}
    assert len(api.spans) == 2 * len(api.traces)
    questions = [trace["input"]["question"] for trace in api.traces.values()]
    assert len(questions) == len(set(questions))
    # At most one answer a thread was committed and not received.
    assert len(api.traces) <= len(received) + 4 * rounds


def deliver(spool: Spool, opik: OpikServer) -> None:
    """Forward what is left."""
    until = time.monotonic() + 60
    with Server(OpikSettings(url=opik.url)) as server:
        forwarder = Forwarder(spool, server)
        while spool.status().waiting:
            assert time.monotonic() < until
            with suppress(UnavailableError):
                forwarder.drain()


def test_forwarder_that_is_killed_with_records_under_way(tmp_path: Path) -> None:
    """A server that had the batch when the forwarder died gets it again, as the same records."""
    from llm_twin.tracing.tracer import Tracer
    from llm_twin.tracing.worker import Worker
    from tests.llm_twin.tracing.conftest import whole_request

    with OpikServer() as opik:
        settings = Settings(home=tmp_path / "home", opik=OpikSettings(url=opik.url, timeout=60.0))
        home = Home(settings.home)
        tracer = Tracer.open(home, settings)
        ids = [whole_request(tracer, str(n)).trace_id for n in range(10)]
        opik.mode = "late"
        worker = Worker(home, settings)
        worker.start()
        until = time.monotonic() + 60
        while not opik.api.order:
            assert time.monotonic() < until
            time.sleep(0.02)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.stop()
        opik.mode = "ok"
        assert tracer.spool.status().waiting == 10
        deliver(tracer.spool, opik)
        assert opik.api.order == ids
        assert {opik.api.arrivals[identity] for identity in ids} == {2}
        assert len(opik.api.spans) == 20
