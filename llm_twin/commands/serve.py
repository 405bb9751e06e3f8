"""The command `llm-twin serve`."""

import sys
from pathlib import Path

import click

from llm_twin.commands import options


@click.command()
@click.option("--host", help="The address to listen on, in place of the setting service.host.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port, in place of the setting service.port; 0 takes one that is free.",
)
@options.CONFIG
def serve(host: str | None, port: int | None, config: Path | None) -> None:
    """Serve the API and the chat page until SIGTERM or Ctrl-C.

    On a signal no further question is taken, and answers in the making may end within the setting
    service.drain_seconds.
    """
    from llm_twin.service.auth import keys_of
    from llm_twin.settings import load

    settings = load(config).settings
    service = settings.service
    if host is not None:
        service = service.model_copy(update={"host": host})
    keys_of(service)  # settings that contradict each other are told before anything is loaded
    from llm_twin.service.run import run

    sys.exit(run(settings.model_copy(update={"service": service}), port))
