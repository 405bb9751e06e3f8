"""The command `llm-twin evaluate`."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from llm_twin.commands import options
from llm_twin.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_twin.evaluation.questions import Question
    from llm_twin.evaluation.run import Figures, Outcome
    from llm_twin.home import Home
    from llm_twin.progress import Progress
    from llm_twin.settings import Settings


@click.command()
@click.option(
    "--set",
    "name",
    type=click.Choice(["project", "club", "journal", "notebook", "vet"]),
    default="project",
    show_default=True,
    help="Built-in questions. `project` asks the corpus as it is, which should hold this project's "
    "docs; the others bring documents of their own.",
)
@click.option(
    "--questions",
    type=click.Path(path_type=Path),
    help="A file of questions, in place of a built-in set.",
)
@click.option(
    "--documents",
    type=click.Path(path_type=Path),
    help="Ask about this folder, ingested for this run alone, and not about the corpus.",
)
@click.option(
    "--split",
    type=click.Choice(["held-out", "tuning", "all"]),
    default="held-out",
    show_default=True,
    help="Which of the questions; thresholds were chosen on `tuning`.",
)
@click.option("--gate", is_flag=True, help="End with 1 where a bar is not held.")
@click.option("--each", is_flag=True, help="Show the questions that went wrong, with the answers.")
@options.CONFIG
@options.JSON
def evaluate(  # noqa: PLR0913 - an argument for each option
    name: str,
    questions: Path | None,
    documents: Path | None,
    split: str,
    config: Path | None,
    *,
    gate: bool,
    each: bool,
    as_json: bool,
) -> None:
    """Ask questions whose answers are known, and show how good the answers are.

    Every figure has its 95 % interval. The bars are for the lower ends of the intervals.
    """
    from llm_twin.evaluation import questions as sets
    from llm_twin.progress import shown
    from llm_twin.settings import load

    settings = load(config).settings
    asked = sets.load(questions) if questions else sets.built_in(name)
    asked = [each for each in asked if split in {"all", each.split}]
    if questions is None and documents is None:
        documents = sets.documents(name)
    with shown() as progress, _home(settings, documents, progress) as home:
        outcomes, author = asyncio.run(_run(home, settings, asked, progress))
    from llm_twin.evaluation.run import figures

    summed = figures(outcomes, author)
    if as_json:
        click.echo(json.dumps(_as_json(summed, outcomes), indent=2, ensure_ascii=False))
    else:
        _show(summed)
        if each:
            _show_each(outcomes)
    missed = sorted(name for name, held in summed.held.items() if not held)
    if gate and missed:
        raise RefusedError(f"not held: {', '.join(missed)}")


@contextmanager
def _home(settings: Settings, documents: Path | None, progress: Progress) -> Iterator[Home]:
    """The state folder of the settings, or one for this run with the documents in it."""
    from llm_twin.home import Home

    if documents is None:
        yield Home(settings.home)
        return
    from llm_twin.corpus.ingest import ingest
    from llm_twin.corpus.store import Corpus
    from llm_twin.retrieval.build import build_index

    with TemporaryDirectory(prefix="llm-twin-") as folder:
        home = Home(Path(folder) / "home")
        with Corpus.open(home) as corpus:
            ingest([documents], corpus, settings, progress)
        build_index(home, settings, progress)
        yield home


async def _run(
    home: Home, settings: Settings, questions: Sequence[Question], progress: Progress
) -> tuple[list[Outcome], str]:
    from llm_twin.corpus.store import Corpus
    from llm_twin.evaluation.run import run
    from llm_twin.twin import Twin

    with Corpus.open(home) as corpus:
        author = "\n".join(document.text for document in corpus.documents())
    async with Twin.open(home, settings) as twin:
        return await run(twin, questions, progress), author


def _as_json(summed: Figures, outcomes: Sequence[Outcome]) -> dict[str, object]:
    return {
        "schema": 1,
        "measures": {
            name: asdict(measure) if measure else None for name, measure in summed.measures.items()
        },
        "held": dict(summed.held),
        "questions": [asdict(outcome) for outcome in outcomes],
    }


def _show(summed: Figures) -> None:
    from llm_twin.evaluation.run import BARS, MOST_REFUSED

    click.echo(f"{'':16}{'value':>7}{'low':>7}{'high':>7}{'n':>5}  bar")
    for name, measure in summed.measures.items():
        if measure is None:
            continue
        bar = f"at most {MOST_REFUSED}" if name == "refused" else f"low {BARS.get(name)}"
        verdict = {True: f"{bar}: held", False: f"{bar}: NOT held", None: ""}[summed.held.get(name)]
        click.echo(
            f"{name:16}{measure.value:7.3f}{measure.low:7.3f}{measure.high:7.3f}"
            f"{measure.count:5}  {verdict}".rstrip()
        )


def _show_each(outcomes: Sequence[Outcome]) -> None:
    for each in outcomes:
        wanted = each.question.kind == "answerable"
        if each.correct if wanted else each.abstained:
            continue
        click.echo(f"\n{each.question.id} ({each.confidence:.2f}): {each.question.question}")
        if wanted:
            click.echo(f"  wanted: {each.question.phrases} from {', '.join(each.question.sources)}")
        click.echo("  " + each.text.replace("\n", "\n  "))
