"""``llm-pipeline ci``: the host's run, what is shown of it, and its reports."""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from llm_pipeline.console import Console, choose
from llm_pipeline.errors import LookError
from llm_pipeline.host import Options, finished_run, read_plan, run_ci
from llm_pipeline.masking import Mask, environment_secrets
from llm_pipeline.model import RunResult
from llm_pipeline.processes import run_main
from llm_pipeline.report import linker, write_reports
from llm_pipeline.source import list_source
from llm_pipeline.workspace import cache_dir, slot_name

if TYPE_CHECKING:
    from llm_pipeline.model import CheckResult


def main(root: Path, options: Options, reports: Path | None) -> int:
    """Run the pipeline on the host and return the exit code.

    Raises:
        PipelineError: Nothing could be looked at, or the reports could not be written.
    """
    return run_main(lambda: _main(root.resolve(), options, reports))


async def _main(root: Path, options: Options, reports: Path | None) -> int:
    started = time.monotonic()
    source = await to_thread.run_sync(list_source, root)
    plan, facts = read_plan(source, options)
    results: dict[str, CheckResult] = {}
    known = environment_secrets(os.environ)

    def mask() -> Mask:
        return Mask(known.union(*(result.secrets for result in results.values())))

    folder = reports or cache_dir() / "reports" / slot_name(source.root)
    names = [planned.name for planned in plan.checks]
    with choose(sys.stdout, os.environ, names, mask) as console:
        try:
            await run_ci(source, plan, facts, console, results)
        except anyio.get_cancelled_exc_class():
            run = finished_run(plan, source, results, started, interrupted=True)
            _report(run, folder, mask(), console)
            raise
        run = finished_run(plan, source, results, started)
        _report(run, folder, mask(), console)
    return run.exit_code


def _report(run: RunResult, folder: Path, mask: Mask, console: Console) -> None:
    """Write the reports and show what was found, which no full disk may hide."""
    written: Path | None = None
    try:
        # A folder inside of the source must not count as a part of it in the next run.
        new = not folder.exists()
        write_reports(run, folder, mask=mask, link=linker(os.environ))
        if new:
            (folder / ".gitignore").write_text("*\n")
        written = folder
    except OSError as error:
        raise LookError(f"can't write the reports to {folder}: {error.strerror}") from None
    finally:
        console.done(run, written)
