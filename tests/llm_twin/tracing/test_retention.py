"""The limits: what goes first, what is counted, and what is never dropped."""

import time
from pathlib import Path

import pytest

from llm_twin.tracing import retention
from llm_twin.tracing.model import Entry
from llm_twin.tracing.outbox import Outbox
from llm_twin.tracing.retention import Limits
from llm_twin.tracing.spool import Spool

NOW = time.time()
KEEP = Limits(bytes=10_000_000, seconds=1000 * retention.DAY)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A spool of 300 traces of 4 kB, one a day up to now, with a score each tenth day."""
    spool = Spool(tmp_path / "spool.db")
    entries = []
    for day in range(300):
        at = NOW - (299 - day) * retention.DAY
        entries.append(Entry("trace", f"t{day}", "chat", at, failed=False, body="x" * 4000))
        if day % 10 == 0:
            entries.append(Entry("score", f"t{day}", "up", at, failed=False, body="{}"))
    spool.append(entries)
    return spool


def days(spool: Spool) -> list[int]:
    """The days of the traces that are left."""
    return [int(entry.trace.removeprefix("t")) for entry in spool.walk()]


def test_within_the_limits_nothing_happens(spool: Spool) -> None:
    """What is within its limits is left alone."""
    assert retention.enforce(spool, KEEP) == 0
    assert len(days(spool)) == 300
    assert spool.removals() == []


def test_old_traces_go_with_their_scores_and_are_counted(spool: Spool) -> None:
    """Beyond the age everything goes; what no server had is counted as undelivered."""
    Outbox(spool).delivered(range(1, 101))
    limits = Limits(bytes=10_000_000, seconds=20.5 * retention.DAY)
    assert retention.enforce(spool, limits) == 279 + 28
    assert days(spool) == list(range(279, 300))
    (removal,) = spool.removals()
    assert removal.reason == "tracing.max_days"
    assert (removal.traces, removal.scores) == (279, 28)
    assert removal.undelivered == 279 + 28 - 100
    assert removal.oldest == pytest.approx(NOW - 299 * retention.DAY)
    assert removal.newest == pytest.approx(NOW - 21 * retention.DAY)
    retention.enforce(spool, limits)
    assert spool.removals() == [removal]


def test_what_a_server_has_goes_first(spool: Spool) -> None:
    """Beyond the size the delivered ones go, also where older ones still wait."""
    Outbox(spool).delivered([entry.seq for entry in spool.walk() if entry.trace > "t1"])
    waiting = spool.status().waiting
    retention.enforce(spool, Limits(bytes=900_000, seconds=KEEP.seconds))
    assert spool.status().waiting == waiting
    assert spool.measure() <= 900_000
    (removal,) = spool.removals()
    assert (removal.reason, removal.undelivered) == ("tracing.max_megabytes", 0)


def test_beyond_that_the_oldest_go_and_are_counted(spool: Spool) -> None:
    """Where nothing is delivered the oldest go, and the list says that no server had them."""
    retention.enforce(spool, Limits(bytes=400_000, seconds=KEEP.seconds))
    left = days(spool)
    assert left == list(range(300 - len(left), 300))
    assert 0 < len(left) < 100
    (removal,) = spool.removals()
    assert removal.traces == 300 - len(left)
    assert removal.undelivered == removal.traces + removal.scores
    assert spool.status().waiting == spool.status().traces + spool.status().scores


def test_refuse_keeps_what_no_server_has(spool: Spool) -> None:
    """With `refuse` neither limit takes what waits; what is delivered goes still."""
    Outbox(spool).delivered(range(1, 11))
    limits = Limits(bytes=400_000, seconds=20.5 * retention.DAY, refuse=True)
    retention.enforce(spool, limits)
    assert spool.status().traces == 300 - 9
    assert [removal.undelivered for removal in spool.removals()] == [0]
    with pytest.raises(retention.FullError):
        retention.admit(spool, limits)


def test_a_request_makes_room_for_itself(spool: Spool) -> None:
    """Where nobody tidied up, a request that finds the spool full does."""
    retention.admit(spool, Limits(bytes=400_000, seconds=KEEP.seconds))
    assert spool.measure() <= 400_000


def test_the_file_shrinks_and_forgets(spool: Spool) -> None:
    """Pages go back to the file system, and what was removed is in no byte of the file."""
    before = spool.measure()
    spool.append([Entry("trace", "secret", "chat", 0.0, failed=False, body="canary" * 500)])
    retention.enforce(spool, Limits(bytes=10_000_000, seconds=5 * retention.DAY))
    spool.close()
    assert spool.path.stat().st_size < before / 10
    assert all(b"canary" not in file.read_bytes() for file in spool.path.parent.glob("spool.db*"))


def test_forgetting_takes_traces_and_says_which_a_server_has(spool: Spool) -> None:
    """Each trace with a term goes with its scores, whatever its case; the rest stays."""
    spool.append(
        [
            Entry(
                "trace", "a", "chat", NOW, failed=False, body='{"q": "Who is \\"Ann\\" Müller?"}'
            ),
            Entry("trace", "b", "chat", NOW, failed=False, body='{"q": "doc-1"}'),
            Entry("trace", "c", "chat", NOW, failed=False, body='{"q": "other"}'),
            Entry("score", "c", "up", NOW, failed=False, body='{"reason": "ANN müller said so"}'),
        ]
    )
    b = spool.of_trace("b")[0].seq
    Outbox(spool).delivered([b])
    gone = retention.forget(spool, ['"ann" MÜLLER', "doc-1", "Ann Müller", " "])
    assert (gone.traces, gone.delivered) == (3, ("b",))
    assert not any(spool.of_trace(trace) for trace in "abc")
    assert len(days(spool)) == 300
    (removal,) = spool.removals()
    assert (removal.reason, removal.traces, removal.scores) == ("forgotten", 3, 1)
    assert retention.forget(spool, ["nobody"]).traces == 0
