"""Traces read back: from the spool and from a server the same requests come."""

import time

import pytest

from llm_twin.errors import TwinError
from llm_twin.settings import OpikSettings, Settings
from llm_twin.tracing.forward import Forwarder
from llm_twin.tracing.server import RejectedError, Server, UnavailableError
from llm_twin.tracing.tracer import Tracer
from llm_twin.tracing.tracker import OpikTracker, SpoolTracker, tracker
from tests.llm_twin.tracing.conftest import Ask
from tests.opik_server import OpikServer


def test_spool_and_server_tell_the_same(tracer: Tracer, served: Settings, ask: Ask) -> None:
    """Every request comes once with its steps and feedback, over several pages."""
    ids = [ask(str(n)).trace_id for n in range(115)]
    tracer.feedback(ids[7], "user_feedback", 0, "no")
    tracer.feedback(ids[7], "user_feedback", 1, "yes")
    with Server(served.opik) as server:
        Forwarder(tracer.spool, server).drain()
        local = list(SpoolTracker(tracer.spool).traces(0))
        remote = list(OpikTracker(server, "llm-twin", "development").traces(0))
        nobody = list(OpikTracker(server, "llm-twin", "staging").traces(0))
    assert nobody == []
    assert [found.trace["id"] for found in local] == ids
    assert [found.trace["id"] for found in remote] == ids[::-1]
    for here, there in zip(local, reversed(remote), strict=True):
        assert [span["id"] for span in here.spans] == [span["id"] for span in there.spans]
        assert here.trace["input"] == there.trace["input"]
        assert len(here.scores) == len(there.scores)
    for found in (local[7], remote[-8]):
        (score,) = found.scores
        assert (score["name"], score["value"], score["reason"]) == ("user_feedback", 1, "yes")


def test_span_of_time(tracer: Tracer, opik: OpikServer, served: Settings, ask: Ask) -> None:
    """Both give what began in the time that was asked for."""
    ask("before")
    time.sleep(0.01)
    start = time.time()
    wanted = ask("within").trace_id
    time.sleep(0.01)
    end = time.time()
    ask("after")
    with Server(served.opik) as server:
        Forwarder(tracer.spool, server).drain()
        for reader in (
            SpoolTracker(tracer.spool),
            OpikTracker(server, "llm-twin", "development"),
        ):
            assert [found.trace["id"] for found in reader.traces(start, end)] == [wanted]
    assert opik.requests > 0


def test_settings_choose_the_tracker(tracer: Tracer, settings: Settings, served: Settings) -> None:
    """Where there is a server it is read, else the spool."""
    assert isinstance(tracker(settings, tracer.spool), SpoolTracker)
    assert isinstance(tracker(served, tracer.spool), OpikTracker)


@pytest.mark.parametrize("mode", [401, 404, 500, "hang", "cut", "garbage", "page"])
def test_server_that_fails_is_an_error(mode: int, opik: OpikServer, served: Settings) -> None:
    """A server that can't be read is an error of one line, never an empty list."""
    opik.mode = mode
    with Server(served.opik) as server, pytest.raises(TwinError) as caught:
        list(OpikTracker(server, "llm-twin", "test").traces(0))
    assert isinstance(caught.value, UnavailableError | RejectedError)
    assert "\n" not in str(caught.value)


def test_no_server_no_tracker() -> None:
    """Without a server there is none to be made."""
    with pytest.raises(TwinError):
        Server(OpikSettings())
