"""``python -m benchmarks``: prints tables of ratios; ``docs/benchmarks.md`` keeps the last ones."""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import tree
from benchmarks.host import Ground
from benchmarks.peers import peers
from benchmarks.service import service
from benchmarks.startup import startup
from benchmarks.timing import measure, table
from benchmarks.tracing import tracing

RUNNER = "_EXPERIMENTAL_DAGGER_RUNNER_HOST"
WHAT = ("startup", "host", "containers", "tracing", "service")


def main() -> None:
    """Run the benchmarks that were asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what",
        nargs="*",
        help=f"{', '.join(WHAT)}; without any: all, containers where a Dagger engine is named",
    )
    parser.add_argument("--runs", type=int, default=7, help="counted rounds (default: 7)")
    parser.add_argument("--source", type=Path, help="a repository in place of the made one")
    options = parser.parse_args()
    if unknown := set(options.what) - set(WHAT):
        parser.error(
            f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(WHAT)}"
        )
    wanted = options.what or [
        name for name in WHAT if name != "containers" or os.environ.get(RUNNER)
    ]
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as name:
        work = Path(name)
        if "startup" in wanted:
            show(table(measure(startup(work), 3 * options.runs), "empty click command"))
        if "tracing" in wanted:
            show(tracing(work, options.runs))
        if "service" in wanted:
            show(service(work, options.runs))
        if "host" in wanted:
            show(host(work, options.source, options.runs))
        if "containers" in wanted:
            containers(work, options.source, options.runs)


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


def containers(work: Path, given: Path | None, runs: int) -> None:
    """Compare calls of the module with those of an empty and of a bare one."""
    from benchmarks.containers import edited, warm

    source = work / "called"
    if given is None:
        tree.make(source)
    else:
        shutil.copytree(given, source, symlinks=True)  # it will be edited
    show(table(measure(warm(work, source), runs), "empty module"))
    show(table(measure(edited(work, source), runs), "bare module, in stages"))


if __name__ == "__main__":
    main()
