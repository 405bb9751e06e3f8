"""From a source's facts and settings to what will run: the same for both executors."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from llm_pipeline import gitleaks
from llm_pipeline.checks import BY_NAME, CHECKS, Check, Evidence
from llm_pipeline.config import CheckSettings, Config, LeakSettings, TestSettings
from llm_pipeline.defects import unseen_by_mypy
from llm_pipeline.errors import UsageError
from llm_pipeline.facts import Facts
from llm_pipeline.install import InstallPlan, plan_install
from llm_pipeline.judges import command as judge_command
from llm_pipeline.outcome import Judge

DEFAULT_PYTHON: Final = "3.13"
HOOKS: Final = {
    "ruff": "astral-sh/ruff-pre-commit",
    "mypy": "pre-commit/mirrors-mypy",
    "zizmor": "zizmorcore/zizmor-pre-commit",
}
"""Repositories of pre-commit hooks whose revision pins a tool's version."""

Commands = tuple[tuple[str, ...], ...]


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


def make_plan(facts: Facts, config: Config, only: Collection[str] = ()) -> Plan:
    """Decide which checks run, and how.

    Args:
        facts: What the source's files say.
        config: The source's settings.
        only: Names of the checks to run; all that apply, where it is empty.

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
        _plan_check(check, facts, config, coverage=coverage)
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


def measures_coverage(facts: Facts, settings: TestSettings) -> bool:
    """Tell whether ``test`` measures coverage: as set, else where the source configures it."""
    if settings.coverage is not None:
        return settings.coverage
    return (
        settings.coverage_floor is not None
        or facts.has(".coveragerc")
        or facts.table("tool.coverage") is not None
        or any("coverage:run" in facts.ini(name) for name in ("setup.cfg", "tox.ini"))
        or "--cov" in _addopts(facts)
    )


def missing_evidence(evidence: Evidence, facts: Facts) -> bool:
    """Tell whether nothing in the source shows that it wants a check."""
    return not (
        any(facts.table(table) is not None for table in evidence.tables)
        or facts.has(*evidence.files)
        or any(section in facts.ini(name) for name, section in evidence.sections)
        or any(name in facts.requirements for name in evidence.requires)
        or (evidence.called and re.search(evidence.called, facts.scripts))
    )


def _skip_reason(check: Check, facts: Facts, config: Config) -> str | None:
    if config.checks is not None:
        return None if check.name in config.checks else "not among `checks` of the configuration"
    if check.name == "workflows" and not facts.workflows:
        return "the source has no GitHub workflows"
    if check.name in {"lint", "format", "types"} and not facts.python_files:
        return "the source has no Python files"
    if check.evidence and missing_evidence(check.evidence, facts):
        tools = " nor ".join(tool.removesuffix("-kjanat") for tool in check.tools)
        tests = " (there are test files)" if check.name == "test" and facts.test_files else ""
        return (
            f"the source neither configures nor pins {tools}{tests}; name it in `checks` to run it"
        )
    return None


def _plan_check(check: Check, facts: Facts, config: Config, *, coverage: bool) -> Planned:
    skip = _skip_reason(check, facts, config)
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
        env=tuple(settings.env.items()),
        limit=settings.timeout,
        judge=judge_command if custom else check.judge,
        floor=settings.coverage_floor if isinstance(settings, TestSettings) else None,
        custom=custom,
        environment=check.environment or custom or bool(facts.requirements & set(check.tools)),
    )


def _commands(
    check: Check, facts: Facts, config: Config, *, coverage: bool
) -> tuple[Commands, Commands, bool]:
    settings = config.check(check.name)
    if isinstance(settings, LeakSettings):
        return gitleaks.commands(settings, facts), gitleaks.red_commands(settings, facts), False
    if settings.command is not None:
        return _override(check, settings)
    if check.name == "types":
        targets = type_targets(facts)
        red = (*targets, "{planted}") if unseen_by_mypy(facts) else targets
        commands = _expand(check.commands, "{targets}", targets)
        return commands, _expand(check.commands, "{targets}", red), False
    if check.name == "workflows":
        commands = _wanted_workflow_tools(check, facts, config)
        return commands, commands, False
    if check.name == "test" and coverage:
        return _covered(check.commands[0], facts), check.red or (), False
    return check.commands, check.red or check.commands, False


def _override(check: Check, settings: CheckSettings) -> tuple[Commands, Commands, bool]:
    """A command of the source's own; where it calls the check's tool, our reports are asked for."""
    if isinstance(settings.command, str):
        return (("sh", "-c", settings.command),), (("sh", "-c", settings.command),), True
    argv = tuple(settings.command or ())
    report = {
        ("ruff", "check"): ("--no-fix", "--output-format=sarif", "--output-file={out}/ruff.sarif"),
        ("ruff", "format"): ("--diff",),
        ("pytest",): ("--junitxml={out}/junit.xml",),
        ("python", "-m", "pytest"): ("--junitxml={out}/junit.xml",),
        ("mypy",): (
            *("--no-pretty", "--show-column-numbers", "--show-error-codes"),
            "--no-color-output",
        ),
    }
    for head, options in report.items():
        if argv[: len(head)] == head:
            ours = (*head, *options, *argv[len(head) :])
            red = (*ours, "{planted}") if check.name == "test" else ours
            return (ours,), (red,), False
    return (argv,), (argv,), True


def _expand(commands: Commands, placeholder: str, values: Sequence[str]) -> Commands:
    return tuple(
        tuple(value for part in command for value in (values if part == placeholder else (part,)))
        for command in commands
    )


def type_targets(facts: Facts) -> tuple[str, ...]:
    """Return what mypy is given: nothing where its settings name it, else the packages."""
    tables = [facts.table("tool.mypy") or {}]
    tables += [facts.ini(name).get("mypy", {}) for name in ("mypy.ini", ".mypy.ini", "setup.cfg")]
    if any({"files", "packages", "modules"} & set(table) for table in tables):
        return ()
    return (*facts.packages, *facts.modules) or (".",)


def _wanted_workflow_tools(check: Check, facts: Facts, config: Config) -> Commands:
    if config.checks is not None:
        return check.commands
    wanted = []
    for tool, command in zip(("zizmor", "actionlint"), check.commands, strict=True):
        pinned = {tool, f"{tool}-py", f"{tool}-kjanat"} & facts.requirements
        configured = facts.has(*(f".github/{tool}.{end}" for end in ("yml", "yaml")))
        if pinned or configured or re.search(rf"\b{tool}\b", facts.scripts):
            wanted.append(command)
    return tuple(wanted)


def _addopts(facts: Facts) -> str:
    ini = facts.table("tool.pytest.ini_options") or facts.table("tool.pytest") or {}
    found = ini.get("addopts", "")
    text = shlex.join(found) if isinstance(found, list) else str(found)
    places = (("pytest.ini", "pytest"), ("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))
    for name, section in places:
        text += " " + facts.ini(name).get(section, {}).get("addopts", "")
    return text


def _coverage_run(facts: Facts) -> Mapping[str, object]:
    found: dict[str, object] = dict(facts.table("tool.coverage.run") or {})
    found.update(facts.ini(".coveragerc").get("run", {}))
    for name in ("setup.cfg", "tox.ini"):
        found.update(facts.ini(name).get("coverage:run", {}))
    return found


def _covered(pytest: tuple[str, ...], facts: Facts) -> Commands:
    """Measure coverage with the source's plugin where it requires it, else with coverage itself."""
    if "pytest-cov" in facts.requirements or "--cov" in _addopts(facts):
        measure = () if "--cov" in _addopts(facts) else ("--cov",)
        return ((*pytest, *measure, "--cov-report=xml:{out}/coverage.xml"),)
    run = _coverage_run(facts)
    scope = () if {"source", "source_pkgs", "include"} & set(run) else ("--source=.",)
    parallel = str(run.get("parallel", "")).lower() == "true"
    combine: Commands = (("python", "-m", "coverage", "combine", "--quiet"),) if parallel else ()
    return (
        ("python", "-m", "coverage", "run", *scope, *pytest[1:]),
        *combine,
        ("python", "-m", "coverage", "xml", "--quiet", "-o", "{out}/coverage.xml"),
    )


def without_controls(plan: Plan) -> Plan:
    """Return the plan with every red control switched off."""
    checks = tuple(replace(check, red=(), plants=()) for check in plan.checks)
    return replace(plan, checks=checks)
