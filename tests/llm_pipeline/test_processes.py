"""Running commands: what they see, how they end, and that nothing survives them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import anyio
import pytest

from llm_pipeline.errors import LookError
from llm_pipeline.processes import Finished, clean_env, install_env, run

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


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """Run a command in the test's folder, with its output in a file there."""

    def start(
        *argv: str, limit: float | None = None, append: bool = False, log: str = "log"
    ) -> Awaitable[Finished]:
        env = clean_env({})
        return run(argv, cwd=tmp_path, env=env, log=tmp_path / log, limit=limit, append=append)

    return start


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Path]:
    """A folder in which processes note their number; what still lives at the end is killed."""
    folder = tmp_path / "pids"
    folder.mkdir()
    yield folder
    for pid in alive(folder):
        os.kill(pid, signal.SIGKILL)


def alive(folder: Path) -> list[int]:
    """Those of the noted processes that are still there, be it as a zombie."""
    found = []
    for file in folder.iterdir():
        with suppress(ProcessLookupError):
            os.kill(int(file.name), 0)
            found.append(int(file.name))
    return found


def wait_for(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def python(code: str) -> tuple[str, str, str, str]:
    """The command that runs some Python, with little to start."""
    return sys.executable, "-S", "-c", code


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -1 $$", 129)]
)
def test_exit_code(running: Running, script: str, code: int) -> None:
    """The exit code is the command's own, and 128+N after signal N, as in a shell."""

    async def main() -> Finished:
        return await running("sh", "-c", script)

    finished = anyio.run(main)
    assert finished.exit_code == code
    assert not finished.timed_out


def test_log_holds_both_streams(running: Running, tmp_path: Path) -> None:
    """Standard output and standard error go to the log, which a run replaces or adds to."""

    async def main() -> None:
        await running("echo", "old")
        await running("sh", "-c", "echo out; echo err >&2")
        await running("echo", "more", append=True)

    anyio.run(main)
    assert (tmp_path / "log").read_text() == "out\nerr\nmore\n"


def test_input_is_empty(running: Running) -> None:
    """A command that reads its input sees its end at once."""

    async def main() -> Finished:
        return await running("sh", "-c", "read line && exit 5; exit 6", limit=5)

    assert anyio.run(main).exit_code == 6


@pytest.mark.parametrize("name", ["no-such-command", "./plain", "./folder", "./broken", "nul\0"])
def test_command_that_cannot_run(running: Running, tmp_path: Path, name: str) -> None:
    """A command that is missing or can't be run is an error that names it."""
    (tmp_path / "plain").write_text("text")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").write_text("#!/no/such/interpreter\n")
    (tmp_path / "broken").chmod(0o755)

    async def main() -> Finished:
        return await running(name)

    with pytest.raises(LookError) as caught:
        anyio.run(main)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_folder(tmp_path: Path) -> None:
    """A missing working folder is an error that names the folder, not the command."""

    async def main() -> Finished:
        return await run(["true"], cwd=tmp_path / "gone", env=clean_env({}), log=tmp_path / "log")

    with pytest.raises(LookError, match=r"gone: there is no such folder"):
        anyio.run(main)


def test_log_that_cannot_be_written(running: Running) -> None:
    """A log that can't be written is an error before the command starts."""

    async def main() -> Finished:
        return await running("touch", "started", log="no/such/log")

    with pytest.raises(LookError, match=r"can't write the log .*no/such/log"):
        anyio.run(main)


def test_environment_is_the_given_one(running: Running, tmp_path: Path, canary: str) -> None:
    """A command sees the given variables and our marker, and no secret of the caller."""

    async def main() -> Finished:
        return await running("env")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_TOKEN", canary)
        anyio.run(main)
    seen = {line.partition("=")[0] for line in (tmp_path / "log").read_text().splitlines()}
    assert canary not in (tmp_path / "log").read_text()
    assert seen <= {*clean_env({}), "LLM_PIPELINE_RUN", "PWD", "_"}
    assert "PATH" in seen


def test_time_limit(running: Running) -> None:
    """A command that exceeds its limit is asked to end, and that shows."""

    async def main() -> Finished:
        return await running("sleep", "60", limit=0.2)

    finished = anyio.run(main)
    assert finished.timed_out
    assert finished.exit_code == 143
    assert 0.2 <= finished.seconds < 5


def test_time_limit_of_a_stubborn_command(running: Running) -> None:
    """A command that ignores the request to end is killed after two seconds."""

    async def main() -> Finished:
        return await running("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done", limit=0.2)

    started = time.monotonic()
    finished = anyio.run(main)
    assert finished.timed_out
    assert finished.exit_code == 137
    assert 2 < time.monotonic() - started < 10


