"""Delivers the spool once, for a person who waits for it."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_twin.tracing.forward import Backoff, Forwarder, State
from llm_twin.tracing.outbox import Outbox
from llm_twin.tracing.server import Server, UnavailableError

if TYPE_CHECKING:
    from llm_twin.settings import Settings
    from llm_twin.tracing.spool import Spool


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of the entries.

    Attributes:
        delivered: How many the server took.
        refused: How many it refused, and that stay in the spool.
    """

    delivered: int
    refused: int


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
            return Delivered(forwarder.delivered, spool.status().refused)
