"""``llm-pipeline job``: a named job of the source, run in the source's own environment."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
from anyio import to_thread

from llm_pipeline.errors import UsageError
from llm_pipeline.host import HostExecutor, Options, prepared, read_plan
from llm_pipeline.masking import Mask, environment_secrets
from llm_pipeline.processes import run, run_main
from llm_pipeline.source import list_source

_LOOK_EVERY: Final = 0.1
_TIME_LIMIT: Final = 1


def main(root: Path, name: str, options: Options) -> int:
    """Run a named job and return its exit code; 1 where its time limit ended it.

    It runs in a copy of the source: what is to last, it must put elsewhere.

    Raises:
        UsageError: There is no such job, or a secret that it names is not set.
        PipelineError: Its environment could not be made.
    """
    return run_main(lambda: _main(root.resolve(), name, options))


async def _main(root: Path, name: str, options: Options) -> int:
    source = await to_thread.run_sync(list_source, root)
    plan, facts = read_plan(source, options)
    job = plan.config.jobs.get(name)
    if job is None:
        there = ", ".join(plan.config.jobs) or "none"
        message = f"There is no job named {name!r} in [tool.llm-pipeline.jobs]; there are: {there}."
        raise UsageError(message)
    missing = [secret for secret in job.secrets if not os.environ.get(secret)]
    if missing:
        message = f"The job {name} needs these variables, which are not set: {', '.join(missing)}."
        raise UsageError(message)
    mask = Mask({os.environ[secret] for secret in job.secrets} | environment_secrets(os.environ))
    command = ("sh", "-c", job.command) if isinstance(job.command, str) else tuple(job.command)
    async with prepared(source) as (slot, _):
        executor = HostExecutor(plan, facts, source, slot)
        env = await executor.job_environment(job)
        log = slot / "out" / "job.log"
        async with anyio.create_task_group() as group:
            group.start_soon(_follow, log, mask)
            finished = await run(command, cwd=executor.tree, env=env, log=log, limit=job.timeout)
            group.cancel_scope.cancel()
    if finished.timed_out:
        sys.stderr.write(f"llm-pipeline: the job {name} reached its limit of {job.timeout:g} s\n")
        return _TIME_LIMIT
    return finished.exit_code


async def _follow(log: Path, mask: Mask) -> None:
    """Show whole lines of a growing log, masked, and at the end what is left."""
    shown = 0
    try:
        while True:
            await anyio.sleep(_LOOK_EVERY)
            shown = _show(log, mask, shown, lambda data: data.rfind(b"\n") + 1)
    finally:
        _show(log, mask, shown, len)


def _show(log: Path, mask: Mask, shown: int, upto: Callable[[bytes], int]) -> int:
    if not log.exists():
        return shown
    with log.open("rb") as file:
        file.seek(shown)
        data = file.read()
    data = data[: upto(data)]
    sys.stdout.write(mask.text(data.decode("utf-8", "replace")))
    sys.stdout.flush()
    return shown + len(data)
