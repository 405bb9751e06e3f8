"""From a source's facts and settings to what will run: the same for both executors."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from llm_pipeline import gitleaks, tool_settings
from llm_pipeline.checks import BY_NAME, CHECKS, Check, Evidence
from llm_pipeline.config import Config, LeakSettings, TestSettings
from llm_pipeline.defects import unseen_by_mypy
from llm_pipeline.errors import UsageError
from llm_pipeline.facts import Facts
from llm_pipeline.install import InstallPlan, plan_install
from llm_pipeline.judges import command as judge_command
from llm_pipeline.measuring import covered, measures_coverage
from llm_pipeline.outcome import Judge

DEFAULT_PYTHON: Final = "3.13"
HOOKS: Final = {
    "ruff": "astral-sh/ruff-pre-commit",
    "mypy": "pre-commit/mirrors-mypy",
    "zizmor": "zizmorcore/zizmor-pre-commit",
}
"""Repositories of pre-commit hooks whose revision pins a tool's version."""

_NESTED: Final = re.compile(r"^(?!examples?/|docs?/|tests?/).+/pyproject\.toml$")

Commands = tuple[tuple[str, ...], ...]

_CALLS: Final = {
    "lint": (("ruff", "check"), ("python", "-m", "ruff", "check")),
    "format": (("ruff", "format"), ("python", "-m", "ruff", "format")),
    "types": (("mypy",), ("python", "-m", "mypy")),
    "test": (("python", "-m", "pytest"), ("pytest",)),
}
"""How a check's own tool is called, in commands that the settings give."""

_WITH_VALUE: Final = frozenset({"-c", "-k", "-m", "-n", "-o", "-p", "-W"})


