"""Ctrl-C at any moment: the right exit code, no process left, the source untouched."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.host import Host, remove, snapshot
from tests.e2e.repositories import clean
from tests.e2e.running import in_a_terminal, left_behind, marked

STATIC = 'checks = ["gitleaks", "lint", "format", "types", "test"]\n'
TEST = 'checks = ["test"]\n'
SLEEPS = """\
import subprocess
import sys
import time


def test_sleeps() -> None:
    sleep = {before!r} + "import time; open({flag!r}, 'w').close(); time.sleep(60)"
    subprocess.Popen([sys.executable, "-c", sleep], start_new_session=True)
    time.sleep(60)
"""
VERDICT = ("passed in ", "failed in ", "error in ")  # how the last line of a whole run starts
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


class Running:
    """A run that was started on a source and is to be interrupted."""

    def __init__(self, host: Host, source: Path, config: str, mark: str) -> None:
        """Start it, and wait until Python itself has started."""
        remove(host.reports)
        self.host = host
        self.source = source
        self.before = snapshot(source)
        self.process = subprocess.Popen(
            host.arguments(source, config),
            env=host.environment({"LANG": mark}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if sys.platform == "linux":
            self._until(caught=True)
            self._until(caught=False)
        else:
            time.sleep(0.5)

    def _until(self, *, caught: bool) -> None:
        """Wait until Python, and then our own code, has set what it does on SIGINT."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            status = Path(f"/proc/{self.process.pid}/status").read_text()
            mask = int(status.partition("SigCgt:")[2].split()[0], 16)
            if bool(mask >> (signal.SIGINT - 1) & 1) == caught:
                return

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal; return the exit code and what was printed."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        assert snapshot(self.source) == self.before
        return self.process.returncode, out, err


def assert_interrupted(host: Host, code: int, out: str, err: str, place: str = "source") -> None:
    """The run said so, told what was known by then, and left only what may be used again."""
    assert not err
    # By the signal itself where there was nothing to clean up: a shell says 130, too.
    assert code in {130, -signal.SIGINT}
    ended = any(line.startswith(VERDICT) for line in out.splitlines()[-1:])
    if "running" in out and not ended:
        assert code == 130
        assert "interrupted" in out.splitlines()[-1]
        assert (host.reports / "verdict.json").exists()
        assert '"interrupted"' in (host.reports / "verdict.json").read_text()
    for folder in ("out", "trees", "scripts", "home", "source"):
        assert not list(host.cache.glob(f"{place}-*/{folder}"))


@pytest.mark.parametrize("group", range(6))
def test_moments(host: Host, source: Path, group: int, *, acceptance: bool) -> None:
    """Whatever the run is at, it ends at once and cleans up."""
    clean(source)
    moments = [0.5 * group + 0.05 * step for step in range(10)] if acceptance else [0.3 * group]
    for moment in moments:
        with marked() as mark:
            running = Running(host, source, STATIC, mark)
            time.sleep(moment)
            started = time.monotonic()
            code, out, err = running.end()
            assert time.monotonic() - started < 5
            assert not left_behind(mark)
        if code or moment < 1:  # later it may have ended by itself
            assert_interrupted(host, code, out, err)


@pytest.mark.parametrize(
    ("before", "number"), [("", signal.SIGINT), ("", signal.SIGTERM), (STUBBORN, signal.SIGINT)]
)
def test_in_a_test(
    host: Host, source: Path, tmp_path: Path, before: str, number: signal.Signals
) -> None:
    """A test's processes end with it, also one that ignores SIGTERM in a session of its own."""
    flag = tmp_path / "flag"
    clean(source, {"tests/test_slow.py": SLEEPS.format(before=before, flag=str(flag))})
    with marked() as mark:
        running = Running(host, source, TEST, mark)
        wait_for(flag)
        assert left_behind(mark, patience=0)
        code, out, err = running.end(number)
        assert not left_behind(mark, patience=0)
    assert "test " in out
    assert_interrupted(host, code, out, err)
    assert code == 130


def test_twice(host: Host, source: Path, tmp_path: Path) -> None:
    """The second Ctrl-C does not wait for anybody, and still leaves no process."""
    flag = tmp_path / "flag"
    clean(source, {"tests/test_slow.py": SLEEPS.format(before=STUBBORN, flag=str(flag))})
    with marked() as mark:
        running = Running(host, source, TEST, mark)
        wait_for(flag)
        running.process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        started = time.monotonic()
        code, _, err = running.end()
        assert time.monotonic() - started < 1
        assert not left_behind(mark)
    assert code == 130
    assert not err


def test_in_an_installation(host: Host, source: Path, tmp_path: Path) -> None:
    """What was half installed is not taken for an environment by the next run."""
    source = source.with_name("installed")  # whose environment nobody else needs
    remove(source)
    clean(source)
    flag = tmp_path / "flag"
    config = (
        'red-controls = false\nchecks = ["types"]\n'
        f'install.commands = [["sh", "-c", "touch {flag}; sleep 2; touch {{env}}/whole"]]\n'
        "types.command = 'test -e $VIRTUAL_ENV/whole'\n"
    )
    with marked() as mark:
        running = Running(host, source, config, mark)
        wait_for(flag)
        code, out, err = running.end()
        assert not left_behind(mark)
    assert_interrupted(host, code, out, err, "installed")
    assert not list(host.cache.glob("installed-*/env-*/.complete"))
    assert host.run(source, config).checks == {"types": "passed"}


def test_in_a_terminal(host: Host, source: Path, tmp_path: Path) -> None:
    """A terminal gets its cursor back, and no traceback."""
    flag = tmp_path / "flag"
    clean(source, {"tests/test_slow.py": SLEEPS.format(before="", flag=str(flag))})
    with marked() as mark:
        env = host.environment({"LANG": mark, "TERM": "xterm"})
        code, shown = in_a_terminal(host.arguments(source, TEST), env, until=flag)
        assert not left_behind(mark)
    assert code == 130
    assert "Traceback" not in shown
    assert "interrupted" in shown
    assert shown.rfind("\x1b[?25h") > shown.rfind("\x1b[?25l")


def wait_for(flag: Path) -> None:
    """Wait for a file that a test makes."""
    end = time.monotonic() + 60
    while not flag.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
