"""Nothing survives a command: not at its end, not at its limit, not on Ctrl-C."""

import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from llm_pipeline.processes import Finished
from tests.llm_pipeline.rogues import (
    LINUX,
    ROGUES,
    Running,
    alive,
    all_there,
    children,
    is_zombie,
    noted,
    python,
    wait_for,
)


@LINUX
@pytest.mark.parametrize(("then", "limit"), [("leave", None), ("die", None), ("stay", 1.0)])
def test_nothing_survives(running: Running, pids: Path, then: str, limit: float | None) -> None:
    """Children that fork twice, leave the session and ignore signals end with their command."""

    async def main() -> Finished:
        return await running(*python(ROGUES), str(pids), then, limit=limit)

    finished = anyio.run(main)
    assert finished.timed_out == (then == "stay")
    assert noted(pids) == 4
    assert alive(pids) == []


@LINUX
def test_cancellation_leaves_nothing(running: Running, pids: Path) -> None:
    """When a run is cancelled, what it started is gone before the cancellation goes on."""

    async def stay() -> None:
        await running(*python(ROGUES), str(pids), "stay")

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(stay)
            await anyio.to_thread.run_sync(wait_for, partial(all_there, pids))
            group.cancel_scope.cancel()
        assert alive(pids) == []
        assert children() == []

    anyio.run(main)


@LINUX
def test_a_chain_of_forks_is_caught(running: Running, pids: Path) -> None:
    """A process that flees by forking into new sessions is caught nevertheless."""
    code = """
import os, sys, time
for _ in range(3000):
    if os.fork():
        os._exit(0)
    os.setsid()
    time.sleep(0.002)
open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
"""

    async def main() -> Finished:
        return await running(*python(code), str(pids))

    started = time.monotonic()
    assert anyio.run(main).exit_code == 0
    assert time.monotonic() - started < 5
    time.sleep(0.3)
    assert list(pids.iterdir()) == []
    assert children() == []


@LINUX
def test_parallel_runs_keep_their_own(running: Running, tmp_path: Path) -> None:
    """A run that ends takes nothing from the runs beside it, not even a daemon with no mark."""
    patient = """
import os, subprocess, sys, time
name, env = sys.argv[1], {} if sys.argv[1] == "bare" else None
work = "import time, sys; time.sleep(1); open(sys.argv[1], 'w').close()"
if os.fork() == 0:
    os.setsid()
    subprocess.Popen([sys.executable, "-S", "-c", work, name], env=env)
    os._exit(0)
os.wait()
end = time.monotonic() + 20
while not os.path.exists(name):
    assert time.monotonic() < end
    time.sleep(0.01)
"""
    codes: list[int] = []

    async def one(*argv: str) -> None:
        codes.append((await running(*argv, log=f"log-{argv[-1]}")).exit_code)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for name in ("bare", "marked"):
                group.start_soon(one, *python(patient), name, name)
            for number in range(10):
                await anyio.sleep(0.1)
                group.start_soon(one, "sh", "-c", "sleep 60 & exit 0", f"x{number}")

    anyio.run(main)
    assert codes == [0] * 12
    assert (tmp_path / "bare").exists()
    assert (tmp_path / "marked").exists()
    assert children() == []


@LINUX
@pytest.mark.parametrize("nested", [False, True])
def test_a_run_ends_its_daemons_while_others_go_on(
    running: Running, pids: Path, *, nested: bool
) -> None:
    """A daemon that left its session is told by its mark, while another run is under way."""
    daemon = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
        time.sleep(60)
    os._exit(0)
os.wait()
while not os.listdir(sys.argv[1]):
    time.sleep(0.01)
if sys.argv[2] == "die":
    os.kill(os.getppid(), signal.SIGKILL)
"""
    inner = f"""
import anyio, os, sys
from pathlib import Path
from llm_pipeline.processes import run
argv = [sys.executable, "-S", "-c", {daemon!r}, sys.argv[1], "die"]
anyio.run(lambda: run(argv, cwd=Path.cwd(), env=os.environ, log=Path("inner")))
"""

    async def beside() -> None:
        await running("sleep", "60", log="beside")

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(beside)
            if nested:
                await running(sys.executable, "-c", inner, str(pids))
            else:
                await running(*python(daemon), str(pids), "leave")
            assert noted(pids) == 1
            assert alive(pids) == []
            group.cancel_scope.cancel()

    anyio.run(main)


@LINUX
def test_other_children_are_left_alone(running: Running) -> None:
    """A process that this program started in another way goes on, and can be waited for."""
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as apart:
        time.sleep(0.02)

        async def one() -> None:
            await running("sh", "-c", "sleep 60 & sleep 0.3")

        started = []

        async def main() -> None:
            async with anyio.create_task_group() as group:
                group.start_soon(one)
                await anyio.sleep(0.1)
                started.append(subprocess.Popen(["sleep", "60"]))  # noqa: ASYNC220 - as others do

        anyio.run(main)
        with started[0] as ours:
            assert ours.poll() is None
            assert apart.poll() is None
            ours.kill()
            apart.kill()
    assert ours.returncode == apart.returncode == -signal.SIGKILL


@LINUX
def test_a_dead_orphan_is_buried(running: Running) -> None:
    """A test that waits for the end of its daemon sees it, as it would under init."""
    code = """
import os, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(writer, str(os.getpid()).encode())
    os._exit(0)
os.wait()
pid = int(os.read(reader, 20))
end = time.monotonic() + 10
while time.monotonic() < end:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise SystemExit(0)
    time.sleep(0.01)
