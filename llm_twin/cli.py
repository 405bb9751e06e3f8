"""The command `llm-twin`."""

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Final

import click

from llm_twin import __version__

FAILED: Final = 3
INTERRUPTED: Final = 130


class MisconfiguredError(click.ClickException):
    """Settings that can't be used."""

    exit_code = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """An LLM twin: it answers from its author's writing and in that voice."""


@cli.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The TOML file, in place of $LLM_TWIN_CONFIG and ./llm-twin.toml.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def settings(config: Path | None, *, as_json: bool) -> None:
    """Show every setting and where it comes from; secrets are masked."""
    from llm_twin.settings import SettingsError, load

    try:
        origins = load(config).origins
    except SettingsError as error:
        raise MisconfiguredError(str(error)) from None
    if as_json:
        rows = {row.name: {"value": row.value, "origin": row.origin} for row in origins}
        click.echo(json.dumps({"schema": 1, "settings": rows}, indent=2))
        return
    names, values = (
        max(len(cell) for cell in column)
        for column in zip(*((row.name, _cell(row.value)) for row in origins), strict=True)
    )
    for row in origins:
        click.echo(f"{row.name:{names}}  {_cell(row.value):{values}}  {row.origin}")


def _cell(value: str | int | None) -> str:
    return "-" if value is None else str(value)


def main() -> None:
    """Run the command; Ctrl-C ends it with 130, what the system refuses with 3."""
    signal.signal(signal.SIGINT, _interrupted)
    try:
        cli()
    except OSError as error:
        click.echo(f"Error: {error.strerror}", err=True)
        # Python would try once more, at exit, to write what did not fit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    sys.exit(INTERRUPTED)
