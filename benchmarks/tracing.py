"""What a trace costs a request, against a bare commit; memory over many; a server that fails."""

import json
import random
import resource
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from llm_twin.home import Home
from llm_twin.settings import OpikSettings, Settings
from llm_twin.tracing.forward import Forwarder
from llm_twin.tracing.server import Server
from llm_twin.tracing.tracer import Request, Tracer
from llm_twin.tracing.worker import Worker
from tests.opik_server import Mode, OpikServer

PASSAGE = 900  # characters
PASSAGES = 5
TRACES = 10_000
MODES: tuple[Mode, ...] = ("ok", "hang", "half", 500, 429)


def tracing(work: Path, runs: int) -> str:
    """Return the tables."""
    return "\n\n".join([commits(work, 100 * runs), delivery(work), percentiles(work, 50 * runs)])


class Questions:
    """Records requests such as a service has: passages of a corpus that come again and again."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        text = "".join(
            page.read_text(encoding="utf-8")
            for page in sorted(Path(__file__).parents[1].glob("docs/*.md"))
        )
        self._passages = [text[at : at + PASSAGE] for at in range(0, len(text), PASSAGE)]
        self._chance = random.Random(1)  # noqa: S311 - no secret
        self._count = 0

    def ask(self) -> Request:
        """Record one request, committed."""
        self._count += 1
        question = f"How do I roll back production, number {self._count}?"
        answer = f"With the rollback command, as it says in [1], number {self._count}. " * 4
        passages = self._chance.sample(self._passages, PASSAGES)
        prompt = "\n\n".join([*passages, question])
        with self._tracer.request("chat", {"messages": [{"content": question}]}) as request:
            with request.span("retrieval", "tool", {"query": question}) as span:
                found = [{"text": passage, "score": 0.5} for passage in passages]
                span.update(output={"hits": found})
            with request.span("prompt", "general", {"version": "v1"}) as span:
                span.update(output={"messages": [{"role": "user", "content": prompt}]})
            asked = [{"role": "user", "content": prompt}]
            with request.span("generation", "llm", {"messages": asked}) as span:
                span.update(
                    output={"text": answer},
                    usage={"prompt_tokens": 1200, "completion_tokens": 60, "total_tokens": 1260},
                    model="smollm2",
                    provider="embedded",
                )
            request.finish({"text": answer}, metadata={"index": "i"}, first_token=0.2)
            request.commit()
        return request


def commits(work: Path, count: int) -> str:
    """Compare recording a request with committing the same bytes, one after the other in turn."""
    home = Home(work / "commits")
    tracer = Tracer.open(home, Settings(home=home.path))
    questions = Questions(tracer)
    body = tracer.spool.of_trace(questions.ask().trace_id)[0].body
    bare = sqlite3.connect(work / "bare.db", isolation_level=None)
    bare.execute("PRAGMA journal_mode = WAL")
    bare.execute("PRAGMA synchronous = FULL")
    bare.execute("CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body TEXT)")

    def commit() -> None:
        bare.execute("BEGIN IMMEDIATE")
        bare.execute("INSERT INTO bodies (body) VALUES (?)", (body,))
        bare.execute("COMMIT")

    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(count):
        theirs.append(_seconds(commit))
        ours.append(_seconds(questions.ask))
    bare.close()
    tracer.spool.close()
    lines = [f"| a request of {len(body) / 1000:.0f} kB, {count} times | median | p99 |"]
    lines += ["| :-- | --: | --: |"]
    for name, taken in (("bare SQLite commit", theirs), ("recorded and committed", ours)):
        lines.append(f"| {name} | {_ms(statistics.median(taken))} | {_ms(_p99(taken))} |")
    ratio = statistics.median(ours) / statistics.median(theirs)
    lines.append(f"| ratio | {ratio:.2f} | {_p99(ours) / _p99(theirs):.2f} |")
    return "\n".join(lines)


def delivery(work: Path) -> str:
    """Record and deliver many traces in a process; return its greatest memory as it goes."""
    settings = {"home": str(work / "delivery")}
    with OpikServer() as opik:
        settings["url"] = opik.url
        told = subprocess.run(  # noqa: S603 - this module
            [sys.executable, "-m", "benchmarks.tracing", json.dumps(settings)],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        if len(opik.api.traces) != TRACES or opik.api.problems:
            sys.exit(f"{len(opik.api.traces)} traces arrived; {opik.api.problems[:1]}")
    return f"| step | traces | peak memory | time |\n| :-- | --: | --: | --: |\n{told.rstrip()}"


def record_and_deliver(home: Path, url: str) -> None:
    """Print how much memory this process needed at most, each time a part is done."""
    settings = Settings(home=home, opik=OpikSettings(url=url))
    tracer = Tracer.open(Home(home), settings)
    questions = Questions(tracer)
    start = time.perf_counter()

    def say(step: str, count: int) -> None:
        # Kilobytes on Linux, bytes on macOS.
        unit = 1e6 if sys.platform == "darwin" else 1e3
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        seconds = time.perf_counter() - start
        sys.stdout.write(f"| {step} | {count} | {peak:.0f} MB | {seconds:.1f} s |\n")

    part = TRACES // 4
    for count in range(1, TRACES + 1):
        questions.ask()
        if count % part == 0:
            say("recorded", count)
    start = time.perf_counter()
    with Server(settings.opik) as server:
        forwarder = Forwarder(tracer.spool, server)
        for quarter in range(1, 5):
            forwarder.drain(lambda: forwarder.delivered < quarter * part)  # noqa: B023 - called now
            say("delivered", forwarder.delivered)


def percentiles(work: Path, count: int) -> str:
    """Measure requests beside a forwarder whose server works or fails."""
    lines = ["| server | median | p99 |", "| :-- | --: | --: |"]
    for mode in (None, *MODES):
        home = Home(work / f"percentiles-{mode}")
        with OpikServer() as opik:
            settings = Settings(home=home.path, opik=OpikSettings(url=opik.url, timeout=5.0))
            tracer = Tracer.open(home, settings)
            questions = Questions(tracer)
            for _ in range(50):
                questions.ask()
            opik.mode = mode or "ok"
            if mode is None:
                taken = _paced(questions, count)
            else:
                with Worker(home, settings):
                    while not opik.requests:
                        time.sleep(0.05)
                    taken = _paced(questions, count)
            tracer.spool.close()
        name = "none" if mode is None else "works" if mode == "ok" else str(mode)
        lines.append(f"| {name} | {_ms(statistics.median(taken))} | {_ms(_p99(taken))} |")
    return "\n".join(lines)


def _paced(questions: Questions, count: int) -> list[float]:
    taken = []
    for _ in range(count):
        taken.append(_seconds(questions.ask))
        time.sleep(0.005)
    return taken


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _p99(taken: Sequence[float]) -> float:
    return statistics.quantiles(taken, n=100)[98]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    record_and_deliver(Path(told["home"]), told["url"])
