"""The command ``llm-pipeline``. What a subcommand needs is imported when it runs."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from llm_pipeline.cd.commands import COMMANDS

_SOURCE: Final = click.option(
    "--source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The folder to look at; it is never written.  [default: this one]",
)
_CONFIG: Final = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file in place of [tool.llm-pipeline] in pyproject.toml.",
)


class _Commands(click.Group):
    """The subcommands; where nobody reads their output any more they could not do their work."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a subcommand; click itself would leave with 1, as if a check had failed."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(3)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="llm-pipeline", message="%(prog)s %(version)s")
def cli() -> None:
    """CI as code: one graph of checks, the same on this machine and in containers.

    Exit codes: 0 passed; 1 a check failed, or a release was refused; 2 wrong use or configuration;
    3 something could not be looked at; 130 interrupted.
    """


@cli.command()
@_SOURCE
@_CONFIG
@click.option(
    "--reports",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the reports go.  [default: a folder in the cache, printed at the end]",
)
@click.option("--keep-going", is_flag=True, help="Run the tests even where a static check fails.")
@click.option("--only", multiple=True, metavar="NAME", help="Run this check alone; repeatable.")
@click.option(
    "--red-controls/--no-red-controls",
    default=True,
    help="Whether a check that passes must also fail on a planted defect.  [default: it must]",
)
def ci(  # noqa: PLR0913 - an argument for each option
    *,
    source: Path,
    config: Path | None,
    reports: Path | None,
    keep_going: bool,
    only: tuple[str, ...],
    red_controls: bool,
) -> None:
    """Run the checks on a source and write the reports."""
    from llm_pipeline.host import Options
    from llm_pipeline.run import main as run

    options = Options(only, config, keep_going, red_controls)
    raise SystemExit(run(source, options, reports))


@cli.command()
@_SOURCE
@_CONFIG
def checks(*, source: Path, config: Path | None) -> None:
    """List the checks that would run on a source, how, and why the others would not."""
    from llm_pipeline.host import Options, read_plan
    from llm_pipeline.source import list_source, show

    # Without the controls: the leak scan takes its made-up keys as arguments.
    plan, _ = read_plan(list_source(source), Options(config=config, red_controls=False))
    for planned in plan.checks:
        if planned.skip is not None:
            click.echo(f"{planned.name:<10} skipped: {planned.skip}")
            continue
        for number, command in enumerate(planned.commands):
            line = show(os.fsencode(" ".join(command))).rstrip()
            click.echo(f"{planned.name if number == 0 else '':<10} {line}")
    click.echo(f"environment {plan.install.manager}")


@cli.command()
@click.argument("name")
@_SOURCE
@_CONFIG
def job(*, name: str, source: Path, config: Path | None) -> None:
    """Run a job that the source names in [tool.llm-pipeline.jobs]."""
    from llm_pipeline.host import Options
    from llm_pipeline.job import main as run

    raise SystemExit(run(source, name, Options(config=config)))


for _command in COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command; an error that is ours becomes one line and its exit code."""
    from llm_pipeline.errors import PipelineError

    if sys.stdout is None:  # closed by whoever started this
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - open until the end
    try:
        cli()
    except PipelineError as error:
        click.echo(f"llm-pipeline: {error}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("LLM_PIPELINE_DEBUG"):
            raise
        click.echo(
            f"llm-pipeline: internal error: {type(error).__name__}: {error}. "
            "Please report it; LLM_PIPELINE_DEBUG=1 shows where it happened.",
            err=True,
        )
        sys.exit(3)