raise SystemExit(1)
"""

    async def main() -> Finished:
        return await running(*python(code))

    assert anyio.run(main).exit_code == 0


@LINUX
def test_a_pipeline_within_a_pipeline(running: Running, pids: Path) -> None:
    """What a killed inner pipeline leaves behind ends with the outer run."""
    inner = f"""
import anyio, os, sys
from pathlib import Path
from llm_pipeline.processes import run
async def main():
    async with anyio.create_task_group() as group:
        async def rogue():
            argv = [sys.executable, "-S", "-c", {ROGUES!r}, sys.argv[1], "stay"]
            await run(argv, cwd=Path.cwd(), env=os.environ, log=Path("inner"))
        group.start_soon(rogue)
        while len(os.listdir(sys.argv[1])) < 4:
            await anyio.sleep(0.01)
        os.kill(os.getpid(), 9)
anyio.run(main)
"""

    async def main() -> Finished:
        return await running(sys.executable, "-c", inner, str(pids))

    assert anyio.run(main).exit_code == 137
    assert noted(pids) == 4
    assert alive(pids) == []


@pytest.mark.parametrize(("then", "limit", "said"), [("leave", None, "0 1"), ("stay", 1, "143 2")])
def test_without_the_help_of_linux(
    tmp_path: Path, pids: Path, then: str, limit: float | None, said: str
) -> None:
    """Where the system adopts no orphans, groups, ancestors and marks still find the children."""
    code = f"""
import anyio, os, sys
from pathlib import Path
sys.platform = "freebsd"
from llm_pipeline.processes import run
script = '''
import os, subprocess, sys, time
note = "open(sys.argv[1] + '/' + str(os.getpid()), 'w').close()"
argv = [sys.executable, "-S", "-c", "import os, sys, time; " + note + "; time.sleep(60)", "{pids}"]
subprocess.Popen(argv)
if "{then}" == "stay":
    subprocess.Popen(argv, start_new_session=True)
while len(os.listdir("{pids}")) < (2 if "{then}" == "stay" else 1):
    time.sleep(0.01)
if "{then}" == "stay":
    time.sleep(60)
'''
async def main():
    argv = [sys.executable, "-S", "-c", script]
    finished = await run(argv, cwd=Path.cwd(), env=os.environ, log=Path("log"), limit={limit})
    print(finished.exit_code, len(os.listdir("{pids}")))
anyio.run(main)
"""
    program = [sys.executable, "-c", code]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{said}\n", "")
    assert all(is_zombie(pid) for pid in alive(pids))


PROGRAM = """
import anyio, os, signal, sys
from pathlib import Path
from llm_pipeline.processes import run, run_main
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
async def main():
    Path("ready").touch()
    {body}
    return 0
sys.exit(run_main(main))
"""
RUN = "await run(sys.argv[1:], cwd=Path.cwd(), env=os.environ, log=Path('log'))"


def start_program(folder: Path, body: str, *argv: str, prefix: str = "") -> subprocess.Popen[str]:
    """Start a program that calls `run_main`, and wait until it is in there."""
    program = [*prefix.split(), sys.executable, "-c", PROGRAM.format(body=body), *argv]
    started = subprocess.Popen(
        program,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for((folder / "ready").exists)
    return started


@LINUX
def test_a_signal_ends_everything(tmp_path: Path) -> None:
    """On Ctrl-C and its kin every process ends, without a traceback, and the exit code is 130."""
    programs = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        pids = tmp_path / number.name / "pids"
        pids.mkdir(parents=True)
        program = start_program(pids.parent, RUN, *python(ROGUES), str(pids), "stay")
        programs.append((number, pids, program))
    for number, pids, program in programs:
        wait_for(partial(all_there, pids))
        program.send_signal(number)
    for _, pids, program in programs:
        out, err = program.communicate(timeout=20)
        assert (program.returncode, out, err) == (130, "", "")
        assert alive(pids) == []


@LINUX
@pytest.mark.parametrize("busy", [False, True])
def test_a_second_signal_kills_at_once(tmp_path: Path, pids: Path, *, busy: bool) -> None:
    """A second Ctrl-C grants no grace, not even to a program that is busy."""
    body = f"""
    async with anyio.create_task_group() as group:
        async def rogue():
            {RUN}
        group.start_soon(rogue)
        while len(os.listdir({str(pids)!r})) < 4:
            await anyio.sleep(0.01)
        Path("go").touch()
        {"import time; time.sleep(60)" if busy else "pass"}
"""
    started = start_program(tmp_path, body, *python(ROGUES), str(pids), "stay")
    wait_for((tmp_path / "go").exists)
    time.sleep(0.1)
    before = time.monotonic()
    started.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert started.poll() is None
    started.send_signal(signal.SIGINT)
    out, err = started.communicate(timeout=20)
    assert time.monotonic() - before < 1.8
    assert (started.returncode, out, err) == (130, "", "")
    wait_for(lambda: not alive(pids))


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    """Under nohup the end of the terminal does not end a run."""
    body = "await anyio.sleep(0.5)"
    started = start_program(tmp_path, body, prefix="nohup")
    started.send_signal(signal.SIGHUP)
    started.communicate(timeout=20)
    assert started.returncode == 0


def test_run_main_without_a_signal(tmp_path: Path) -> None:
    """What the main function returns is the exit code, and signals are handled as before."""
    body = "return 7"
    started = start_program(tmp_path, body)
    started.communicate(timeout=20)
    assert started.returncode == 7
