"""The database: what is told of a damaged one, and that it is whole whenever a process dies."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llm_twin.corpus.document import identity
from llm_twin.corpus.report import Report
from llm_twin.corpus.store import Corpus
from llm_twin.errors import TwinError, UsageError
from llm_twin.home import Home

Take = Callable[..., Report]
COMMAND = Path(sys.executable).with_name("llm-twin")


def test_empty_corpus(corpus: Corpus, home: Home) -> None:
    """A new corpus holds nothing, has a snapshot, and is its owner's alone."""
    assert (len(corpus), list(corpus.documents()), corpus.get("x")) == (0, [], None)
    assert len(corpus.snapshot()) == 64
    assert home.corpus_db.stat().st_mode & 0o777 == 0o600
    with Corpus.open(home) as again:
        assert again.snapshot() == corpus.snapshot()


def test_documents_by_id(take: Take, corpus: Corpus, writing: Path) -> None:
    """Ids are hashes of title and text, and documents come in their order."""
    for name in "abc":
        (writing / f"{name}.md").write_text(f"# {name}\n\nText of {name}.")
    take()
    documents = list(corpus.documents())
    assert [document.id for document in documents] == sorted(d.id for d in documents)
    for document in documents:
        assert document.id == identity(document.title, document.text)
        assert corpus.get(document.id) == document
    assert identity("a", "b  c\n") == identity("a", "b c")
    assert identity("a", "b") != identity("", "a b")


def test_damaged_database(home: Home) -> None:
    """A file that is no database is one line that says what to do."""
    home.corpus_db.write_bytes(b"no database at all, but long enough to be one" * 100)
    with pytest.raises(TwinError, match="bring back a backup with `llm-twin restore`"):
        Corpus.open(home)


def test_newer_database(corpus: Corpus, home: Home) -> None:
    """A database of a newer version is left alone."""
    corpus.db.execute("PRAGMA user_version = 99")
    with pytest.raises(UsageError, match="written by a newer llm-twin"):
        Corpus.open(home)


def test_database_that_another_process_writes(corpus: Corpus, home: Home) -> None:
    """Who can't wait is told; readers see the last whole state all the time."""
    with corpus.writing() as db:
        db.execute("INSERT INTO meta VALUES ('key', 'value')")
        with Corpus.open(home) as other:
            assert other.meta("key") is None
            other.db.execute("PRAGMA busy_timeout = 10")
            with pytest.raises(TwinError, match="another process writes it"), other.writing():
                pass
    assert corpus.meta("key") == "value"


def test_failure_changes_nothing(corpus: Corpus) -> None:
    """A change that fails half-way is no change."""

    def fail() -> None:
        with corpus.writing() as db:
            db.execute("INSERT INTO meta VALUES ('key', 'value')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert corpus.meta("key") is None


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on the size of files")
def test_full_disk(home: Home, writing: Path) -> None:
    """An ingest that finds no room ends with 3 and one line, and the corpus is as before."""
    (writing / "a.md").write_text("first")
    environment = os.environ | {"LLM_TWIN_HOME": str(home.path)}
    command = [str(COMMAND), "ingest", "--no-index", str(writing)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    for number in range(40):
        (writing / f"{number}.txt").write_text(f"{number} words " * 5000)
    limited = (
        "import resource, runpy, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)); "
        "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, *command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    with Corpus.open(home) as corpus:
        assert [document.text for document in corpus.documents()] == ["first"]


def test_two_ingests_at_once(home: Home, writing: Path) -> None:
    """The second one ends with 3 and says so; the first one goes on."""
    for number in range(100):
        (writing / f"{number}.html").write_text(f"<p>Page {number}.</p>" * 20)
    environment = os.environ | {"LLM_TWIN_HOME": str(home.path)}
    command = [str(COMMAND), "ingest", "--no-index", str(writing)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as first:
        _wait_for(first, home)
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=120
        )
        first.communicate(timeout=120)
    assert first.returncode == 0
    assert done.returncode == 3
    assert f"Error: another ingest is running (process {first.pid})" in done.stderr
    with Corpus.open(home) as corpus:
        assert len(corpus) == 100


def test_kill_at_any_moment(home: Home, writing: Path, *, acceptance: bool) -> None:
    """A run that is killed leaves the corpus as it was; the next one does it all."""
    (writing / "a.md").write_text("# First\n\nText.")
    environment = os.environ | {"LLM_TWIN_HOME": str(home.path)}
    command = [str(COMMAND), "ingest", "--no-index", str(writing)]
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    for number in range(100):
        (writing / f"{number}.html").write_text(f"<p>Page {number} of many.</p>" * 20)
    rounds = 20 if acceptance else 4
    for step in range(rounds):
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        _wait_for(process, home)
        time.sleep(0.1 + 0.9 * step / rounds)
        process.send_signal(signal.SIGKILL)
        killed = process.wait(timeout=60) == -signal.SIGKILL
        with Corpus.open(home) as corpus:
            assert corpus.db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert len(corpus) == (1 if killed else 101)
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
    with Corpus.open(home) as corpus:
        assert len(corpus) == 101


def test_reader_ends_with_its_parent(home: Home, writing: Path) -> None:
    """The process that reads files does not outlive a parent that was killed."""
    for number in range(100):
        (writing / f"{number}.html").write_text(f"<p>Page {number}.</p>" * 20)
    environment = os.environ | {"LLM_TWIN_HOME": str(home.path)}
    process = subprocess.Popen(
        [COMMAND, "ingest", "--no-index", str(writing)], env=environment, stdout=subprocess.PIPE
    )
    _wait_for(process, home)
    time.sleep(0.5)
    process.kill()
    assert process.stdout is not None
    process.stdout.read()  # ends when nobody holds the other end
    process.stdout.close()
    process.wait(timeout=60)


def _wait_for(process: subprocess.Popen[bytes], home: Home) -> None:
    """Wait until a process holds the lock of ingest."""
    until = time.monotonic() + 60
    lock = home.path / "locks" / "ingest"
    while time.monotonic() < until:
        if lock.exists() and lock.read_text() == str(process.pid):
            return
        time.sleep(0.01)
    pytest.fail("the process did not take the lock")


def test_deleted_text_is_gone_from_the_file(
    take: Take, corpus: Corpus, writing: Path, home: Home
) -> None:
    """What leaves the corpus is overwritten, not only unlinked."""
    (writing / "a.md").write_text("a sentence that has to vanish")
    (writing / "b.md").write_text("b")
    take()
    (writing / "a.md").unlink()
    take()
    corpus.scrub()
    for path in home.path.iterdir():
        if path.is_file():
            assert b"has to vanish" not in path.read_bytes()
    assert sqlite3.connect(home.corpus_db).execute("PRAGMA integrity_check").fetchone() == ("ok",)
