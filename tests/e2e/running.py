"""Processes that a run started, told by a mark in their environment or arguments."""

import os
import pty
import secrets
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def marked() -> Iterator[str]:
    """Lend a mark for a run; what still carries it afterwards is killed."""
    mark = f"mark-{secrets.token_hex(8)}"
    try:
        yield mark
    finally:
        for pid in left_behind(mark, patience=0):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def left_behind(mark: str, patience: float = 2.0) -> list[int]:
    """Return the processes that carry a mark, once there are none or `patience` is at its end."""
    end = time.monotonic() + patience
    while (found := _carrying(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _carrying(mark: str) -> list[int]:
    if not Path("/proc/self/environ").exists():
        listed = subprocess.run(["ps", "-axEo", "pid=,command="], capture_output=True, check=True)
        lines = listed.stdout.decode(errors="replace").splitlines()
        return [int(line.split()[0]) for line in lines if mark in line]
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            about = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
            if mark.encode() in about:
                found.append(int(folder.name))
    return found


def in_a_terminal(
    command: list[str], env: dict[str, str], until: Path | None = None
) -> tuple[int, str]:
    """Run a command in a terminal and return its exit code and all that was shown.

    Once the file `until` is there, Ctrl-C is pressed.
    """
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(command[0], command, env)  # noqa: S606 - a child of a terminal
    shown = b""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if until is not None and until.exists():
            os.write(terminal, b"\x03")
            until = None
        if select.select([terminal], [], [], 0.05)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:  # Linux's way to say that the other end is closed
                break
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")
