"""The commands `llm-twin ask` and `llm-twin chat`."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import aclosing, contextmanager
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - click calls it
from typing import TYPE_CHECKING

import click

from llm_twin.commands import options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_twin.answers import Answer, Message
    from llm_twin.home import Home
    from llm_twin.settings import Settings
    from llm_twin.tracing.tracer import Tracer
    from llm_twin.twin import Twin


@click.command()
@click.argument("question")
@options.CONFIG
@options.JSON
def ask(question: str, config: Path | None, *, as_json: bool) -> None:
    """Answer a QUESTION from the corpus, with the sources.

    The answer goes to the output as it is written. Where the corpus does not hold it, the twin says
    that it doesn't know; the exit code is 0 all the same.
    """
    from llm_twin.answers import Message

    home, settings = _opened(config)
    asyncio.run(_ask(home, settings, [Message("user", question)], as_json=as_json))


@click.command()
@options.CONFIG
def chat(config: Path | None) -> None:
    """Talk with the twin; an empty line or Ctrl-D ends it."""
    home, settings = _opened(config)
    asyncio.run(_chat(home, settings))


def _opened(config: Path | None) -> tuple[Home, Settings]:
    from llm_twin.home import Home
    from llm_twin.settings import load

    settings = load(config).settings
    return Home(settings.home), settings


async def _ask(home: Home, settings: Settings, messages: list[Message], *, as_json: bool) -> None:
    from llm_twin.twin import Twin

    with _traced(home, settings) as tracer:
        async with Twin.open(home, settings) as twin:
            answer, trace = await _told(twin, messages, tracer, silent=as_json)
        if as_json:
            shown = {"schema": 1, "trace_id": trace, **asdict(answer)}
            click.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        else:
            _show_sources(answer)


async def _chat(home: Home, settings: Settings) -> None:
    from llm_twin.answers import Message
    from llm_twin.twin import Twin

    messages: list[Message] = []
    with _traced(home, settings) as tracer:
        async with Twin.open(home, settings) as twin:
            while question := (await asyncio.to_thread(_read)).strip():
                messages.append(Message("user", question))
                answer, _ = await _told(twin, messages, tracer, silent=False)
                _show_sources(answer)
                messages.append(Message("assistant", answer.text))


@contextmanager
def _traced(home: Home, settings: Settings) -> Iterator[Tracer]:
    """Open the tracer; what it recorded is delivered when the answers are out."""
    from llm_twin.tracing.tracer import Tracer

    tracer = Tracer.open(home, settings)
    try:
        yield tracer
    finally:
        tracer.close()
    if settings.opik.url is not None:
        from llm_twin.tracing.deliver import after_answer

        if problem := after_answer(home, settings):
            click.echo(f"Warning: {problem}", err=True)


def _read() -> str:
    if sys.stdin.isatty():
        click.echo("> ", nl=False, err=True)
    return sys.stdin.readline()


async def _told(
    twin: Twin, messages: list[Message], tracer: Tracer, *, silent: bool
) -> tuple[Answer, str]:
    """Tell the answer as it comes; return it and its trace's id when both are recorded."""
    from llm_twin.answers import Done, Token

    answer: Answer | None = None
    given = {"messages": [asdict(message) for message in messages]}
    with tracer.request(click.get_current_context().info_name or "ask", given) as request:
        async with aclosing(twin.answer(messages, observer=request)) as events:
            async for event in events:
                if isinstance(event, Token) and not silent:
                    click.echo(_printable(event.text), nl=False)
                    sys.stdout.flush()
                elif isinstance(event, Done):
                    answer = event.answer
        if answer is None:
            raise AssertionError("an answer ends with Done")
        request.answered(answer)
    return answer, request.trace_id


def _show_sources(answer: Answer) -> None:
    click.echo()
    if answer.citations:
        click.echo()
    for each in answer.citations:
        place = each.url or each.source
        click.echo(_printable(f"[{each.number}] {each.title} ({place})"))
    if answer.problem:
        click.echo(f"Warning: quoted from the passages, because {answer.problem}", err=True)


def _printable(text: str) -> str:
    """Documents are untrusted: no character of theirs commands the terminal."""
    return "".join(char for char in text if char in "\n\t" or char.isprintable())
