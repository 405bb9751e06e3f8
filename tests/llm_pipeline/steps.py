"""Reads what Dagger's client would ask an engine for: no engine is needed to see it."""

from collections.abc import Iterator
from typing import Any

import dagger

Step = tuple[str, dict[str, Any]]


def steps(node: dagger.Container | dagger.Directory | dagger.File) -> list[Step]:
    """Return the fields of a query in order, each with its arguments."""
    # The client has no public way to show a query that it has not sent.
    context = node._ctx  # noqa: SLF001 - see above
    return [(field.name, dict(field.args)) for field in context.selections]


def commands(container: dagger.Container) -> list[list[str]]:
    """Return the commands that a container runs, in order."""
    return [arguments["args"] for name, arguments in steps(container) if name == "withExec"]


def inside(node: dagger.Container | dagger.Directory | dagger.File) -> Iterator[Step]:
    """Yield the steps of a query and of every directory and file that goes into it."""
    for name, arguments in steps(node):
        yield name, arguments
        for value in arguments.values():
            if isinstance(value, dagger.Directory | dagger.File):
                yield from inside(value)