@dataclass(frozen=True, slots=True)
class Planned:
    """A check with everything filled in that the source decides.

    ``skip``: why it does not run, or ``None``. ``plants``: content by path of the red control.
    ``floor``: of coverage, in percent. ``limit``: seconds. ``environment``: needs the source's.
    """

    check: Check
    commands: Commands = ()
    red: Commands = ()
    plants: tuple[tuple[str, str], ...] = ()
    reads: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    limit: float = 1800.0
    judge: Judge = judge_command
    control: Judge | None = None
    floor: float | None = None
    custom: bool = False
    environment: bool = False
    skip: str | None = None

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.name


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that a run will do. ``hooked``: tool versions that only pre-commit pins."""

    checks: tuple[Planned, ...]
    install: InstallPlan
    hooked: tuple[tuple[str, str], ...]
    python: str
    config: Config


def make_plan(
    facts: Facts, config: Config, only: Collection[str] = (), *, insist: bool = False
) -> Plan:
    """Decide which checks run, and how.

    Args:
        facts: What the source's files say.
        config: The source's settings.
        only: Names of the checks to run; all that apply, where it is empty.
        insist: Whether a check that ``only`` names runs on a source that does not ask for it too.

    Raises:
        UsageError: ``only`` names a check that does not exist.
        ConfigError: The source's settings don't fit the source.
    """
    for name in only:
        if name not in BY_NAME:
            message = f"There is no check named {name!r}; there are: {', '.join(BY_NAME)}."
            raise UsageError(message)
    coverage = measures_coverage(facts, config.test)
    planned = tuple(
        _plan_check(check, facts, config, coverage=coverage, asked=insist and check.name in only)
        for check in CHECKS
        if not only or check.name in only
    )
    hooked = tuple(
        (tool, version)
        for tool, repository in HOOKS.items()
        if tool not in facts.requirements and (version := facts.hook_version(repository))
    )
    install = plan_install(facts, config.install, coverage=coverage)
    return Plan(planned, install, hooked, python_version(facts, config), config)


def python_version(facts: Facts, config: Config) -> str:
    """Return the Python of the containers: of the settings, ``.python-version``, or ours."""
    if config.python:
        return config.python
    match = re.match(r"\s*(3\.\d+(\.\d+)?)\s*$", facts.text(".python-version"))
    return match[1] if match else DEFAULT_PYTHON


def missing_evidence(evidence: Evidence, facts: Facts) -> bool:
    """Tell whether nothing in the source shows that it wants a check."""
    return not (
        any(facts.table(table) is not None for table in evidence.tables)
        or facts.has(*evidence.files)
        or any(section in facts.ini(name) for name, section in evidence.sections)
        or any(name in facts.asked_for for name in evidence.requires)
        or (evidence.called and re.search(evidence.called, facts.scripts))
    )


def _skip_reason(check: Check, facts: Facts, config: Config, *, asked: bool) -> str | None:
    if config.checks is not None:
        return None if check.name in config.checks else "not among `checks` of the configuration"
    if check.name == "workflows" and not facts.workflows:
        return "the source has no GitHub workflows"
    if check.name in {"lint", "format", "types"} and not facts.python_files:
        return "the source has no Python files"
    if not asked and check.evidence and missing_evidence(check.evidence, facts):
        tools = " nor ".join(tool.removesuffix("-kjanat") for tool in check.tools)
        tests = " (there are test files)" if check.name == "test" and facts.test_files else ""
        nested = {str(PurePosixPath(name).parent) for name in facts.files if _NESTED.search(name)}
        aside = f"; --source {min(nested)} looks at what has settings of its own" if nested else ""
        return (
            f"the source neither configures nor pins {tools}{tests}; name it in `checks` to run it"
            f"{aside}"
        )
    return None


def _plan_check(
    check: Check, facts: Facts, config: Config, *, coverage: bool, asked: bool
) -> Planned:
    skip = _skip_reason(check, facts, config, asked=asked)
    if skip:
        return Planned(check, skip=skip)
    settings = config.check(check.name)
    commands, red, custom = _commands(check, facts, config, coverage=coverage)
    controlled = config.red_controls and settings.red_control
    planted = dict(check.plant(facts)) if controlled else {}
    paths = tuple(planted)
    return Planned(
        check,
        commands=commands,
        red=_expand(red, "{planted}", paths) if controlled else (),
        plants=tuple(planted.items()),
        reads=tuple(settings.reads or check.reads),
        ignores=tuple(settings.ignores),
        env=tuple({**_own_env(check, facts), **settings.env}.items()),
        limit=settings.timeout,
        judge=judge_command if custom else check.judge,
        control=None if custom else check.control,
        floor=settings.coverage_floor if isinstance(settings, TestSettings) else None,
        custom=custom,
        environment=check.environment or custom or bool(facts.requirements & set(check.tools)),
    )


def _own_env(check: Check, facts: Facts) -> dict[str, str]:
    """Let mypy find packages in the tree that it runs in, not through an editable installation."""
    sources = {str(PurePosixPath(name).parent) for name in facts.packages} - {"."}
    return {"MYPYPATH": ":".join(sorted(sources))} if check.name == "types" and sources else {}


def _commands(
    check: Check, facts: Facts, config: Config, *, coverage: bool
) -> tuple[Commands, Commands, bool]:
    settings = config.check(check.name)
    if isinstance(settings, LeakSettings):
        controlled = config.red_controls and settings.red_control
        commands = gitleaks.commands(settings, facts, controlled=controlled)
        return commands, gitleaks.red_commands(settings, facts), False
    if settings.command is not None:
        return _override(check, settings.command, facts, coverage=coverage)
    if check.name == "types":
        targets = type_targets(facts)
        seen = not targets or any(_is_below(path, targets) for path in check.plant(facts))
        red = targets if seen and not unseen_by_mypy(facts) else (*targets, "{planted}")
        commands = _expand(check.commands, "{targets}", targets)
        return commands, _expand(check.commands, "{targets}", red), False
    if check.name == "workflows":
        commands = _wanted_workflow_tools(check, facts, config)
        return commands, commands, False
    if check.name == "test" and coverage:
        return covered(check.commands[0], facts), check.red or (), False
    return check.commands, check.red or check.commands, False


def _override(
    check: Check, command: Sequence[str] | str, facts: Facts, *, coverage: bool
) -> tuple[Commands, Commands, bool]:
    """A command of the source's own; where it calls the check's tool, our reports are asked for."""
    argv = ("sh", "-c", command) if isinstance(command, str) else tuple(command)
    heads = _CALLS.get(check.name, ())
    head = next((head for head in heads if argv[: len(head)] == head), None)
    if head is None:
        return (argv,), (argv,), True
    options = tuple(word for word in check.commands[0] if word.startswith("--"))
    rest = tuple(_without(argv[len(head) :], options))
    ours = (*head, *options, *rest)
    if check.name != "test":
        return (ours,), (ours,), False
    red = (*head, *options, *_without_paths(rest, facts), "{planted}")
    if not coverage:
        return (ours,), (red,), False
    return covered((*_CALLS["test"][0], *options, *rest), facts), (red,), False


def _without(words: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    """Leave out options that we set too: most tools refuse one that is given twice."""
    takes_value = {option.partition("=")[0]: "=" in option for option in options}
    value = False
    for word in words:
        name, joined, _ = word.partition("=")
        if value:
            value = False
        elif name in takes_value:
            value = takes_value[name] and not joined
        else:
            yield word


def _without_paths(words: Sequence[str], facts: Facts) -> Iterator[str]:
    """Leave out what names files or folders to test: the control looks at its own file alone."""
    folders = {str(folder) for name in facts.files for folder in PurePosixPath(name).parents}
    for before, word in zip(("", *words), words, strict=False):
        path = str(PurePosixPath(word.partition("::")[0]))
        is_value = before in _WITH_VALUE or (before.startswith("--") and "=" not in before)
        if is_value or not (path in folders or facts.has(path)):
            yield word


def _expand(commands: Commands, placeholder: str, values: Sequence[str]) -> Commands:
    return tuple(
        tuple(value for part in command for value in (values if part == placeholder else (part,)))
        for command in commands
    )


def type_targets(facts: Facts) -> tuple[str, ...]:
    """Return what mypy is given: what its settings or the source's own calls name, or packages."""
    if {"files", "packages", "modules"} & set(tool_settings.mypy(facts).table):
        return ()
    return called_paths(facts, "mypy") or (*facts.packages, *facts.modules) or (".",)


