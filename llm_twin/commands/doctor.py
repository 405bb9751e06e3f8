"""The command `llm-twin doctor`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path  # noqa: TC003 - click calls it

import click

from llm_twin.commands import options
from llm_twin.errors import TwinError


@click.command()
@options.CONFIG
@options.JSON
def doctor(config: Path | None, *, as_json: bool) -> None:
    """Look at every part, and say what to do where one can't be used.

    The exit code is 0 where all can be used and 3 otherwise.
    """
    from llm_twin.doctor import examine

    findings = examine(config)
    if as_json:
        rows = [asdict(finding) for finding in findings]
        click.echo(json.dumps({"schema": 1, "findings": rows}, indent=2))
    else:
        width = max(len(finding.part) for finding in findings)
        for finding in findings:
            mark = "ok  " if finding.usable else "NOT "
            click.echo(f"{mark} {finding.part:{width}}  {finding.told}")
    if broken := [finding.part for finding in findings if not finding.usable]:
        raise TwinError(f"can't be used: {', '.join(broken)}")
