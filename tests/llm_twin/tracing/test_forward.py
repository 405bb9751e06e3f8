"""The forwarder: everything arrives once, in order, whatever the server does meanwhile."""

import contextlib
import time
from collections.abc import Iterator
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from llm_twin.errors import UsageError
from llm_twin.home import Home
from llm_twin.settings import OpikSettings, Settings
from llm_twin.tracing.deliver import after_answer
from llm_twin.tracing.forward import Backoff, Forwarder, State, Waits
from llm_twin.tracing.outbox import Outbox
from llm_twin.tracing.server import Server, UnavailableError
from llm_twin.tracing.tracer import Tracer
from tests.llm_twin.tracing.conftest import Ask
from tests.opik_server import Mode, OpikServer

if TYPE_CHECKING:
    from collections.abc import Callable

QUICK = Waits(first=0.01, longest=0.05, record=0.01, record_longest=0.05)


@pytest.fixture
def forwarder(tracer: Tracer, served: Settings) -> Iterator[Forwarder]:
    """A forwarder that does not wait for long."""
    with Server(served.opik) as server:
        yield Forwarder(tracer.spool, server, QUICK)


def arrived_once(opik: OpikServer, ids: list[str]) -> bool:
    """Whether the server has these traces, in this order, each with its spans, and no others."""
    spans = dict.fromkeys(ids, 0)
    for span in opik.api.spans.values():
        spans[span["trace_id"]] += 1
    return opik.api.order == ids and all(count == 2 for count in spans.values())


def drained(forwarder: Forwarder, tracer: Tracer, seconds: float = 20) -> None:
    """Forward until nothing waits."""
    until = time.monotonic() + seconds
    while tracer.spool.status().waiting:
        assert time.monotonic() < until
        with contextlib.suppress(UnavailableError):
            forwarder.drain()
        time.sleep(0.01)


def test_everything_arrives_in_order(
    tracer: Tracer, opik: OpikServer, forwarder: Forwarder, ask: Ask
) -> None:
    """Traces, spans and feedback come in the SDK's shapes, and nothing waits any more."""
    ids = [ask(str(n)).trace_id for n in range(250)]
    tracer.feedback(ids[3], "user_feedback", 1, "first")
    tracer.feedback(ids[3], "user_feedback", 0, "second thoughts")
    tracer.feedback(ids[4], "other", 0.5)
    forwarder.drain()
    assert arrived_once(opik, ids)
    assert set(opik.api.arrivals.values()) == {1}
    assert opik.api.scores[ids[3], "user_feedback"]["reason"] == "second thoughts"
    assert opik.api.scores[ids[4], "other"]["value"] == 0.5
    assert forwarder.delivered == 253
    status = tracer.spool.status()
    assert (status.waiting, status.traces, status.scores) == (0, 250, 3)
    requests = opik.requests
    forwarder.drain()
    assert opik.requests == requests


FAILURES: list[Mode] = [
    "hang", "half", "cut", "garbage", "page", 401, 402, 403, 404, 413, 422, 429, 500, 502, 503, 302
]  # fmt: skip


@pytest.mark.parametrize("mode", FAILURES)
def test_everything_arrives_once_after_a_failure(
    mode: Mode, tracer: Tracer, opik: OpikServer, forwarder: Forwarder, ask: Ask
) -> None:
    """However the server fails, nothing is lost, doubled or out of order when it comes back."""
    ids = [ask(str(n)).trace_id for n in range(5)]
    forwarder.drain()
    ids += [ask(str(n)).trace_id for n in range(5, 12)]
    tracer.feedback(ids[0], "user_feedback", 1)
    with opik.failing(mode):
        for _ in range(2):
            with pytest.raises(UnavailableError, match=opik.url):
                forwarder.drain()
        assert tracer.spool.status().waiting == 8
        ids += [ask(str(n)).trace_id for n in range(12, 15)]
    drained(forwarder, tracer)
    assert sorted(opik.api.order) == sorted(ids)
    if mode not in {413, 422}:  # of these the single records were put off
        assert arrived_once(opik, ids)
    assert len(opik.api.spans) == 30
    assert len(opik.api.scores) == 1


def test_everything_arrives_once_after_the_server_was_away(
    tracer: Tracer, opik: OpikServer, forwarder: Forwarder, ask: Ask
) -> None:
    """A server that is stopped and started again gets what it missed."""
    ids = [ask("1").trace_id]
    forwarder.drain()
    opik.stop()
    ids.append(ask("2").trace_id)
    with pytest.raises(UnavailableError, match="can't be reached"):
        forwarder.drain()
    opik.start()
    ids.append(ask("3").trace_id)
    drained(forwarder, tracer)
    assert arrived_once(opik, ids)


