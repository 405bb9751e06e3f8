"""The commands `llm-twin ingest`, `forget`, `backup` and `restore`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from llm_twin.commands import options
from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from llm_twin.corpus.forget import As
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


@click.command()
@click.argument("term", metavar="DOCUMENT|PERSON")
@click.option("--document", "wanted", flag_value="document", help="It is a document.")
@click.option("--person", "wanted", flag_value="person", help="It is a person, known or not.")
@click.option("--undo", "undone", is_flag=True, help="Let it be taken again by the next ingest.")
@options.CONFIG
@options.JSON
def forget(
    term: str, wanted: "As | None", config: Path | None, *, undone: bool, as_json: bool
) -> None:
    """Erase a document or a person from corpus, index and traces.

    A document is named by its id, source, path, URL or title; a person by name or e-mail address.
    It stays erased: the next ingest leaves it out.
    """
    from llm_twin.corpus import forget as forgetting
    from llm_twin.corpus.store import Corpus
    from llm_twin.home import Home
    from llm_twin.progress import shown
    from llm_twin.settings import load

    settings = load(config).settings
    home = Home(settings.home)
    with home.lock("ingest"):
        if undone:
            with Corpus.open(home) as corpus:
                forgetting.undo(term, corpus)
            click.echo("may be taken again; run `llm-twin ingest` on its folder")
            return
        with shown() as progress:
            done = forgetting.forget(term, home, settings, progress, wanted)
    click.echo(json.dumps(done.as_json(), indent=2) if as_json else "\n".join(done.lines()))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file where it is there.")
@options.CONFIG
@options.JSON
def backup(file: Path, config: Path | None, *, force: bool, as_json: bool) -> None:
    """Write corpus, index and traces to a file.

    It holds what the corpus and the traces hold, and is as private as they are.
    """
    from llm_twin.corpus.backup import backup as run
    from llm_twin.home import Home
    from llm_twin.settings import load

    size = run(Home(load(config).settings.home), file, force=force)
    about = {"schema": 1, "file": str(file), "bytes": size}
    click.echo(json.dumps(about, indent=2) if as_json else f"{file}: {size} bytes")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace what the state folder holds.")
@options.CONFIG
@options.JSON
def restore(file: Path, config: Path | None, *, force: bool, as_json: bool) -> None:
    """Bring back what a backup holds.

    Every part is checked before anything is changed. Stop a service on the state folder first.
    """
    from llm_twin.corpus.backup import restore as run
    from llm_twin.home import Home
    from llm_twin.settings import load

    home = Home(load(config).settings.home)
    parts = run(file, home, force=force)
    about = {"schema": 1, "home": str(home.path), "parts": sorted(parts)}
    click.echo(
        json.dumps(about, indent=2) if as_json else f"{home.path}: {len(parts)} parts restored"
    )


def _refuse_nothing(corpus: "Corpus") -> None:
    if not len(corpus):
        from llm_twin.corpus.readers import FORMATS

        raise TwinError(
            "nothing was taken and the corpus is empty; name folders with files that end in "
            + " ".join(sorted(FORMATS))
        )
