"""The command `llm-twin index`."""

from __future__ import annotations

import json
from pathlib import Path  # noqa: TC003 - click calls it

import click

from llm_twin.commands import options


@click.command()
@click.option("--force", is_flag=True, help="Embed everything anew, even where nothing changed.")
@options.CONFIG
@options.JSON
def index(config: Path | None, *, force: bool, as_json: bool) -> None:
    """Build the index of the corpus, unless it is up to date."""
    from llm_twin.home import Home
    from llm_twin.progress import shown
    from llm_twin.retrieval.build import build_index
    from llm_twin.settings import load

    settings = load(config).settings
    with shown() as progress:
        built = build_index(Home(settings.home), settings, progress, force=force)
    if as_json:
        row = {
            "schema": 1,
            "index": built.manifest.id,
            "passages": built.passages,
            "embedded": built.embedded,
            "unchanged": built.unchanged,
        }
        click.echo(json.dumps(row, indent=2))
    elif built.unchanged:
        click.echo(f"The index is up to date: {built.passages} passages.")
    else:
        click.echo(f"Indexed {built.passages} passages; {built.embedded} were new.")
