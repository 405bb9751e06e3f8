"""What the forwarder's process does, from its start to the end of its standard input."""

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from llm_twin.errors import TwinError
from llm_twin.tracing import retention

if TYPE_CHECKING:
    from llm_twin.home import Home
    from llm_twin.settings import Settings
    from llm_twin.tracing.forward import Forwarder, Waits
    from llm_twin.tracing.server import Server

LOOKED_EVERY: Final = 0.25
"""Seconds between two looks for new entries; a look is one read of the file's header."""
TIDIED_EVERY: Final = 60.0
LOCK_TRIED_EVERY: Final = 2.0
GRACE_SECONDS: Final = 5.0
"""In which what waits may be delivered at the end."""
NICENESS: Final = 10


class Loop:
    """What the child does until it is told to stop."""

    def __init__(
        self,
        home: "Home",
        settings: "Settings",
        stop: threading.Event,
        waits: "Waits | None" = None,
    ) -> None:
        """Open the spool.

        Args:
            home: The state folder whose spool is carried.
            settings: Where to, and what the spool may hold.
            stop: Set when it shall end.
            waits: Seconds between tries.

        Raises:
            TwinError: The spool can't be opened.
        """
        from llm_twin.tracing.forward import Backoff
        from llm_twin.tracing.spool import Spool
        from llm_twin.tracing.tracer import limits

        # What it writes can be found out again: a record that is sent twice is the same record.
        self._spool = Spool(home.spool_db, lasting=False)
        self._home = home
        self._settings = settings
        self._limits = limits(settings)
        self._stop = stop
        self._waits = waits
        self._backoff = Backoff(waits)
        self._tidied = -math.inf
        self._said: str | None = None
        self._registered = False

    def run(self) -> None:
        """Carry the spool, and keep it within its limits."""
        while not self._stop.is_set():
            try:
                if self._settings.opik.url is None:
                    self._tidy_only()
                    continue
                with self._home.lock("forward"):
                    self._carry()
            except TwinError as error:
                # Another forwarder is at it, or the disk is full: neither ends the service.
                self._say(str(error))
                self._stop.wait(LOCK_TRIED_EVERY)
        self._spool.close()

    def _tidy_only(self) -> None:
        while not self._stop.is_set():
            self._tidy()
            self._stop.wait(TIDIED_EVERY)

    def _carry(self) -> None:
        from llm_twin.tracing.forward import Forwarder
        from llm_twin.tracing.server import Server

        with Server(self._settings.opik) as server:
            forwarder = Forwarder(self._spool, server, self._waits)
            while not self._stop.is_set():
                self._tidy()
                seen = self._spool.version()
                wait = self._drain(forwarder, server.url)
                if wait is None:
                    self._register(server)
                    self._idle(seen)
                else:
                    self._stop.wait(wait)
            until = time.monotonic() + GRACE_SECONDS
            self._drain(forwarder, server.url, lambda: time.monotonic() < until)

    def _drain(
        self, forwarder: "Forwarder", url: str, going_on: Callable[[], bool] | None = None
    ) -> float | None:
        """Deliver what waits; return the seconds to wait where the server takes nothing."""
        from llm_twin.tracing.forward import State
        from llm_twin.tracing.server import UnavailableError

        before = forwarder.delivered
        wait = problem = None
        try:
            forwarder.drain(going_on or (lambda: not self._stop.is_set()))
            self._backoff.reset()
        except UnavailableError as error:
            problem = str(error)
            wait = self._backoff.again(error.wait)
        took = forwarder.delivered > before
        if took or problem or self._said:
            State.keep(self._spool, url, problem, wait, delivered=took)
        self._say(problem)
        return wait

    def _register(self, server: "Server") -> None:
        from llm_twin.tracing.prompts import register_ours
        from llm_twin.tracing.server import RejectedError, UnavailableError

        if self._registered:
            return
        try:
            register_ours(self._spool, server, self._settings.opik.project)
        except UnavailableError:
            return  # with the next delivery
        except RejectedError as error:
            self._say(f"the prompts are in no library: {error}")
        self._registered = True

    def _idle(self, seen: int) -> None:
        """Wait until there is something new, or something that was put off is due."""
        from llm_twin.tracing.outbox import Outbox

        due = Outbox(self._spool).next_retry()
        tidy = self._tidied + TIDIED_EVERY
        while not self._stop.wait(LOOKED_EVERY):
            if self._spool.version() != seen or time.monotonic() >= tidy:
                return
            if due is not None and time.time() >= due:
                return

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied >= TIDIED_EVERY:
            retention.enforce(self._spool, self._limits)
            self._tidied = time.monotonic()

    def _say(self, problem: str | None) -> None:
        """Tell a problem once, and once that it is over."""
        if problem != self._said:
            tell(problem or "delivered again")
        self._said = problem


def main() -> None:
    """Run the child: settings come on the standard input, whose end is the end of the work."""
    from llm_twin.home import Home
    from llm_twin.settings import Settings

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    told = json.loads(sys.stdin.buffer.readline())
    settings = Settings.model_validate(told)
    stop = threading.Event()

    def listen() -> None:
        sys.stdin.buffer.read()
        stop.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        Loop(Home(settings.home), settings, stop).run()
    except TwinError as error:
        tell(str(error))
        sys.exit(error.exit_code)


def tell(message: str) -> None:
    """Say something to whoever reads the service's log."""
    sys.stderr.write(f"llm-twin: traces: {message}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
