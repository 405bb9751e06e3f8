"""The command `llm-twin settings`."""

import json
from pathlib import Path

import click

from llm_twin.commands import options


@click.command()
@options.CONFIG
@options.JSON
def settings(config: Path | None, *, as_json: bool) -> None:
    """Show every setting and where it comes from.

    Secrets are masked.
    """
    from llm_twin.settings import load

    origins = load(config).origins
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


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "-" if value is None else str(value)