def called_paths(facts: Facts, call: str) -> tuple[str, ...]:
    """Return the paths that the source's scripts and workflows give to a tool.

    A call through a variable or with anything that is no path of the source tells none.
    """
    folders = {str(folder) for name in facts.files for folder in PurePosixPath(name).parents}
    found: dict[str, None] = {}
    for match in re.finditer(
        rf"(?m)(?:^|[\s\"'}}/]){call}((?:[ \t]+[^\s;&|\"']+)+)", facts.scripts
    ):
        words = [word for word in match[1].split() if not word.startswith("-")]
        paths = [str(PurePosixPath(word)) for word in words]
        if all(path in folders or facts.has(path) for path in paths):
            found.update(dict.fromkeys(paths))
    return (".",) if "." in found else tuple(found)


def _is_below(path: str, targets: Sequence[str]) -> bool:
    return any(target == "." or PurePosixPath(path).is_relative_to(target) for target in targets)


def _wanted_workflow_tools(check: Check, facts: Facts, config: Config) -> Commands:
    if config.checks is not None:
        return check.commands
    wanted = []
    for tool, command in zip(("zizmor", "actionlint"), check.commands, strict=True):
        pinned = {tool, f"{tool}-py", f"{tool}-kjanat"} & facts.asked_for
        configured = facts.has(
            *(f"{folder}{tool}.{end}" for folder in ("", ".github/") for end in ("yml", "yaml"))
        )
        if pinned or configured or re.search(rf"\b{tool}\b", facts.scripts):
            wanted.append(command)
    return tuple(wanted)
