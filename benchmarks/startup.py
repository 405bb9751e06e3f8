"""How long the commands take to say ``--help``."""

import os
import sys
from pathlib import Path

from benchmarks.host import BIN
from benchmarks.timing import Contestant


def startup(work: Path) -> list[Contestant]:
    """Return an empty click command and ours."""
    empty = work / "empty.py"
    empty.write_text(
        "import click\n\n\n@click.command()\ndef main() -> None:\n"
        '    """Do nothing."""\n\n\nmain()\n'
    )
    env = dict(os.environ)
    return [
        Contestant("empty click command", [sys.executable, str(empty), "--help"], work, env),
        Contestant("llm-pipeline --help", [str(BIN / "llm-pipeline"), "--help"], work, env),
        Contestant("llm-twin --help", [str(BIN / "llm-twin"), "--help"], work, env),
    ]
