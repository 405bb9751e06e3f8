"""Commands that run away, and how to tell that they are gone."""

import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import pytest

from llm_pipeline.processes import Finished

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to us")

ROGUES = """
import os, signal, subprocess, sys, time
folder, then = sys.argv[1], sys.argv[2]
me = [sys.executable, "-S", "-c"]
sleeper = '''
import os, signal, sys, time
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
time.sleep(60)
'''
def twice(env):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve(me[0], [*me, sleeper, folder], env)
        os._exit(0)
    os.wait()
subprocess.Popen([*me, sleeper, folder])
subprocess.Popen([*me, sleeper, folder], start_new_session=True)
twice(dict(os.environ))
twice({})
while len(os.listdir(folder)) < 4:
    time.sleep(0.01)
if then == "stay":
    time.sleep(60)
elif then == "die":
    os.kill(os.getpid(), signal.SIGKILL)
"""
"""Four processes that ignore signals: a child, one in a session of its own, and two daemons that
forked twice, one of them without an environment."""


class Running(Protocol):
    """Runs a command in the test's folder."""

    def __call__(
        self, *argv: str, limit: float | None = None, append: bool = False, log: str = "log"
    ) -> Awaitable[Finished]:
        """Run it with a clean environment."""


def alive(folder: Path) -> list[int]:
    """Those of the noted processes that are still there, be it as a zombie."""
    found = []
    for file in folder.iterdir():
        with suppress(ProcessLookupError):
            os.kill(int(file.name), 0)
            found.append(int(file.name))
    return found


def noted(folder: Path) -> int:
    """How many processes have noted their number."""
    return len(list(folder.iterdir()))


def all_there(folder: Path) -> bool:
    """Whether all four rogues have noted their number."""
    return noted(folder) == 4


def children() -> list[str]:
    """This process's children, dead ones included, as the kernel describes them."""
    return [
        Path(f"/proc/{child}/stat").read_text()
        for file in Path("/proc/self/task").glob("*/children")
        for child in file.read_text().split()
    ]


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and is only waited for: this one may have inherited it."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return state.stdout[:1] in {b"Z", b""}


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def python(code: str) -> tuple[str, str, str, str]:
    """The command that runs some Python, with little to start."""
    return sys.executable, "-S", "-c", code


def without_coverage() -> dict[str, str]:
    """The variables of a process that may not write where coverage keeps its data."""
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
