"""How a source's own environment is made: by its own manager, told by its files.

The plan is data, as the checks are: the host runs it into a virtual environment in its cache, the
containers run it as layers. In an argument ``{env}`` is the environment's folder and ``{data}``
the folder of this package's data.
"""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from posixpath import normpath
from typing import Final

from llm_pipeline.config import Install
from llm_pipeline.errors import ConfigError
from llm_pipeline.facts import Facts

Commands = tuple[tuple[str, ...], ...]

MANIFESTS: Final = (
    "**/pyproject.toml",
    "**/setup.py",
    "**/setup.cfg",
    "**/*.lock",
    "**/*requirements*.txt",
    "**/requirements/**",
    "**/constraints*.txt",
    ".python-version",
)
"""Globs of the files that decide what an environment holds."""

_TOOLS: Final = frozenset({"pytest", "pytest-cov", "coverage", "mypy", "ruff"})
_CHOSEN: Final = re.compile(r"dev|tests?|testing|lint|typing|types|mypy|cov|coverage|checks?|ci")
_ASIDE: Final = re.compile(
    r"(^|[-_.])(docs?|bench\w*|random|pyright|ty|pyrefly|release|watch|auto)($|[-_.])"
)
_LOCAL: Final = re.compile(r"(?m)^\s*(\.{1,2}(/|\[|\s|$)|-e[\s.]|--editable)")
_INCLUDED: Final = re.compile(r"(?m)^\s*(?:-[rc]\s*|--(?:requirement|constraint)[ =])(\S+)")
_UNREACHED: Final = re.compile(
    r"Retry\(total=0,|dns error|error sending request|[Ff]ailed to connect|All attempts to connect"
)
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
    manager = settings.manager or _detect(facts)
    _check(facts, settings, manager)
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
        key=(*settings.inputs, *map(_literal, _reached(facts, settings))),
    )


def explain(log: str, lines: int) -> str:
    """Return what a failed installation came to: that no index answered, or its last lines.

    Args:
        log: What the command printed.
        lines: How many lines to take.
    """
    if _UNREACHED.search(log):
        return (
            "no package index could be reached; check the network, the proxy and the certificates, "
            "or name a mirror as pip and uv know it"
        )
    said = [line.strip() for line in log.splitlines() if line.strip()]
    return " / ".join(said[-lines:])


def _detect(facts: Facts) -> str:
    if facts.has("uv.lock"):
        return "uv"
    return "poetry" if facts.has("poetry.lock") else "pip"


def _check(facts: Facts, settings: Install, manager: str) -> None:
    for name in settings.requirements or ():
        if not facts.has(name):
            raise ConfigError(
                f"`install.requirements` names {name}, which the source does not hold."
            )
    for folder in settings.projects or ():
        path = PurePosixPath(folder)
        if not facts.has(str(path / "pyproject.toml"), str(path / "setup.py")):
            message = (
                f"`install.projects` names {folder}, which holds no pyproject.toml or setup.py."
            )
            raise ConfigError(message)
    if manager == "poetry":  # it has groups of its own
        return
    for key, wanted, there in (
        ("extras", settings.extras, facts.extras),
        ("groups", settings.groups, facts.groups),
    ):
        for name in wanted or ():
            if name not in there:
                allowed = ", ".join(sorted(there)) or "none"
                raise ConfigError(f"`install.{key}` names {name}; the source has: {allowed}.")


def chosen(candidates: dict[str, frozenset[str]]) -> tuple[str, ...]:
    """Return the groups or extras that serve checks: by their name, or by a tool that they hold."""
    return tuple(
        name
        for name, holds in candidates.items()
        if not _ASIDE.search(name) and (_CHOSEN.fullmatch(name) or holds & _TOOLS)
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
        own = facts.table("tool.poetry.group") or {}
        groups = [
            *(
                name
                for name in own
                if not (facts.table(f"tool.poetry.group.{name}") or {}).get("optional")
            ),
            *(["dev"] if "dev-dependencies" in poetry else []),
            *(name for name in chosen(facts.groups) if name not in own),
        ]
    locked = "{env}/requirements.txt"
    export: tuple[str, ...] = ("poetry", "export", "--no-interaction", "--no-ansi")
    export += ("--format=requirements.txt", f"--output={locked}")
    export += tuple(part for name in groups for part in ("--with", name))
    export += tuple(part for name in settings.extras or () for part in ("--extras", name))
    root = poetry.get("package-mode", True)
    project: Commands = ((*_PIP, "--no-deps", "-e", "."),) if root else ()
    return (export, (*_PIP, "-r", locked)), project


def _pip(facts: Facts, settings: Install) -> tuple[Commands, Commands]:
    files = _listed(facts, settings)
    reached = [facts.text(name) for name in _reached(facts, settings)]
    local = any(_LOCAL.search(text) for text in reached)
    hashed = any("--hash=" in text for text in reached)
    listed = tuple(part for name in files for part in ("-r", name))
    if settings.no_deps:
        listed = ("--no-deps", *listed)
    dependencies: Commands = ((*_PIP, *listed),) if files and not local else ()
    project: Commands = ((*_PIP, *listed),) if local else ()
    if local:
        return dependencies, project
    extras, groups = _picked(facts, settings)
    grouped = tuple(part for name in groups for part in ("--group", name))
    if hashed:
        if settings.groups or settings.extras:
            raise ConfigError(
                "`install.groups` and `install.extras` say nothing beside requirements with "
                "hashes: lock what is wanted, or leave them out."
            )
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
    return bool(facts.build_requirements) and facts.build_requirements <= facts.requirements


def _path(folder: str) -> str:
    return folder if folder.startswith(".") else f"./{folder}"


def _listed(facts: Facts, settings: Install) -> list[str]:
    if settings.requirements is not None:
        return settings.requirements
    files = [name for name in _REQUIREMENTS if facts.has(name)]
    return files[:1] if files[:1] == ["requirements.lock"] else files


def _reached(facts: Facts, settings: Install) -> list[str]:
    """Return the requirement files, and the files that they include or are constrained by."""
    found = list(_listed(facts, settings))
    for name in found:
        for other in _INCLUDED.findall(facts.text(name)):
            path = normpath(PurePosixPath(name).parent / other)
            if path not in found and facts.has(path):
                found.append(path)
    return found


def _literal(name: str) -> str:
    return re.sub(r"([\\*?\[!])", r"\\\1", name)


def _installable(facts: Facts) -> bool:
    if facts.has("setup.py"):
        return True
    return "build-system" in facts.pyproject or "name" in (facts.table("project") or {})


_MANAGERS: Final = {"uv": _uv, "poetry": _poetry, "pip": _pip}
