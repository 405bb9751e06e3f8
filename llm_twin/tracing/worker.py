"""The forwarder of a service: a process of its own, so that no request waits for its work.

Opik's SDK takes seconds of CPU to import, and a batch takes tens of milliseconds to encode; in the
service's own process every request would feel that. The child gets its settings on its standard
input, and ends when that ends: also when the service is killed.
"""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from pydantic import SecretStr

from llm_twin.tracing import sdk
from llm_twin.tracing.carry import GRACE_SECONDS, tell

if TYPE_CHECKING:
    from llm_twin.home import Home
    from llm_twin.settings import Settings

RESTART_SECONDS: Final = 0.5
"""Pause before a process that ended takes up its work again; doubled each time."""
RESTART_LONGEST: Final = 60.0


class Worker:
    """The child process; use it in a `with` block around the service."""

    def __init__(self, home: "Home", settings: "Settings") -> None:
        """Make one; it starts with the block.

        Args:
            home: The state folder whose spool is carried.
            settings: Where to, and what the spool may hold.
        """
        self._home = home
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._changing = threading.Lock()
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        """The process's id, None where none was started."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process; should it end before `stop`, another one takes its place."""
        self._stopping.clear()
        self._process = self._spawned()
        threading.Thread(target=self._watch_over, daemon=True).start()

    def stop(self, grace: float = GRACE_SECONDS) -> None:
        """End the process; what it did not deliver stays in the spool.

        Args:
            grace: Seconds in which it may deliver what waits.
        """
        with self._changing:
            self._stopping.set()
            process, self._process = self._process, None
        if process is None:
            return
        with suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _spawned(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "llm_twin.tracing.carry"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env=os.environ | sdk.QUIET,
            start_new_session=True,  # Ctrl-C is for the service, which ends this in order
        )
        with suppress(BrokenPipeError):
            if process.stdin is not None:
                process.stdin.write(_told(self._home, self._settings))
                process.stdin.flush()
        return process

    def _watch_over(self) -> None:
        pause = RESTART_SECONDS
        while process := self._process:
            began = time.monotonic()
            process.wait()
            if self._stopping.wait(pause):
                return
            steady = time.monotonic() - began > RESTART_LONGEST
            pause = RESTART_SECONDS if steady else min(2 * pause, RESTART_LONGEST)
            with self._changing:
                if self._stopping.is_set():
                    return
                tell(f"the forwarder ended with {process.returncode} and is started again")
                with suppress(BrokenPipeError):
                    if process.stdin is not None:
                        process.stdin.close()
                self._process = self._spawned()


def _told(home: "Home", settings: "Settings") -> bytes:
    """The settings that the child needs, with the server's key in the clear: a pipe is private."""
    opik = {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in settings.opik
    }
    told = {"home": str(home.path), "opik": opik, "tracing": dict(settings.tracing)}
    return json.dumps(told).encode() + b"\n"
