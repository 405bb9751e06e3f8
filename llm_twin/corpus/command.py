"""The commands `llm-twin ingest`, `forget`, `backup` and `restore`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_twin.commands import options
from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from llm_twin.corpus.store import Corpus


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."
)
@click.option(
    "--no-index", is_flag=True, help="Leave the index as it is; `llm-twin index` makes it."
)
@options.CONFIG
@options.JSON
def ingest(paths: tuple[Path, ...], config: Path | None, *, no_index: bool, as_json: bool) -> None:
    """Take files, folders, archives and git repositories into the corpus.

    Markdown, HTML, PDF, text, JSON and JSONL, RSS and Atom, zip archives (Medium's and Substack's
    exports too). What did not change since the last time is not read again, and what is gone from
    a folder leaves the corpus.
    """
    from llm_twin.corpus.ingest import ingest as run
    from llm_twin.corpus.store import Corpus
    from llm_twin.home import Home
    from llm_twin.progress import shown
    from llm_twin.settings import load

    settings = load(config).settings
    home = Home(settings.home)
    with home.lock("ingest"), Corpus.open(home) as corpus:
        with shown() as progress:
            report = run(paths, corpus, settings, progress)
            if not no_index and len(corpus):
                from llm_twin.retrieval.build import build_index

                build_index(home, settings, progress)
        if as_json:
            click.echo(json.dumps(report.as_json(), indent=2))
        else:
            click.echo("\n".join(report.lines()))
        _refuse_nothing(corpus)


def _refuse_nothing(corpus: "Corpus") -> None:
    if not len(corpus):
        from llm_twin.corpus.readers import FORMATS

        raise TwinError(
            "nothing was taken and the corpus is empty; name folders with files that end in "
            + " ".join(sorted(FORMATS))
        )
