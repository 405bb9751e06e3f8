"""The spool: what is committed lasts, in order, whoever else is at it."""

import multiprocessing
import os
import sqlite3
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_twin.errors import TwinError, UsageError
from llm_twin.tracing import schema
from llm_twin.tracing.model import Entry
from llm_twin.tracing.outbox import Outbox
from llm_twin.tracing.spool import Spool


def entry(trace: str = "t", body: str = "{}", *, at: float = 1.0, failed: bool = False) -> Entry:
    """A trace."""
    return Entry("trace", trace, "chat", at, failed, body)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """A new spool."""
    return Spool(tmp_path / "spool.db")


def test_entries_are_there_for_another_reader_at_once(spool: Spool) -> None:
    """What `append` wrote, another connection reads, with nothing changed."""
    spool.append([entry("a", '{"x": "ä\\u0000 ✓"}'), entry("b")])
    other = Spool(spool.path)
    assert [(e.trace, e.body, e.seq) for e in other.walk()] == [
        ("a", '{"x": "ä\\u0000 ✓"}', 1),
        ("b", "{}", 2),
    ]
    assert other.of_trace("a")[0].name == "chat"
    assert other.holds("b")
    assert not other.holds("c")


def test_file_is_its_owners_and_in_wal_mode_with_full_synchrony(spool: Spool) -> None:
    """The pragmas on which the promise rests are those of the open connection."""
    assert stat.S_IMODE(spool.path.stat().st_mode) == 0o600
    with spool.writing() as connection:
        values = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "auto_vacuum", "secure_delete")
        ]
    assert values == ["wal", 2, 2, 1]


def test_walk_selects_by_time_and_outcome(spool: Spool) -> None:
    """The pages of a walk hold what was asked for, either way round."""
    spool.append([entry(str(n), at=float(n), failed=n % 2 == 0) for n in range(200)])
    assert [e.trace for e in spool.walk(since=150, until=153)] == ["150", "151", "152"]
    assert [e.trace for e in spool.walk(newest_first=True)][:2] == ["199", "198"]
    assert len(list(spool.walk())) == 200
    assert len(list(spool.walk(failed=True))) == 100


def test_threads_and_processes_write_at_once(tmp_path: Path) -> None:
    """Six writers, two of them processes, lose nothing and write nothing twice."""
    path = tmp_path / "spool.db"
    spool = Spool(path)

    def append(number: int) -> None:
        for i in range(50):
            spool.append([entry(f"{number}-{i}")])

    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=write, args=(path, n, 50)) for n in (4, 5)]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    for process in processes:
        process.join()
    found = sorted(e.trace for e in spool.walk())
    assert found == sorted(f"{n}-{i}" for n in range(6) for i in range(50))
    assert spool.status().waiting == 300


def write(path: Path, number: int, count: int) -> None:
    """Write from another process."""
    spool = Spool(path)
    for i in range(count):
        spool.append([entry(f"{number}-{i}")])


