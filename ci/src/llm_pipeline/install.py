"""How a source's own environment is made: by its own manager, told by its files.

The plan is data, as the checks are: the host runs it into a virtual environment in its cache, the
containers run it as layers. In an argument ``{env}`` is the environment's folder and ``{data}``
the folder of this package's data.
"""

import re
from dataclasses import dataclass, field
from typing import Final

from llm_pipeline.config import Install
from llm_pipeline.errors import ConfigError
from llm_pipeline.facts import Facts, requirement_name

Commands = tuple[tuple[str, ...], ...]

MANIFESTS: Final = (
    "**/pyproject.toml",
    "**/setup.py",
    "**/setup.cfg",
    "**/*.lock",
    "**/requirements*.txt",
    "**/requirements/**",
    "**/constraints*.txt",
    ".python-version",
)
"""Globs of the files that decide what an environment holds."""

_TOOLS: Final = frozenset({"pytest", "pytest-cov", "coverage", "mypy", "ruff"})
_CHOSEN: Final = re.compile(r"dev|tests?|testing|lint|typing|types|mypy|cov|coverage|checks?|ci")
_ASIDE: Final = re.compile(r"docs?|bench|random|pyright|ty$|pyrefly|release|watch|auto")
_PIP: Final = (
    *("pip", "--python", "{env}/bin/python"),
    *("install", "--no-input", "--progress-bar=off"),
)
_REQUIREMENTS: Final = (
    "requirements.lock",
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-test.txt",
    "requirements-tests.txt",
    "dev-requirements.txt",
    "test-requirements.txt",
    "requirements/dev.txt",
    "requirements/test.txt",
    "requirements/tests.txt",
)


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """Commands that fill an environment.

    ``dependencies`` need only the files of ``MANIFESTS``; ``project`` needs those of ``inputs``
    (globs; all files by default). ``env``: fixed variables. ``key``: further globs that count.
    """

    manager: str
    dependencies: Commands = ()
    project: Commands = ()
    env: dict[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ("**",)
    key: tuple[str, ...] = ()


def plan_install(facts: Facts, settings: Install, *, coverage: bool) -> InstallPlan:
    """Return how to make the environment of a source.

    Args:
        facts: What the source's files say.
        settings: Its ``install`` table.
        coverage: Whether coverage will be measured, so that the tool for it must be there.

    Raises:
        ConfigError: The settings name a file, an extra or a group that the source lacks.
    """
    _check(facts, settings)
    manager = settings.manager or _detect(facts)
    dependencies: Commands = ()
    project: Commands = ()
    if settings.commands is not None:
        manager, project = "custom", tuple(map(tuple, settings.commands))
    elif manager != "none":
        dependencies, project = _MANAGERS[manager](facts, settings)
        tools = ("pytest", "coverage") if coverage else ("pytest",)
        project = (*project, ("sh", "{data}/ensure.sh", "{env}", *tools))
    return InstallPlan(
        manager,
        dependencies,
        project,
        # hatch-vcs and setuptools-scm ask git for a version, and a copy without .git has none.
        env={"SETUPTOOLS_SCM_PRETEND_VERSION": "0.0.0", **settings.env},
        inputs=tuple(settings.project or ("**",)),
        key=tuple(settings.inputs),
    )


def _detect(facts: Facts) -> str:
    if facts.has("uv.lock"):
        return "uv"
    return "poetry" if facts.has("poetry.lock") else "pip"


def _check(facts: Facts, settings: Install) -> None:
    for name in settings.requirements or ():
        if not facts.has(name):
            message = f"install.requirements names {name}, which the source does not hold."
            raise ConfigError(message)
    for key, wanted, there in (
        ("extras", settings.extras, facts.extras),
        ("groups", settings.groups, facts.groups),
    ):
        for name in wanted or ():
            if name not in there and settings.manager != "poetry":
                allowed = ", ".join(sorted(there)) or "none"
                message = f"install.{key} names {name}; pyproject.toml has: {allowed}."
                raise ConfigError(message)


def chosen(candidates: dict[str, frozenset[str]]) -> tuple[str, ...]:
    """Return the groups or extras that serve checks: by their name, or by a tool that they hold."""
    return tuple(
        name
        for name, holds in candidates.items()
        if not _ASIDE.match(name) and (_CHOSEN.fullmatch(name) or holds & _TOOLS)
    )


def _picked(facts: Facts, settings: Install) -> tuple[tuple[str, ...], tuple[str, ...]]:
    extras = chosen(facts.extras) if settings.extras is None else tuple(settings.extras)
    groups = chosen(facts.groups) if settings.groups is None else tuple(settings.groups)
    return extras, groups


def _uv(facts: Facts, settings: Install) -> tuple[Commands, Commands]:
    extras, groups = _picked(facts, settings)
    sync: tuple[str, ...] = ("uv", "sync", "--frozen", "--no-progress")
    sync += tuple(part for name in extras for part in ("--extra", name))
    sync += tuple(part for name in groups for part in ("--group", name))
    without = ("--no-install-project", "--no-install-workspace", "--no-install-local")
    return ((*sync, *without),), (sync,)


def _poetry(facts: Facts, settings: Install) -> tuple[Commands, Commands]:
    """Poetry says what its lock holds, pip fetches it: so an index that only pip knows serves."""
    poetry = facts.table("tool.poetry") or {}
    groups = settings.groups
    if groups is None:
        groups = [
            name
            for name, group in poetry.get("group", {}).items()
            if not group.get("optional", False)
        ]
        groups += ["dev"] if "dev-dependencies" in poetry else []
    locked = "{env}/requirements.txt"
    export: tuple[str, ...] = ("poetry", "export", "--no-interaction", "--no-ansi")
    export += ("--format=requirements.txt", f"--output={locked}")
    export += tuple(part for name in groups for part in ("--with", name))
    export += tuple(part for name in settings.extras or () for part in ("--extras", name))
    root = poetry.get("package-mode", True)
    project: Commands = ((*_PIP, "--no-deps", "-e", "."),) if root else ()
    return (export, (*_PIP, "-r", locked)), project


def _pip(facts: Facts, settings: Install) -> tuple[Commands, Commands]:
    files = settings.requirements
    if files is None:
        files = [name for name in _REQUIREMENTS if facts.has(name)]
        files = files[:1] if files[:1] == ["requirements.lock"] else files
    local = [name for name in files if _names_local(facts.text(name))]
    hashed = any("--hash=" in facts.text(name) for name in files)
    listed = tuple(part for name in files for part in ("-r", name))
    dependencies: Commands = ((*_PIP, *listed),) if files and not local else ()
    project: Commands = ((*_PIP, *listed),) if local else ()
    if local:
        return dependencies, project
    extras, groups = _picked(facts, settings)
    grouped = tuple(part for name in groups for part in ("--group", name))
    if hashed:
        folders = settings.projects
        if folders is None:
            folders = ["."] if _installable(facts) else []
        editable = tuple(part for folder in folders for part in ("-e", _path(folder)))
        options = ("--no-deps", *(("--no-build-isolation",) if _locks_backend(facts) else ()))
        return dependencies, ((*_PIP, *options, *editable),) if editable else ()
    suffix = f"[{','.join(extras)}]" if extras else ""
    folders = settings.projects if settings.projects is not None else ["."]
    editable = tuple(
        part
        for folder in folders
        if folder != "." or _installable(facts)
        for part in ("-e", _path(folder) + (suffix if folder == "." else ""))
    )
    return dependencies, ((*_PIP, *editable, *grouped),) if editable or grouped else ()


def _locks_backend(facts: Facts) -> bool:
    """Tell whether what builds the project is locked too: then nothing unlocked is fetched."""
    requires = (facts.table("build-system") or {}).get("requires", [])
    return bool(requires) and {requirement_name(line) for line in requires} <= facts.requirements


def _path(folder: str) -> str:
    return folder if folder.startswith(".") else f"./{folder}"


def _names_local(text: str) -> bool:
    local = r"(?m)^\s*(-e\s+|--editable[ =])?\.{1,2}(/|\[|\s|$)|^\s*-e\s"
    return re.search(local, text) is not None


def _installable(facts: Facts) -> bool:
    if facts.has("setup.py"):
        return True
    return "build-system" in facts.pyproject or "name" in (facts.table("project") or {})


_MANAGERS: Final = {"uv": _uv, "poetry": _poetry, "pip": _pip}
