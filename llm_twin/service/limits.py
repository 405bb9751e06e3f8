"""How much: requests of one caller in a time, and answers in the making at once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from llm_twin.service.errors import ApiError

_SMOOTHING: Final = 0.2
_LONGEST_ADVICE: Final = 60.0  # seconds


class Rates:
    """Counts the requests of each caller."""

    def __init__(self, rate: str) -> None:
        """Start to count.

        Args:
            rate: As in `60/minute`.
        """
        self._limit = parse(rate)
        # Its memory is bounded: two counters a caller, which go when their time is over.
        self._counted = SlidingWindowCounterRateLimiter(MemoryStorage())

    def take(self, caller: str) -> None:
        """Count a request.

        Raises:
            ApiError: The caller had more than their share (429).
        """
        if self._counted.hit(self._limit, caller):
            return
        self._refuse(caller)

    def look(self, caller: str) -> None:
        """Refuse a caller who has none left, and count nothing.

        Raises:
            ApiError: As `take`.
        """
        if not self._counted.test(self._limit, caller):
            self._refuse(caller)

    def _refuse(self, caller: str) -> None:
        again = self._counted.get_window_stats(self._limit, caller).reset_time - time.time()
        message = f"Too many requests: at most {self._limit} are served. Try again later."
        raise ApiError(429, message, code="rate_limit_exceeded", retry_after=again)


class Queue:
    """Lets so many run at once, so many wait for so long, and refuses the rest.

    Attributes:
        running: How many run.
        waiting: How many wait.
    """

    def __init__(self, concurrency: int, length: int, patience: float) -> None:
        """Make an empty queue.

        Args:
            concurrency: Most that run at once.
            length: Most that wait.
            patience: Seconds that one waits at most.
        """
        self.running = 0
        self.waiting = 0
        self._concurrency = concurrency
        self._length = length
        self._patience = patience
        self._free = asyncio.Semaphore(concurrency)
        self._usual = 1.0  # seconds that one runs

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn and hold it.

        Raises:
            ApiError: Too many wait already, or the wait was too long (503).
        """
        if self._free.locked():
            if self.waiting >= self._length:
                raise self.busy()
            await self._wait()
        else:
            await self._free.acquire()
        self.running += 1
        started = time.monotonic()
        try:
            yield
        finally:
            self.running -= 1
            self._free.release()
            self._usual += _SMOOTHING * (time.monotonic() - started - self._usual)

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            async with asyncio.timeout(self._patience):
                await self._free.acquire()
        except TimeoutError:
            raise self.busy() from None
        finally:
            self.waiting -= 1

    def busy(self) -> ApiError:
        """Return what is told to those for whom there is no turn, with when to come back."""
        again = self._usual * (self.waiting + 1) / self._concurrency
        return ApiError(
            503,
            "Too many questions at once. Try again later.",
            code="overloaded",
            retry_after=min(again, _LONGEST_ADVICE),
        )
