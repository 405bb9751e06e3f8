"""One command on this machine: what it may see, how long it may run, and that nothing survives."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType

import anyio
import anyio.to_thread

from llm_pipeline import descendants
from llm_pipeline.errors import LookError

PROCESS_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TZ",
    "TMPDIR",
)
"""What any process may see of the caller's environment."""

INSTALL_VARIABLES = (
    "PIP_*",
    "UV_*",
    "POETRY_*",
    "XDG_*",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NETRC",
    "PYTHON_KEYRING_BACKEND",
    "SSH_AUTH_SOCK",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
    "CC",
    "CXX",
    "CFLAGS",
    "CPPFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "PKG_CONFIG_PATH",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "SDKROOT",
    "MACOSX_DEPLOYMENT_TARGET",
)
"""What an installer may see in addition: indexes, credentials, proxies, certificates, compilers."""

_PUBLISH_VARIABLES = ("UV_PUBLISH_*", "POETRY_PYPI_TOKEN_*")
_GRACE = 2.0
_GIVE_UP = 10.0
_REAP_EVERY = 0.1
_LOOK_EVERY = 0.005
_LOOKS = 2  # the kernel may leave a child out of its list while another one ends
_INTERRUPTED = 130
_SHOW_CURSOR = "\x1b[?25h"


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended.

    ``exit_code`` is 128+N after signal N, as in a shell; ``seconds`` is wall time until the command
    itself ended; ``timed_out`` says that the time limit ended it.
    """

    exit_code: int
    seconds: float
    timed_out: bool


def clean_env(
    extra: Mapping[str, str],
    names: Sequence[str] = (),
    *,
    base: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Make the environment of a process: what every process needs, `names`, and `extra`.

    Args:
        extra: Variables to set, whatever `base` says.
        names: Further variables to take from `base`; ``PREFIX_*`` is a pattern.
        base: Where values come from.
    """
    allowed = (*PROCESS_VARIABLES, *names)
    env = {"PATH": os.defpath}
    env |= {name: value for name, value in base.items() if _matches(name, allowed)}
    return env | dict(extra)


def install_env(
    extra: Mapping[str, str],
    names: Sequence[str] = (),
    *,
    base: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Make the environment of an installer: `clean_env`, and what reaches a package index.

    Variables that serve only to publish packages are left out unless `names` holds them.
    """
    wanted = [
        name
        for name in base
        if _matches(name, INSTALL_VARIABLES) and not _matches(name, _PUBLISH_VARIABLES)
    ]
    return clean_env(extra, (*wanted, *names), base=base)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


async def run(  # noqa: PLR0913 - all but the command are keywords
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    limit: float | None = None,
    append: bool = False,
) -> Finished:
    """Run a command in a session of its own, and end whatever it leaves behind.

    Its input is empty; its output goes straight into a file, so nobody waits for a pipe that some
    background process holds. When the command ends, at its time limit and on cancellation, every
    process that came of it gets SIGTERM, and SIGKILL two seconds later. Any number of commands may
    run side by side in one event loop.

    Args:
        argv: The command and its arguments; the command is looked up in the PATH of `env`.
        cwd: The folder to run in.
        env: The whole environment; one marker variable is added to it.
        log: The file for standard output and standard error together.
        limit: Seconds that the command may run.
        append: Add to `log` instead of replacing it.

    Raises:
        LookError: The command or `cwd` is missing or not usable, `log` can't be written, or a
            process could not be ended.
    """
    mark = descendants.new_mark()
    descendants.adopts_orphans()
    started = time.monotonic()
    process = _start(argv, cwd, {**env, descendants.MARKER: mark}, log, append=append)
    family = descendants.register(process.pid, mark)
    try:
        with anyio.move_on_after(limit) as scope:
            await _ended(process)
        seconds = time.monotonic() - started
    finally:
        with anyio.CancelScope(shield=True):
            await _end(family)
            code = process.wait()
    return Finished(128 - code if code < 0 else code, seconds, scope.cancelled_caught)


def _start(
    argv: Sequence[str], cwd: Path, env: Mapping[str, str], log: Path, *, append: bool
) -> subprocess.Popen[bytes]:
    if not cwd.is_dir():
        raise LookError(f"can't run {argv[0]} in {cwd}: there is no such folder")
    try:
        file = log.open("ab" if append else "wb")
    except OSError as error:
        raise LookError(f"can't write the log {log}: {error.strerror}") from error
    with file:
        try:
            return subprocess.Popen(  # noqa: S603 - running what we are told to is the purpose
                argv,
                cwd=cwd,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise LookError(
                f"command not found: {argv[0]}; install it, or name it by its full path"
            ) from error
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise LookError(f"can't run {argv[0]}: {reason}") from error


async def _ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a command; where the system can, without reaping it.

    Until it is reaped its number, and so that of its session, can't be given to another process.
    """
    handle = _pidfd(process.pid)
    if handle is None:
        await anyio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
        return
    try:
        while True:
            with anyio.move_on_after(_REAP_EVERY) as pause:
                await anyio.wait_readable(handle)
            if not pause.cancelled_caught:
                return
            descendants.reap_orphans()
    finally:
        os.close(handle)


def _pidfd(pid: int) -> int | None:
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox or a kernel before 5.3
            return os.pidfd_open(pid)
    return None


async def _end(family: descendants.Family) -> None:
    """End all that is left of a command."""
    started = time.monotonic()
    left: list[int] = []
    asked = False
    quiet = 0
    try:
        while quiet < _LOOKS:
            left, died = descendants.look(family)
            quiet = 0 if left or died else quiet + 1
            waited = time.monotonic() - started
            if left and waited > _GRACE + _GIVE_UP:
                break
            if left and waited > _GRACE:
                descendants.send_group(family, signal.SIGKILL)
            if waited > _GRACE or not asked:
                # Asked but once: to many programs a second signal means "now", without cleaning
                # up; and what they start to clean up is not asked at all.
                for pid in left:
                    descendants.send(pid, signal.SIGKILL if waited > _GRACE else signal.SIGTERM)
            asked = asked or bool(left)
            await anyio.sleep(_LOOK_EVERY if left else 0)
    except LookError:
        descendants.send_group(family, signal.SIGKILL)
        raise
    finally:
        descendants.forget(family)
    if left:
        numbers = ", ".join(str(pid) for pid in left)
        raise LookError(f"processes {numbers} could not be ended; end them by hand")


def run_main(main: Callable[[], Awaitable[int]]) -> int:
    """Run the program's main function; end everything on SIGINT, SIGTERM or SIGHUP.

    The first signal cancels `main`, which so ends its commands and cleans up. A second one kills
    them and this process at once. A signal that the caller ignores (``nohup``) stays ignored.

    Returns:
        What `main` returned, or 130 where a signal ended it.
    """
    return anyio.run(_interruptible, main)


async def _interruptible(main: Callable[[], Awaitable[int]]) -> int:
    loop = asyncio.get_running_loop()
    stopping = False
    with anyio.CancelScope() as scope:

        def stop(_number: int, _frame: FrameType | None) -> None:
            nonlocal stopping
            if stopping:
                descendants.kill_all()
                sys.stdout.write(_SHOW_CURSOR if sys.stdout.isatty() else "")
                sys.stdout.flush()
                os._exit(_INTERRUPTED)
            stopping = True
            loop.call_soon_threadsafe(scope.cancel)

        # Not the loop's own handlers: those wait while the loop is busy, and so would the second.
        before = {
            number: signal.signal(number, stop)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
            if signal.getsignal(number) != signal.SIG_IGN
        }
        try:
            return await main()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    return _INTERRUPTED
