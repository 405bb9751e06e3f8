"""The forwarder of a service: a process that carries on by itself, and ends with its parent."""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from llm_twin.home import Home
from llm_twin.settings import Settings, TracingSettings
from llm_twin.tracing.forward import State
from llm_twin.tracing.tracer import Tracer
from llm_twin.tracing.worker import Worker
from tests.llm_twin.tracing.conftest import Ask, whole_request
from tests.opik_server import OpikServer
from tests.repository import ROOT

if TYPE_CHECKING:
    from tests.opik_server import Mode


def comes(holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether something comes to hold before the time is over."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_what_is_recorded_arrives_by_itself(
    home: Home, opik: OpikServer, served: Settings, tracer: Tracer, ask: Ask
) -> None:
    """Requests of before and after its start arrive, also those made while the server was away."""
    ids = [ask("before").trace_id]
    with Worker(home, served) as worker:
        assert worker.alive
        assert comes(lambda: opik.api.order == ids)
        ids.append(ask("after").trace_id)
        assert comes(lambda: opik.api.order == ids)
        opik.stop()
        ids.append(ask("away").trace_id)

        def noted() -> bool:
            state = State.kept(tracer.spool)
            return state is not None and state.problem is not None

        assert comes(noted)
        opik.start()
        assert comes(lambda: opik.api.order == ids)
        tracer.feedback(ids[0], "user_feedback", 1)
        assert comes(lambda: len(opik.api.scores) == 1)
        last = ask("last").trace_id
    assert worker.pid is None
    # The end of the block leaves it the time to deliver what waits.
    assert opik.api.order == [*ids, last]
    assert tracer.spool.status().waiting == 0


def test_worker_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """No forwarder outlives a service that was killed."""
    settings = {"home": str(tmp_path / "home")}
    process = subprocess.Popen(
        [sys.executable, "-m", f"{__package__}.recording", json.dumps(settings), "0", "1"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    process.stdout.readline()
    process.kill()
    process.stdout.close()
    process.wait()
    assert comes(lambda: not alive(worker))


def alive(process: int) -> bool:
    """Whether a process runs; one that nobody has waited for doesn't."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{process}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_without_a_server_limits_are_kept_and_ctrl_c_is_not_for_the_worker(home: Home) -> None:
    """The worker keeps the spool within its limits; Ctrl-C ends the service, which ends it."""
    settings = Settings(home=home.path, tracing=TracingSettings(max_days=1))
    tracer = Tracer.open(home, settings)
    whole_request(tracer, "1")
    with tracer.spool.writing() as connection:
        connection.execute("UPDATE entries SET time = time - 90000")
    with Worker(home, settings) as worker:
        assert comes(lambda: tracer.spool.status().traces == 0)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGINT)
        time.sleep(0.2)
        assert worker.alive
    assert tracer.spool.removals()[0].undelivered == 1


def test_forwarder_that_is_killed_is_started_again(home: Home, settings: Settings) -> None:
    """A forwarder that the system kills does not stay away; the service's end is its end still."""
    with Worker(home, settings) as worker:
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert comes(lambda: worker.pid != first)
        second = worker.pid
        assert second is not None
        assert worker.alive
    assert comes(lambda: not alive(second))


def test_second_forwarder_waits_for_the_first(
    home: Home, served: Settings, opik: OpikServer, ask: Ask, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where another process forwards from the folder, it takes over when that one ends."""
    ids = [ask("1").trace_id]
    with Home(home.path).lock("forward"):
        worker = Worker(home, served)
        worker.start()
        assert comes(lambda: "another forward is running" in capfd.readouterr().err)
        assert opik.api.order == []
    assert comes(lambda: opik.api.order == ids)
    worker.stop()


def test_requests_do_not_feel_the_server(
    home: Home, served: Settings, opik: OpikServer, tracer: Tracer
) -> None:
    """The 99th percentile of a request is what it is without a forwarder; nor does the end hang."""

    def measured(count: int) -> list[float]:
        taken = []
        for n in range(count):
            start = time.perf_counter()
            whole_request(tracer, str(n))
            taken.append(time.perf_counter() - start)
            time.sleep(0.001)
        return taken

    measured(50)
    alone = measured(200)
    beside: list[float] = []
    modes: list[Mode] = ["half", 500, "hang"]
    with Worker(home, served) as worker:
        for mode in modes:
            opik.mode, requests = mode, opik.requests
            assert comes(lambda: opik.requests > requests)  # noqa: B023 - called now
            beside += measured(100)
        start = time.monotonic()
        worker.stop(grace=0.3)
        assert time.monotonic() - start < 5
    alone += measured(200)
    # A request's time is milliseconds, the server's limit half a second: waiting would show.
    assert statistics.quantiles(beside, n=100)[98] < 0.2 + statistics.quantiles(alone, n=100)[98]
    assert statistics.median(beside) < 0.02 + 3 * statistics.median(alone)
    assert tracer.spool.status().waiting == 750