def test_what_was_taken_without_an_answer_is_not_doubled(
    tracer: Tracer, opik: OpikServer, forwarder: Forwarder, ask: Ask
) -> None:
    """A record that comes twice is the same record for the server."""
    ids = [ask("1").trace_id]
    with opik.failing("half"), pytest.raises(UnavailableError):
        forwarder.drain()
    assert opik.api.order == ids
    drained(forwarder, tracer)
    assert arrived_once(opik, ids)
    assert opik.api.arrivals[ids[0]] == 2


def test_long_batches_are_halved(
    tracer: Tracer, opik: OpikServer, forwarder: Forwarder, ask: Ask
) -> None:
    """A server that takes short bodies only gets short ones."""
    opik.limit = 6000
    ids = [ask(str(n)).trace_id for n in range(40)]
    drained(forwarder, tracer)
    assert sorted(opik.api.order) == sorted(ids)
    assert forwarder.refused == 0


@pytest.mark.parametrize("place", [0, 7, 19])
def test_a_record_that_is_refused_holds_up_no_other(
    place: int, tracer: Tracer, opik: OpikServer, forwarder: Forwarder, ask: Ask
) -> None:
    """The others go on; the one stays in the spool, with the server's reason, and comes again."""
    opik.api.poison = "poison"
    names = ["poison" if n == place else "chat" for n in range(20)]
    ids = [ask(str(n), name).trace_id for n, name in enumerate(names)]
    forwarder.drain()
    assert opik.api.order == [identity for n, identity in enumerate(ids) if n != place]
    status = tracer.spool.status()
    assert (status.waiting, status.refused) == (1, 1)
    ((trace, _, problem),) = Outbox(tracer.spool).problems(5)
    assert trace == ids[place]
    assert "answers 422" in problem
    assert "traces named poison are not taken" in problem
    opik.api.poison = None
    drained(forwarder, tracer)
    assert sorted(opik.api.order) == sorted(ids)


def test_a_record_that_is_too_long_holds_up_no_other(
    tracer: Tracer, opik: OpikServer, forwarder: Forwarder, ask: Ask
) -> None:
    """One record over the server's limit is put off, and the rest arrives."""
    opik.limit = 20_000
    ids = [ask("x" * 30_000 if n == 3 else str(n)).trace_id for n in range(8)]
    forwarder.drain()
    assert sorted(opik.api.order) == sorted(set(ids) - {ids[3]})
    assert tracer.spool.status().refused == 1


def test_damaged_record_is_put_off(
    tracer: Tracer, opik: OpikServer, forwarder: Forwarder, ask: Ask
) -> None:
    """A record that is none of Opik's, as of an older version, is refused and not sent."""
    ask("1")
    with tracer.spool.writing() as connection:
        connection.execute("""UPDATE entries SET body = '{"trace": {"id": 1}, "spans": []}'""")
    ask("2")
    forwarder.drain()
    assert len(opik.api.order) == 1
    ((_, _, problem),) = Outbox(tracer.spool).problems(5)
    assert problem.startswith("no record that Opik knows")


def test_key_and_workspace_are_sent_and_never_told(
    tracer: Tracer, opik: OpikServer, ask: Ask, canary: str
) -> None:
    """A wrong key is an error that says which setting to check, and does not show it."""
    ask("1")
    opik.key = f"{canary}-right"
    with Server(OpikSettings.model_validate({"url": opik.url, "api_key": canary})) as server:
        with pytest.raises(UnavailableError, match=r"answers 401.*LLM_TWIN_OPIK_API_KEY") as caught:
            Forwarder(tracer.spool, server).drain()
        assert canary not in str(caught.value)
        assert "[key]" in str(caught.value)
    right = {"url": opik.url, "api_key": opik.key, "workspace": "w"}
    with Server(OpikSettings.model_validate(right)) as server:
        Forwarder(tracer.spool, server).drain()
    assert len(opik.api.order) == 1


WISHES: dict[str, tuple[float, float] | None] = {
    "7": (7, 7),
    "-1": (0, 0),
    "99999999": (3600, 3600),
    "DATE": (2000, 3000),
    "soon": None,
}


