"""The command `llm-twin`. A subcommand, and all that it needs, is imported when it is called."""

import os
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Final

import click

from llm_twin import __version__
from llm_twin.errors import DEBUG_VARIABLE, TwinError

FAILED: Final = 3
INTERRUPTED: Final = 130

# A command, where it is, and what `--help` says of it: so that help imports none of them.
COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "ask": ("llm_twin.commands.ask:ask", "Answer a QUESTION from the corpus, with the sources."),
    "backup": (
        "llm_twin.corpus.command:backup",
        "Write corpus, index and traces to a file.",
    ),
    "chat": ("llm_twin.commands.ask:chat", "Talk with the twin; an empty line or Ctrl-D ends it."),
    "doctor": (
        "llm_twin.commands.doctor:doctor",
        "Look at every part, and say what to do where one can't be used.",
    ),
    "evaluate": (
        "llm_twin.commands.evaluate:evaluate",
        "Ask questions whose answers are known, and show how good the answers are.",
    ),
    "forget": (
        "llm_twin.corpus.command:forget",
        "Erase a document or a person from corpus, index and traces.",
    ),
    "index": (
        "llm_twin.commands.index:index",
        "Build the index of the corpus, unless it is up to date.",
    ),
    "ingest": (
        "llm_twin.corpus.command:ingest",
        "Take files, folders, archives and git repositories into the corpus.",
    ),
    "restore": (
        "llm_twin.corpus.command:restore",
        "Bring back what a backup holds.",
    ),
    "serve": (
        "llm_twin.commands.serve:serve",
        "Serve the API and the chat page until SIGTERM or Ctrl-C.",
    ),
    "settings": (
        "llm_twin.commands.settings:settings",
        "Show every setting and where it comes from.",
    ),
    "traces": (
        "llm_twin.tracing.command:traces",
        "Look at recorded requests, write them out, carry them to Opik.",
    ),
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the subcommands."""
        del ctx
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a subcommand."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{attribute} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of subcommands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in sorted(COMMANDS)])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def cli() -> None:
    """An LLM twin: it answers from its author's writing and in that voice.

    Exit codes: 0 done; 1 no; 2 wrong use or configuration; 3 something could not be looked at or
    run; 130 interrupted.
    """


def main() -> None:
    """Run the command; an error becomes one line and its exit code, Ctrl-C 130."""
    signal.signal(signal.SIGINT, _interrupted)
    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open until the end
    try:
        cli()
    except TwinError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"Error: {_told(error)}", err=True)
        # Python would try once more, at exit, to write what did not fit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        click.echo(
            f"Error: internal error: {type(error).__name__}; please report it. "
            f"{DEBUG_VARIABLE}=1 shows where it happened.",
            err=True,
        )
        sys.exit(FAILED)


def _told(error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return f"{error.filename}: {reason}" if error.filename else reason


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    sys.exit(INTERRUPTED)
