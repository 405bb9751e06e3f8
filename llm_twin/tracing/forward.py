"""Carries the spool to a server: in order, a batch at a time, until nothing waits.

A batch that is not taken is halved until the record that is the reason stands alone; that one is
put off, and the others go on. A server that takes nothing is asked again later, after a wait that
grows. What was sent twice, because the answer was lost, is the same record for the server.
"""

import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Final, Self

from llm_twin.tracing.model import Stored
from llm_twin.tracing.outbox import Outbox
from llm_twin.tracing.server import RejectedError, Server, UnavailableError
from llm_twin.tracing.spool import Spool

COUNT: Final = 200
"""Entries of a batch."""
SIZE: Final = 2_000_000
"""Characters of a batch, so that memory stays flat and proxies let it pass."""
LEAST_SIZE: Final = 50_000
IN_A_ROW: Final = 3
"""So many single records refused with none taken between: the reason is not in them."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds between tries.

    Attributes:
        first: After the first time that a server takes nothing; doubled with each further one.
        longest: The longest of these waits.
        record: After the first refusal of a single record; doubled with each further one.
        record_longest: The longest of these waits.
    """

    first: float = 1.0
    longest: float = 60.0
    record: float = 5.0
    record_longest: float = 3600.0


class Backoff:
    """How long to wait for a server that takes nothing."""

    def __init__(self, waits: Waits | None = None) -> None:
        self._waits = waits or Waits()
        self._failures = 0

    def again(self, wish: float | None) -> float:
        """Seconds until the next try; by chance, so that many don't come at once.

        Args:
            wish: What the server asks for, the least that is waited.
        """
        self._failures += 1
        most = min(self._waits.longest, self._waits.first * 2.0 ** min(self._failures - 1, 20))
        return max(wish or 0.0, most * random.uniform(0.5, 1.0))  # noqa: S311 - no secret

    def reset(self) -> None:
        """The server took something."""
        self._failures = 0


@dataclass(frozen=True, slots=True)
class State:
    """How the forwarder was when it last had something to say; it stands in the spool.

    Attributes:
        url: The server.
        time: When it said so, in seconds since 1970.
        problem: Why the server takes nothing, None where it does.
        retry: When it is asked again, in seconds since 1970.
        last_delivery: When it took something last, in seconds since 1970.
    """

    url: str
    time: float
    problem: str | None
    retry: float | None
    last_delivery: float | None

    KEY: ClassVar[str] = "forwarder"

    @classmethod
    def kept(cls, spool: Spool) -> Self | None:
        """Read it; None where nobody forwarded yet."""
        text = spool.state(cls.KEY)
        return None if text is None else cls(**json.loads(text))

    @classmethod
    def keep(
        cls, spool: Spool, url: str, problem: str | None, wait: float | None, *, delivered: bool
    ) -> None:
        """Write it.

        Args:
            spool: Where.
            url: The server.
            problem: Why it takes nothing, None where it does.
            wait: Seconds until it is asked again.
            delivered: Whether it took something just now.
        """
        now = time.time()
        before = cls.kept(spool)
        last = now if delivered else before.last_delivery if before else None
        retry = None if wait is None else now + wait
        spool.set_state(cls.KEY, json.dumps(asdict(cls(url, now, problem, retry, last))))


class Forwarder:
    """Delivers what waits in a spool.

    Attributes:
        delivered: Entries that were delivered so far.
        refused: Times that a single entry was refused so far.
    """

    def __init__(self, spool: Spool, server: Server, waits: Waits | None = None) -> None:
        self.delivered = 0
        self.refused = 0
        self._outbox = Outbox(spool)
        self._server = server
        self._waits = waits or Waits()
        self._size = SIZE
        self._in_a_row = 0
        self._all_refused = False

    def drain(self, going_on: Callable[[], bool] = lambda: True) -> None:
        """Deliver all that may be delivered now.

        Args:
            going_on: Asked between two batches; where it says no, the rest stays.

        Raises:
            UnavailableError: The server takes nothing now; what it took is noted.
            TwinError: The spool can't be read or written.
        """
        while going_on():
            entries = self._outbox.waiting(COUNT, self._size, time.time())
            if not entries:
                return
            self._send(entries)

    def _send(self, entries: Sequence[Stored]) -> None:
        try:
            self._server.send(entries)
        except RejectedError as error:
            self._rejected(entries, error)
            return
        self._outbox.delivered([entry.seq for entry in entries])
        self.delivered += len(entries)
        self._in_a_row = 0
        self._size = min(SIZE, self._size + self._size // 4)
        if self._all_refused:
            self._all_refused = False
            self._outbox.again(everything=False)

    def _rejected(self, entries: Sequence[Stored], error: RejectedError) -> None:
        if error.too_large:
            self._size = max(LEAST_SIZE, self._size // 2)
        if len(entries) > 1:
            middle = len(entries) // 2
            self._send(entries[:middle])
            self._send(entries[middle:])
            return
        waits = self._waits
        self._outbox.refused(entries[0].seq, str(error), waits.record, waits.record_longest)
        self.refused += 1
        self._in_a_row += 1
        if self._in_a_row >= IN_A_ROW:
            self._all_refused = True
            raise UnavailableError(str(error))
