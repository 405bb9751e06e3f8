"""Which processes belong to a command, however far they ran away from it.

Evidence, in this order: the session that the command was started in; an ancestor that belongs to
it; a marker in the environment. On Linux this process makes itself the parent of orphans, so a
daemon that forked twice and left the session is still found. What then carries no evidence at all
(session left, environment wiped) is a stray: it belongs to the last command that runs, so that a
command never loses a process to another one beside it.

Elsewhere (macOS) the table comes from ``ps`` and groups stand in for sessions; a process that left
its group, lost its parent and hides its environment is not found.
"""

import ctypes
import functools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from llm_pipeline.errors import LookError

MARKER = "LLM_PIPELINE_RUN"
_SET_CHILD_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_PS_LINE = re.compile(rb"\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)(.*)")


@dataclass(frozen=True, slots=True)
class Family:
    """A command that leads a session of its own, and all it gave rise to."""

    leader: int
    mark: str
    born: int


@dataclass(frozen=True, slots=True)
class _Process:
    """A row of the process table.

    ``group`` is the session on Linux, elsewhere the group; ``born`` counts clock ticks since the
    machine's start, 0 where not known; ``text`` is what ``ps`` tells of command and environment.
    """

    pid: int
    parent: int
    group: int
    dead: bool
    born: int = 0
    text: bytes = b""


_families: dict[int, Family] = {}


def new_mark() -> str:
    """A value for the variable `MARKER`: the marks of pipelines around this one, and a new one."""
    return f"{os.environ.get(MARKER, '')}/{uuid4().hex}"


def register(leader: int, mark: str) -> Family:
    """Note a command that was just started, as leader of a new session with `mark` as marker."""
    process = _stat(leader) if adopts_orphans() else None
    family = _families[leader] = Family(leader, mark, process.born if process else 0)
    return family


def forget(family: Family) -> None:
    """Forget a command of which nothing is left."""
    _families.pop(family.leader, None)


@functools.cache
def adopts_orphans() -> bool:
    """Make this process the parent of its orphaned descendants, for as long as it lives.

    Returns:
        Whether the kernel does that, and tells a process's children; never so on macOS.
    """
    if sys.platform != "linux" or not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        return False
    return bool(ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)


def look(family: Family) -> tuple[list[int], bool]:
    """List the live processes of a command, its leader among them, and reap the dead orphans.

    Returns:
        Their numbers, and whether any process died meanwhile: it may have left a child that this
        look missed.

    Raises:
        LookError: There is no way to list processes.
    """
    if not adopts_orphans():
        table = _ps_table()
        return [p.pid for p in table.values() if not p.dead and _owner(p, table) is family], False
    table = _proc_table()
    alone = len(_families) == 1
    living = []
    died = False
    for process in table.values():
        if process.dead:
            died |= _reap(process)
            continue
        owner = _owner(process, table)
        if owner is family or (owner is None and alone and _is_stray(process, table)):
            living.append(process.pid)
    return living, died


def reap_orphans() -> None:
    """Bury dead orphans, as init would: a test that waits for its daemon's end must see it."""
    if adopts_orphans():
        for pid in _children(os.getpid()):
            process = _stat(pid)
            if process and process.dead:
                _reap(process)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone, or that belongs to another user."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def send_group(family: Family, number: signal.Signals) -> None:
    """Send a signal to a command's own process group in one step, which no fork can outrun."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(family.leader, number)


def kill_all() -> None:
    """Kill every process of every command at once, without any grace."""
    for family in list(_families.values()):
        while any(seen := look(family)):
            send_group(family, signal.SIGKILL)
            for pid in seen[0]:
                send(pid, signal.SIGKILL)


def _owner(process: _Process, table: dict[int, _Process]) -> Family | None:
    line = list(_ancestry(process, table))
    for each in line:
        if family := _families.get(each.pid) or _families.get(each.group):
            return family
    for each in line:
        text = each.text or _environment(each.pid)
        for family in _families.values():
            if family.mark.encode() in text:
                return family
    return None


def _ancestry(process: _Process | None, table: dict[int, _Process]) -> Iterator[_Process]:
    seen = set()
    while process and process.pid not in seen:
        seen.add(process.pid)
        yield process
        process = table.get(process.parent)


def _is_stray(process: _Process, table: dict[int, _Process]) -> bool:
    *_, oldest = _ancestry(process, table)
    return _is_adopted(oldest)


def _is_adopted(process: _Process) -> bool:
    """Whether it came to us as an orphan, rather than being started by other code in here.

    What this process starts by itself stays in its session, or is a family's leader.
    """
    return (
        process.parent == os.getpid()
        and process.pid not in _families
        and process.group != os.getsid(0)
        and bool(_families)
        and process.born >= min(family.born for family in _families.values())
    )


def _reap(process: _Process) -> bool:
    with suppress(ChildProcessError):
        return _is_adopted(process) and os.waitpid(process.pid, os.WNOHANG)[0] == process.pid
    return False


def _proc_table() -> dict[int, _Process]:
    """All descendants of this process; it itself is not among them."""
    table: dict[int, _Process] = {}
    parents = [os.getpid()]
    while parents:
        for pid in _children(parents.pop()):
            if process := _stat(pid):
                table[pid] = process
                if not process.dead:
                    parents.append(pid)
    return table


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                found.extend(int(child) for child in _read(thread / "children").split())
    except (FileNotFoundError, ProcessLookupError):
        pass
    return found


def _stat(pid: int) -> _Process | None:
    """Read /proc/PID/stat (proc_pid_stat(5)); the name in it may hold spaces and brackets."""
    try:
        fields = _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()
        # A process whose first thread has ended looks like a zombie while the others work on.
        dead = fields[0] in b"ZX" and len([*Path(f"/proc/{pid}/task").iterdir()]) <= 1
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None
    return _Process(pid, int(fields[1]), int(fields[3]), dead, int(fields[19]))


def _environment(pid: int) -> bytes:
    try:
        return _read(Path(f"/proc/{pid}/environ"))
    except OSError:
        return b""


def _read(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read()


def _ps_table() -> dict[int, _Process]:
    """Every process of the machine; on macOS with its environment behind its command line."""
    environment = ["-E"] if sys.platform == "darwin" else []
    argv = ["ps", "-A", *environment, "-ww", "-o", "pid=,ppid=,pgid=,stat=,command="]
    try:
        listing = subprocess.run(  # noqa: S603 - fixed arguments
            argv, stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise LookError("can't list processes; install ps (procps)") from error
    table = {}
    for line in listing.stdout.splitlines():
        if match := _PS_LINE.match(line):
            pid, parent, group = (int(match[index]) for index in (1, 2, 3))
            table[pid] = _Process(pid, parent, group, match[4][:1] == b"Z", text=match[5])
    return table