def test_a_fork_goes_on_with_a_connection_of_its_own(spool: Spool) -> None:
    """Parent and child both write after a fork, and the file stays whole."""
    spool.append([entry("before")])
    child = os.fork()
    if child == 0:
        try:
            spool.append([entry("child")])
        except BaseException:  # noqa: BLE001 - a child of a test must not go on as pytest
            os._exit(1)
        os._exit(0)
    spool.append([entry("parent")])
    assert os.waitpid(child, 0)[1] == 0
    spool.append([entry("after")])
    assert sorted(e.trace for e in spool.walk()) == ["after", "before", "child", "parent"]
    with spool.reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_requests_that_end_together_share_a_commit(spool: Spool) -> None:
    """While one commit waits, those that come meanwhile are written by the next one."""
    statements: list[str] = []
    with spool.writing() as connection:
        connection.set_trace_callback(statements.append)
    blocker = sqlite3.connect(spool.path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    threads = [threading.Thread(target=spool.append, args=([entry(str(n))],)) for n in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert list(spool.walk()) == []  # a reader waits for nobody
    blocker.execute("ROLLBACK")
    blocker.close()
    for thread in threads:
        thread.join()
    assert len(list(spool.walk())) == 8
    assert 1 <= statements[1:].count("COMMIT") <= 2


def test_outbox_is_in_order_and_within_count_and_size(spool: Spool) -> None:
    """A batch is the oldest that waits, as much as fits, at least one."""
    spool.append([entry(str(n), "x" * 10) for n in range(5)])
    outbox = Outbox(spool)
    assert [e.trace for e in outbox.waiting(3, 1000, 0)] == ["0", "1", "2"]
    assert [e.trace for e in outbox.waiting(9, 25, 0)] == ["0", "1"]
    assert [e.trace for e in outbox.waiting(9, 1, 0)] == ["0"]
    outbox.delivered([1, 2])
    assert [e.trace for e in outbox.waiting(9, 1000, 0)] == ["2", "3", "4"]
    assert [e.trace for e in spool.walk()] == ["0", "1", "2", "3", "4"]


def test_refused_entry_waits_longer_each_time(spool: Spool) -> None:
    """What was refused comes again after a wait that doubles, up to its limit."""
    spool.append([entry("a"), entry("b")])
    outbox = Outbox(spool)
    waits = []
    for _ in range(4):
        start = time.time()
        outbox.refused(1, "no", wait=10, longest=35)
        assert [e.trace for e in outbox.waiting(9, 1000, time.time())] == ["b"]
        with spool.reading() as connection:
            retry = connection.execute("SELECT retry FROM outbox WHERE seq = 1").fetchone()[0]
        waits.append(round(retry - start))
    assert waits == [10, 20, 35, 35]
    assert outbox.problems(9) == [("a", 4, "no")]
    assert spool.status().refused == 1
    outbox.again(everything=False)
    assert len(outbox.waiting(9, 1000, time.time())) == 2
    outbox.delivered([1, 2])
    assert outbox.next_retry() is None
    outbox.again(everything=True)
    assert outbox.next_retry() == 0
    assert spool.status().refused == 0


def test_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    """A file that is no database ends with one line that names the way out."""
    path = tmp_path / "spool.db"
    path.write_bytes(b"no database at all, but long enough to have a header" * 100)
    with pytest.raises(TwinError, match=r"is damaged.*`llm-twin restore`") as caught:
        Spool(path)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)


def test_newer_file_is_not_touched(tmp_path: Path) -> None:
    """A file of a newer version is refused."""
    path = tmp_path / "spool.db"
    Spool(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UsageError, match="is of version 99"):
        Spool(path)


def test_full_disk_is_told_and_nothing_half_is_left(spool: Spool) -> None:
    """Where the file may not grow, the request's error says so, and later ones work again."""
    spool.append([entry("a")])
    with spool.writing() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(TwinError, match="can't be written: database or disk is full; make room"):
        spool.append([entry("b", "x" * 100_000), entry("c")])
    with spool.writing() as connection:
        connection.execute("PRAGMA max_page_count = 1000000")
    spool.append([entry("d")])
    assert [e.trace for e in spool.walk()] == ["a", "d"]


def test_folder_that_can_not_be_written(tmp_path: Path) -> None:
    """A path that leads nowhere ends with one line."""
    with pytest.raises(TwinError, match="can't be opened"):
        Spool(tmp_path / "none" / "spool.db")


def test_migration_that_another_process_did_first(tmp_path: Path) -> None:
    """Several processes that make the same new spool at once all succeed."""
    path = tmp_path / "spool.db"
    errors: list[BaseException] = []

    def opened() -> None:
        try:
            Spool(path).append([entry()])
        except BaseException as error:  # noqa: BLE001 - told to the test below
            errors.append(error)

    threads = [threading.Thread(target=opened) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(list(Spool(path).walk())) == 8
    assert len(schema.MIGRATIONS) == 1
