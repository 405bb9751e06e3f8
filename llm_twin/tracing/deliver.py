"""Delivers the spool once, for a person who waits for it."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from llm_twin.errors import TwinError
from llm_twin.tracing.forward import Backoff, Forwarder, State
from llm_twin.tracing.outbox import Outbox
from llm_twin.tracing.prompts import register_ours
from llm_twin.tracing.server import RejectedError, Server, UnavailableError

if TYPE_CHECKING:
    from llm_twin.home import Home
    from llm_twin.settings import Settings
    from llm_twin.tracing.spool import Spool

PATIENCE_SECONDS: Final = 3.0
"""How long a command whose answer is out waits for the server."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the entries.

    Attributes:
        delivered: How many the server took.
        refused: How many it refused, and that stay in the spool.
    """

    delivered: int
    refused: int


def after_answer(home: "Home", settings: "Settings") -> str | None:
    """Deliver what waits, at the end of a command whose answer is out already.

    Where a service runs on the same folder, that one delivers. A server that is slow or away holds
    the command up for some seconds; the traces stay in the spool.

    Returns:
        What to tell the user, None where all is well or there is no server.
    """
    if settings.opik.url is None:
        return None
    from llm_twin.tracing.spool import Spool

    patience = min(settings.opik.timeout, PATIENCE_SECONDS)
    hasty = settings.model_copy(
        update={"opik": settings.opik.model_copy(update={"timeout": patience})}
    )
    spool = Spool(home.spool_db, lasting=False)
    try:
        with home.lock("forward"):
            deliver(spool, hasty, wait=0)
    except UnavailableError as error:
        return f"the trace waits in the spool: {error}"
    except TwinError:
        return None  # another process is at it
    finally:
        spool.close()
    return None


def deliver(
    spool: "Spool", settings: "Settings", *, wait: float, everything: bool = False
) -> Delivered:
    """Deliver all that waits; what was refused before is tried once more.

    Args:
        spool: What is delivered.
        settings: Where to.
        wait: Seconds to go on trying where the server takes nothing.
        everything: Deliver what was delivered before, too.

    Raises:
        UsageError: The settings name no server.
        UnavailableError: The server took nothing for so long.
        TwinError: The spool can't be read or written.
    """
    until = time.monotonic() + wait
    backoff = Backoff()
    outbox = Outbox(spool)
    outbox.again(everything=everything)
    with Server(settings.opik) as server:
        forwarder = Forwarder(spool, server)
        while True:
            before = forwarder.delivered
            try:
                forwarder.drain()
            except UnavailableError as error:
                pause = backoff.again(error.wait)
                took = forwarder.delivered > before
                State.keep(spool, server.url, str(error), pause, delivered=took)
                if time.monotonic() + pause > until:
                    raise
                time.sleep(pause)
                continue
            State.keep(spool, server.url, None, None, delivered=forwarder.delivered > 0)
            with suppress(UnavailableError, RejectedError):  # the next one does it
                register_ours(spool, server, settings.opik.project)
            return Delivered(forwarder.delivered, spool.status().refused)