def test_a_command_may_clean_up(running: Running, tmp_path: Path) -> None:
    """The request to end comes once, and its two seconds are enough to clean up."""
    script = "trap 'echo asked; sleep 0.5; exit 9' TERM; sleep 60 & wait"

    async def main() -> Finished:
        return await running("sh", "-c", script, limit=0.3)

    finished = anyio.run(main)
    assert finished.exit_code == 9
    assert (tmp_path / "log").read_text() == "asked\n"


@LINUX
@pytest.mark.parametrize(("then", "limit"), [("leave", None), ("die", None), ("stay", 1.0)])
def test_nothing_survives(running: Running, pids: Path, then: str, limit: float | None) -> None:
    """Children that fork twice, leave the session and ignore signals end with their command."""

    async def main() -> Finished:
        return await running(*python(ROGUES), str(pids), then, limit=limit)

    finished = anyio.run(main)
    assert finished.timed_out == (then == "stay")
    assert len(list(pids.iterdir())) == 4
    assert alive(pids) == []


@LINUX
def test_cancellation_leaves_nothing(running: Running, pids: Path) -> None:
    """When a run is cancelled, what it started is gone before the cancellation goes on."""

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(running, *python(ROGUES), str(pids), "stay")
            with anyio.fail_after(20):
                while len(list(pids.iterdir())) < 4:
                    await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        assert alive(pids) == []

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


def children() -> list[str]:
    """Numbers of this process's children, dead ones included."""
    return [
        child
        for file in Path("/proc/self/task").glob("*/children")
        for child in file.read_text().split()
    ]


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
def test_other_children_are_left_alone(running: Running) -> None:
    """A process that this program started in another way goes on, and can be waited for."""
    with subprocess.Popen(["sleep", "60"]) as ours:
        with subprocess.Popen(["sleep", "60"], start_new_session=True) as apart:

            async def main() -> Finished:
                return await running("sh", "-c", "sleep 60 & exit 0")

            time.sleep(0.02)
            anyio.run(main)
            assert ours.poll() is None
            assert apart.poll() is None
            apart.kill()
        ours.kill()
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
    assert len(list(pids.iterdir())) == 4
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


def is_zombie(pid: int) -> bool:
    """Whether a process has ended and is only waited for: this one may have inherited it."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False)
    return state.stdout[:1] in {b"Z", b""}


@pytest.mark.parametrize("make", [clean_env, install_env])
def test_clean_env_lets_nothing_else_through(
    make: Callable[..., dict[str, str]], canary: str
) -> None:
    """Secrets of the caller stay out of a process's environment unless they are asked for."""
    base = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "LC_TIME": "C",
        "AWS_SECRET_ACCESS_KEY": canary,
        "GITHUB_TOKEN": canary,
        "OPENAI_API_KEY": canary,
        "PYTHONPATH": canary,
        "LLM_PIPELINE_RUN": canary,
        "UV_PUBLISH_TOKEN": canary,
        "POETRY_PYPI_TOKEN_MINE": canary,
    }
    env = make({"CI": "1"}, base=base)
    assert env == {"PATH": "/bin", "HOME": "/home/x", "LC_TIME": "C", "CI": "1"}
    asked = make({}, ["OPENAI_API_KEY", "AWS_*"], base=base)
    assert {name for name, value in asked.items() if value == canary} == {
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
    }


def test_clean_env_always_has_a_path() -> None:
    """Commands are found even where the caller has no PATH, and `extra` has the last word."""
    assert clean_env({}, base={})["PATH"]
    assert clean_env({"PATH": "/mine"}, base={"PATH": "/bin"})["PATH"] == "/mine"


def test_install_env_reaches_an_index() -> None:
    """An installer sees proxies, certificates and the settings of pip, uv and poetry."""
    base = {
        "PIP_INDEX_URL": "a",
        "UV_INDEX_MINE_PASSWORD": "b",
        "POETRY_HTTP_BASIC_MINE_PASSWORD": "c",
        "https_proxy": "d",
        "NO_PROXY": "e",
        "SSL_CERT_FILE": "f",
        "XDG_CONFIG_HOME": "g",
    }
    assert install_env({}, base=base).items() >= base.items()
    assert clean_env({}, base=base).keys() == {"PATH"}


PROGRAM = """
import anyio, os, sys
from pathlib import Path
from llm_pipeline.processes import run, run_main
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
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(tmp_path: Path, pids: Path, number: signal.Signals) -> None:
    """On Ctrl-C and its kin every process ends, without a traceback, and the exit code is 130."""
    started = start_program(tmp_path, RUN, *python(ROGUES), str(pids), "stay")
    wait_for(lambda: len(list(pids.iterdir())) == 4)
    started.send_signal(number)
    out, err = started.communicate(timeout=20)
    assert (started.returncode, out, err) == (130, "", "")
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
