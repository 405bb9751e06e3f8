"""`llm-twin traces`, run as its users run it."""

import json
import os
import re
import stat
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from llm_twin.errors import UsageError
from llm_twin.home import Home
from llm_twin.tracing import show
from llm_twin.tracing.tracer import Tracer
from tests.llm_twin.tracing.conftest import Ask
from tests.opik_server import OpikServer

COMMAND = Path(sys.executable).with_name("llm-twin")


class Run:
    """Runs the command in a folder, with a state folder."""

    def __init__(self, folder: Path, home: Home) -> None:
        self._folder = folder
        self.home = home.path

    def __call__(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `llm-twin traces ARGUMENTS`."""
        return subprocess.run(
            [COMMAND, "traces", *arguments],
            cwd=self._folder,
            env=os.environ | {"LLM_TWIN_HOME": str(self.home)} | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture
def run(tmp_path: Path, home: Home) -> Run:
    """The command."""
    return Run(tmp_path, home)


def test_new_folder_has_no_traces(run: Run) -> None:
    """Every command works before anything was recorded."""
    assert run("list").stdout == "no traces\n"
    assert json.loads(run("list", "--json").stdout) == {"schema": 1, "traces": []}
    assert (run("export").returncode, run("export").stdout) == (0, "")
    assert "0 traces" in run("status").stdout


def test_list_shows_the_newest_first(run: Run, ask: Ask, tracer: Tracer) -> None:
    """A line for each request, with its id, outcome, tokens and question."""
    first, second = ask("first?").trace_id, ask("second?\x1b[31m\nline").trace_id
    with pytest.raises(ValueError, match="broken"), tracer.request("chat", {"q": "third?"}):
        raise ValueError("broken")
    done = run("list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert "error" in lines[1]
    assert second in lines[2]
    assert "second?" in lines[2]
    assert "\x1b" not in done.stdout
    assert re.search(rf"{first}  chat +ok +\d+\.\d\d +12 +first\?$", lines[3])
    rows = json.loads(run("list", "--json", "--limit", "2").stdout)["traces"]
    assert [row["outcome"] for row in rows] == ["error", "ok"]
    assert rows[1]["tokens"] == 12
    assert len(json.loads(run("list", "--failed", "--json").stdout)["traces"]) == 1


def test_since(run: Run, ask: Ask) -> None:
    """Times are dates, or how long ago; anything else is an error of one line."""
    ask("now")
    tomorrow = (datetime.now().astimezone() + timedelta(days=1)).date().isoformat()
    for text, count in (("1h", 1), ("2000-01-01", 1), (tomorrow, 0)):
        rows = json.loads(run("list", "--json", "--since", text).stdout)["traces"]
        assert len(rows) == count
    done = run("list", "--since", "yesterday")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "Error: --since yesterday: should be a date such as 2026-01-31, or 30m, 12h, 7d\n"
    )


@pytest.mark.parametrize("text", ["", "7", "-1d", "9999999d", "999999w", "2026-13-01", "\x1b[1m"])
def test_times_that_are_none(text: str) -> None:
    """What is no time is told without what would steer a terminal."""
    with pytest.raises(UsageError) as caught:
        show.moment(text)
    assert "\x1b" not in str(caught.value)


def test_ago_is_counted_from_now() -> None:
    """`30m` is half an hour ago."""
    moment = show.moment("30m")
    assert moment is not None
    assert abs(time.time() - 1800 - moment) < 5
    assert show.moment(None) is None


def test_show_has_steps_and_feedback(run: Run, ask: Ask, tracer: Tracer) -> None:
    """All that is known of one request, for people and for programs."""
    trace = ask("What now?").trace_id
    tracer.feedback(trace, "user_feedback", 1, "thanks")
    done = run("show", trace)
    assert (done.returncode, done.stderr) == (0, "")
    for text in ("What now?", "With `rollback`.", "  retrieval", "12 tokens", "$0", "smollm2"):
        assert text in done.stdout
    assert "  user_feedback: 1 thanks" in done.stdout
    shown = json.loads(run("show", trace, "--json").stdout)
    assert shown["trace"]["id"] == trace
    assert [span["name"] for span in shown["spans"]] == ["retrieval", "generation"]
    assert shown["scores"][0]["reason"] == "thanks"


def test_show_of_an_error(run: Run, tracer: Tracer) -> None:
    """The traceback of a request that failed is shown."""
    with pytest.raises(ValueError, match="broken"), tracer.request("chat", {"q": "?"}) as request:
        raise ValueError("broken")
    assert "ValueError: broken" in run("show", request.trace_id).stdout


def test_show_of_an_unknown_trace(run: Run) -> None:
    """An unknown id ends with 1 and one line."""
    done = run("show", "no\x1bsense")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: no such trace: no sense; `llm-twin traces list` has the ids\n"


def test_export_writes_an_object_a_line(run: Run, ask: Ask, tracer: Tracer, tmp_path: Path) -> None:
    """Every trace is one line of JSON with its spans and scores, on the output or in a file."""
    ids = [ask(f"ä {n}").trace_id for n in range(70)]
    tracer.feedback(ids[0], "user_feedback", 1)
    done = run("export")
    objects = [json.loads(line) for line in done.stdout.splitlines()]
    assert [each["trace"]["id"] for each in objects] == ids
    assert len(objects[0]["scores"]) == 1
    assert all(set(each) == {"trace", "spans", "scores"} for each in objects)
    done = run("export", "out.jsonl")
    assert (done.returncode, done.stdout) == (0, "")
    file = tmp_path / "out.jsonl"
    assert [json.loads(line) for line in file.read_text().splitlines()] == objects
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_export_that_can_not_be_written_keeps_the_old_file(
    run: Run, ask: Ask, tmp_path: Path
) -> None:
    """A folder that is not there ends with 3; a file that was there is whole still."""
    ask("1")
    assert run("export", "none/out.jsonl").returncode == 3
    done = run("export", ".")
    assert done.returncode == 2
    assert list(tmp_path.glob("*.jsonl*")) == []


def test_forward_delivers(run: Run, ask: Ask, opik: OpikServer) -> None:
    """`forward` carries all that waits, once; with `--all` everything again."""
    ids = [ask(str(n)).trace_id for n in range(3)]
    done = run("forward", LLM_TWIN_OPIK_URL=opik.url)
    assert (done.returncode, done.stdout) == (0, f"3 delivered to {opik.url}\n")
    assert opik.api.order == ids
    done = run("forward", "--all", "--json", LLM_TWIN_OPIK_URL=opik.url)
    assert json.loads(done.stdout) == {"schema": 1, "delivered": 3, "refused": 0}
    assert opik.api.order == ids


def test_forward_without_a_server_exits_2(run: Run) -> None:
    """Without a server the setting is named."""
    done = run("forward")
    assert (done.returncode, done.stdout) == (2, "")
    assert "LLM_TWIN_OPIK_URL" in done.stderr


def test_forward_to_a_server_that_is_away_exits_3(run: Run, ask: Ask, opik: OpikServer) -> None:
    """A server that can't be reached ends with 3 and one line; `--wait` waits for it."""
    ask("1")
    opik.mode = 503
    done = run("forward", LLM_TWIN_OPIK_URL=opik.url)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.count("\n") == 1
    assert "answers 503" in done.stderr
    status = run("status", LLM_TWIN_OPIK_URL=opik.url).stdout
    assert "waiting    1, the oldest since" in status
    assert "answers 503" in status
    process = subprocess.Popen(
        [COMMAND, "traces", "forward", "--wait", "60"],
        env=os.environ | {"LLM_TWIN_HOME": str(run.home), "LLM_TWIN_OPIK_URL": opik.url},
        stdout=subprocess.PIPE,
        text=True,
    )
    requests = opik.requests
    while opik.requests == requests:
        time.sleep(0.05)
    opik.mode = "ok"
    assert process.communicate(timeout=60)[0].startswith("1 delivered")
    assert process.returncode == 0


def test_refused_records_are_told(run: Run, ask: Ask, opik: OpikServer) -> None:
    """What the server doesn't take ends with 1, stays, and `status` says why."""
    opik.api.poison = "poison"
    ask("1")
    bad = ask("2", "poison").trace_id
    done = run("forward", LLM_TWIN_OPIK_URL=opik.url)
    assert (done.returncode, done.stdout) == (1, f"1 delivered to {opik.url}\n")
    assert "1 refused by the server" in done.stderr
    report = json.loads(run("status", "--json", LLM_TWIN_OPIK_URL=opik.url).stdout)
    assert report["schema"] == 1
    assert report["server"]["refused"] == 1
    assert report["refusals"][0]["trace"] == bad
    assert "traces named poison" in report["refusals"][0]["problem"]
    assert report["server"]["last_delivery"]
    assert "refused    " in run("status", LLM_TWIN_OPIK_URL=opik.url).stdout


def test_removals_are_told(run: Run, ask: Ask, tracer: Tracer) -> None:
    """`status` says what limits removed, and that no server had it."""
    ask("1")
    with tracer.spool.writing() as connection:
        connection.execute("UPDATE entries SET time = time - 100 * 86400")
    tracer.close()
    status = run("status").stdout
    assert "1 traces and 0 scores, by tracing.max_days; 1 of them no server had" in status
    assert json.loads(run("status", "--json").stdout)["removed"][0]["traces"] == 1


def test_damaged_spool_exits_3_with_one_line(run: Run, home: Home) -> None:
    """A damaged file ends each command with one line that says what to do."""
    home.spool_db.write_bytes(b"damaged" * 1000)
    for command in ("list", "status", "export"):
        done = run(command)
        assert (done.returncode, done.stdout) == (3, "")
        assert "is damaged" in done.stderr
        assert done.stderr.count("\n") == 1


def test_output_that_nobody_reads(run: Run, ask: Ask) -> None:
    """A reader that goes away, as `head` does, leaves no traceback."""
    for n in range(100):
        ask("x" * 1000 + str(n))
    process = subprocess.Popen(
        [COMMAND, "traces", "export"],
        env=os.environ | {"LLM_TWIN_HOME": str(run.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait()
