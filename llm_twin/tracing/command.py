"""The commands `llm-twin traces ...`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from llm_twin.commands import options
from llm_twin.errors import RefusedError, UsageError
from llm_twin.tracing import show

if TYPE_CHECKING:
    from llm_twin.settings import Settings
    from llm_twin.tracing.spool import Spool

SINCE = click.option(
    "--since",
    metavar="TIME",
    help="Begun at this time or later: 2026-01-31, 2026-01-31T12:00, or 30m, 12h, 7d ago.",
)
FAILED = click.option("--failed", is_flag=True, help="Only those that ended with an error.")


@click.group()
def traces() -> None:
    """Look at recorded requests, write them out, carry them to Opik.

    Each request is in the spool of the state folder before its answer is complete. Where
    `opik.url` is set, `llm-twin serve` carries the spool there by itself.
    """


@traces.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, help="How many (default: 20).")
@SINCE
@FAILED
@options.CONFIG
@options.JSON
def list_(
    limit: int, since: str | None, config: Path | None, *, failed: bool, as_json: bool
) -> None:
    """List the newest requests."""
    from itertools import islice

    _, spool = _opened(config)
    entries = islice(spool.walk(newest_first=True, since=show.moment(since), failed=failed), limit)
    rows = [show.row(json.loads(entry.body)) for entry in entries]
    if as_json:
        _print_json({"schema": 1, "traces": rows})
    else:
        _print_lines(show.table(rows))


@traces.command("show")
@click.argument("trace", metavar="ID")
@options.CONFIG
@options.JSON
def show_(trace: str, config: Path | None, *, as_json: bool) -> None:
    """Show one request: what went in and came out, its steps, and feedback on it.

    ID is the trace's, as in the header `x-trace-id` and in `llm-twin traces list`.
    """
    from llm_twin.tracing.tracker import SpoolTracker

    _, spool = _opened(config)
    found = SpoolTracker(spool).get(trace)
    if found is None:
        raise RefusedError(f"no such trace: {show.line(trace)}; `llm-twin traces list` has the ids")
    if as_json:
        _print_json({"schema": 1, **found.as_json()})
    else:
        _print_lines(show.details(found))


@traces.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@SINCE
@FAILED
@options.CONFIG
def export(file: Path | None, since: str | None, config: Path | None, *, failed: bool) -> None:
    """Write requests as JSON lines, one object each, to FILE or the output.

    An object has `trace`, `spans` and `scores`, in the field names of Opik's API; oldest first.
    A FILE is replaced when all of it is written.
    """
    from llm_twin.tracing.tracker import SpoolTracker

    _, spool = _opened(config)
    tracker = SpoolTracker(spool)

    def lines(*, ascii_only: bool) -> Iterator[str]:
        for entry in spool.walk(since=show.moment(since), failed=failed):
            found = tracker.get(entry.trace)
            if found is not None:
                yield json.dumps(found.as_json(), ensure_ascii=ascii_only)

    if file is None:
        for text in lines(ascii_only=sys.stdout.isatty()):
            click.echo(text)
        return
    with show.replacing(file) as out:
        count = _write(out, lines(ascii_only=False))
    click.echo(f"{file}: {count} traces", err=True)


@traces.command()
@click.option("--all", "everything", is_flag=True, help="Once more what was delivered, too.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="How long to go on trying where the server takes nothing (default: 0).",
)
@options.CONFIG
@options.JSON
def forward(wait: float, config: Path | None, *, everything: bool, as_json: bool) -> None:
    """Carry what waits in the spool to the Opik server of the settings.

    Ends with 1 where the server refused some records, with 3 where it can't be reached.
    """
    from llm_twin.home import Home
    from llm_twin.tracing.deliver import deliver

    settings, spool = _opened(config)
    if settings.opik.url is None:
        raise UsageError("no Opik server is set; set LLM_TWIN_OPIK_URL and try again")
    with Home(settings.home).lock("forward", wait=wait):
        done = deliver(spool, settings, wait=wait, everything=everything)
    if as_json:
        _print_json({"schema": 1, "delivered": done.delivered, "refused": done.refused})
    else:
        _print_lines([f"{done.delivered} delivered to {settings.opik.url}"])
    if done.refused:
        raise RefusedError(
            f"{done.refused} refused by the server, which stay in the spool; "
            "`llm-twin traces status` says why"
        )


@traces.command()
@options.CONFIG
@options.JSON
def status(config: Path | None, *, as_json: bool) -> None:
    """Say what the spool holds, what waits for the server, and what limits removed."""
    from llm_twin.tracing.status import told

    settings, spool = _opened(config)
    report = told(spool, settings)
    if as_json:
        _print_json({"schema": 1, **report})
    else:
        _print_lines(show.status(report))


def _opened(config: Path | None) -> "tuple[Settings, Spool]":
    from llm_twin.home import Home
    from llm_twin.settings import load
    from llm_twin.tracing.spool import Spool

    settings = load(config).settings
    return settings, Spool(Home(settings.home).spool_db)


def _print_json(value: dict[str, Any]) -> None:
    # A trace holds what strangers wrote: nothing of it may steer a terminal.
    click.echo(json.dumps(value, indent=2, ensure_ascii=sys.stdout.isatty()))


def _print_lines(lines: list[str]) -> None:
    click.echo("\n".join(lines))


def _write(out: TextIO, lines: Iterator[str]) -> int:
    count = 0
    for count, text in enumerate(lines, 1):  # noqa: B007 - the last number is the count
        out.write(f"{text}\n")
    return count
