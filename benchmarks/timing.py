"""Times commands in turn, so that a machine's changing speed meets all of them alike."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contestant:
    """A command to time.

    ``expects``: the exit code that shows that it did its work. ``before``: called before each run,
    untimed.
    """

    name: str
    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    expects: int = 0
    before: Callable[[], None] | None = None


def measure(contestants: Sequence[Contestant], runs: int) -> dict[str, list[float]]:
    """Run all commands in turn, once unmeasured and then ``runs`` times.

    Returns:
        Wall seconds by name, in the order of the rounds.

    Raises:
        SystemExit: A command ended with another exit code than expected: its time says nothing.
    """
    seconds: dict[str, list[float]] = {contestant.name: [] for contestant in contestants}
    for round_number in range(runs + 1):
        for contestant in contestants:
            taken = _once(contestant)
            if round_number:
                seconds[contestant.name].append(taken)
    return seconds


def _once(contestant: Contestant) -> float:
    if contestant.before is not None:
        contestant.before()
    started = time.perf_counter()
    done = subprocess.run(  # noqa: S603 - the commands are this package's own
        contestant.argv,
        cwd=contestant.cwd,
        env=dict(contestant.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    taken = time.perf_counter() - started
    if done.returncode != contestant.expects:
        sys.stderr.write(done.stdout.decode(errors="replace")[-4000:])
        sys.exit(f"{contestant.name} ended with {done.returncode}, so it was not timed")
    return taken


def table(seconds: Mapping[str, Sequence[float]], base: str) -> str:
    """Return a Markdown table: median seconds, and the ratio to ``base`` round by round."""
    lines = [
        f"| command | median | ratio to {base} | least | most |",
        "| :-- | --: | --: | --: | --: |",
    ]
    for name, taken in seconds.items():
        ratios = [one / other for one, other in zip(taken, seconds[base], strict=True)]
        lines.append(
            f"| {name} | {statistics.median(taken):.2f} s | {statistics.median(ratios):.2f} "
            f"| {min(ratios):.2f} | {max(ratios):.2f} |"
        )
    return "\n".join(lines)
