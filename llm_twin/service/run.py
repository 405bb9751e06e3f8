"""Opens the parts, serves, and closes them."""

import asyncio
import logging
import socket
import sys
from typing import TYPE_CHECKING

import click

from llm_twin.home import Home
from llm_twin.service.app import create_app
from llm_twin.service.auth import hosts_of, keys_of
from llm_twin.service.server import address_of, listen, serve
from llm_twin.service.state import Service
from llm_twin.tracing.masks import masker
from llm_twin.tracing.tracer import Tracer
from llm_twin.tracing.worker import Worker
from llm_twin.twin import Twin

if TYPE_CHECKING:
    from llm_twin.masking import Masker
    from llm_twin.settings import Settings


class _MaskedLines(logging.Formatter):
    """Lines of a log with secrets and personal data masked; never a traceback, which has values."""

    def __init__(self, mask: "Masker") -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as one line."""
        if record.exc_info and record.exc_info[0] is not None:
            record.msg = f"{record.getMessage()} ({record.exc_info[0].__name__})"
            record.args = None
        record.exc_info = record.exc_text = record.stack_info = None
        return self._mask.mask_text(super().format(record)).replace("\n", " ")


def run(settings: "Settings", port: int | None) -> int:
    """Serve until a signal comes.

    Args:
        settings: All settings.
        port: The port, in place of the settings'; 0 takes one that is free.

    Returns:
        The exit code: 0 after SIGTERM, 130 after Ctrl-C.

    Raises:
        UsageError: The settings contradict each other, or a part is not as they say.
        TwinError: A part can't be opened, or the address is taken.
    """
    mask = masker(settings)
    _log(settings.log_level, mask)
    home = Home(settings.home)
    bound = listen(settings.service.host, settings.service.port if port is None else port)
    try:
        tracer = Tracer.open(home, settings)
        try:
            with Worker(home, settings):
                return asyncio.run(_serve(home, settings, tracer, mask, bound))
        finally:
            tracer.close()
    finally:
        bound.close()


async def _serve(
    home: Home, settings: "Settings", tracer: Tracer, mask: "Masker", bound: socket.socket
) -> int:
    async with Twin.open(home, settings) as twin:
        service = Service(settings.service, twin, tracer, mask)
        app = create_app(service)
        keys = keys_of(settings.service)
        if keys is None and hosts_of(settings.service, keys) is None:
            logging.getLogger("llm_twin.service").warning(
                "everyone who can reach this address may ask: service.auth is off"
            )
        click.echo(f"Serving on {address_of(bound)}")
        sys.stdout.flush()
        return await serve(app, settings.service, bound, service.stop)


def _log(level: str, mask: "Masker") -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_MaskedLines(mask))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("llm_twin").setLevel(level.upper())
    # It warns of each piece that is written to a caller who has just left.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
