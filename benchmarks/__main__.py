"""``python -m benchmarks``: prints tables of ratios; ``docs/benchmarks.md`` keeps the last ones."""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import tree
from benchmarks.host import Ground
from benchmarks.peers import peers
from benchmarks.startup import startup
from benchmarks.timing import measure, table
from benchmarks.tracing import tracing


def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="*", help="host, startup, tracing; all where none is given")
    parser.add_argument("--runs", type=int, default=7, help="counted rounds (default: 7)")
    parser.add_argument("--source", type=Path, help="a repository in place of the made one")
    options = parser.parse_args()
    wanted = options.what or ["host", "startup", "tracing"]
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        work = Path(name)
        if "startup" in wanted:
            show(table(measure(startup(work), 3 * options.runs), "empty click command"))
        if "tracing" in wanted:
            show(tracing(work, options.runs))
        if "host" in wanted:
            show(host(work, options.source, options.runs))


def show(text: str) -> None:
    """Print a table as soon as it is known."""
    sys.stdout.write(f"{text}\n\n")
    sys.stdout.flush()


def host(work: Path, source: Path | None, runs: int) -> str:
    """Compare the host's ``ci`` with a shell and with the task runners."""
    if source is None:
        source = work / "sample"
        tree.make(source)
    ground = Ground(source.resolve(), work / "cache", work / "ground")
    ground.work.mkdir()
    ground.warm()
    contestants = [
        ground.shell(),
        ground.pipeline("--no-red-controls", name="llm-pipeline, controls off"),
        ground.pipeline(name="llm-pipeline"),
        *peers(ground),
    ]
    return table(measure(contestants, runs), "shell")


if __name__ == "__main__":
    main()