@pytest.mark.parametrize("value", WISHES)
def test_retry_after_is_heard(value: str, opik: OpikServer, forwarder: Forwarder, ask: Ask) -> None:
    """The server's wish is the least that is waited, as a number or as a date."""
    ask("1")
    date = formatdate(time.time() + 3000, usegmt=True)
    opik.retry_after = date if value == "DATE" else value
    with opik.failing(429), pytest.raises(UnavailableError) as caught:
        forwarder.drain()
    wish = WISHES[value]
    if wish is None:
        assert caught.value.wait is None
    else:
        assert caught.value.wait is not None
        assert wish[0] <= caught.value.wait <= wish[1]


def test_backoff_grows_to_its_limit_and_starts_anew() -> None:
    """Waits double up to the longest, and are at least what the server asks for."""
    backoff = Backoff(Waits(first=1, longest=8))
    waits = [backoff.again(None) for _ in range(40)]
    for wait, most in zip(waits, [1, 2, 4, 8, *[8] * 36], strict=True):
        assert most / 2 <= wait <= most
    assert backoff.again(100) == 100
    backoff.reset()
    assert backoff.again(None) <= 1


def test_ping(opik: OpikServer, served: Settings) -> None:
    """`ping` says whether the server is alive."""
    with Server(served.opik) as server:
        server.ping()
        for mode in (503, "hang", "page"):
            with opik.failing(mode), pytest.raises(UnavailableError):
                server.ping()


def test_no_server_is_an_error_that_names_the_setting() -> None:
    """Without a URL there is nothing to forward to."""
    with pytest.raises(UsageError, match="set LLM_TWIN_OPIK_URL"):
        Server(OpikSettings())


def test_state_is_kept(tracer: Tracer) -> None:
    """What the forwarder has to say stands in the spool, for other processes."""
    assert State.kept(tracer.spool) is None
    State.keep(tracer.spool, "u", None, None, delivered=True)
    first = State.kept(tracer.spool)
    assert first is not None
    assert first.last_delivery == first.time
    State.keep(tracer.spool, "u", "away", 5.0, delivered=False)
    second = State.kept(tracer.spool)
    assert second is not None
    assert second.problem == "away"
    assert second.retry == pytest.approx(second.time + 5)
    assert second.last_delivery == first.last_delivery


def test_drain_stops_when_told(
    home: Home, tracer: Tracer, opik: OpikServer, served: Settings, ask: Ask
) -> None:
    """Between two batches the forwarder looks whether it may go on."""
    for n in range(205):
        ask(str(n))
    asked: list[int] = []

    def once() -> bool:
        asked.append(1)
        return len(asked) == 1

    going_on: Callable[[], bool] = once
    with Server(served.opik) as server:
        Forwarder(tracer.spool, server).drain(going_on)
    assert len(opik.api.order) == 200
    assert tracer.spool.status().waiting == 5
    assert home.spool_db.exists()


def test_traces_are_deleted_at_the_server(
    opik: OpikServer, served: Settings, forwarder: Forwarder, ask: Ask
) -> None:
    """What has to be forgotten goes there too, with its spans; unknown ids are no error."""
    ids = [ask(str(n)).trace_id for n in range(3)]
    forwarder.drain()
    with Server(served.opik) as server:
        server.delete([ids[1], "01a21492-0a86-7fe0-9f40-ee35ae3b2476"])
    assert set(opik.api.traces) == {ids[0], ids[2]}
    assert len(opik.api.spans) == 4


def test_a_command_delivers_after_its_answer(
    home: Home, settings: Settings, served: Settings, opik: OpikServer, ask: Ask
) -> None:
    """What a command recorded is delivered at its end; a server that is away is only told of."""
    ids = [ask("1").trace_id]
    assert after_answer(home, settings) is None
    assert after_answer(home, served) is None
    assert opik.api.order == ids
    ids.append(ask("2").trace_id)
    with opik.failing("hang"):
        told = after_answer(home, served)
    assert told is not None
    assert "waits in the spool" in told
    assert "does not answer in time" in told
    with Home(home.path).lock("forward"):
        assert after_answer(home, served) is None
    assert opik.api.order == ids[:1]
    assert after_answer(home, served) is None
    assert opik.api.order == ids


def test_many_spans_come_in_several_requests(
    tracer: Tracer, opik: OpikServer, forwarder: Forwarder
) -> None:
    """More spans than a server takes in one request are no reason to refuse a batch."""
    with tracer.request("chat", {}) as request:
        for n in range(2500):
            with request.span(str(n), "general", {}):
                pass
    forwarder.drain()
    assert len(opik.api.spans) == 2500
    assert opik.requests == 4
