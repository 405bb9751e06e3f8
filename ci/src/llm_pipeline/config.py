"""The settings of a source: ``[tool.llm-pipeline]`` of its ``pyproject.toml``, or a file."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

import msgspec

from llm_pipeline.cd.settings import Delivery, undeliverable
from llm_pipeline.errors import ConfigError
from llm_pipeline.globs import matching

TABLE: Final = "tool.llm-pipeline"
CheckName = Literal["gitleaks", "lint", "format", "types", "workflows", "test"]
Manager = Literal["uv", "poetry", "pip", "none"]
Argv = Annotated[list[str], msgspec.Meta(min_length=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Glob = Annotated[str, msgspec.Meta(min_length=1)]
# No patterns: at exit, Python can crash in msgspec's clean-up of them (msgspec#717).
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VERSION: Final = re.compile(r"3\.\d{1,2}(\.\d{1,2})?")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A table in which an unknown key is an error."""


class Images(_Table, frozen=True):
    """Container images, for those who pull through a mirror or pin a digest.

    ``python`` may hold ``{version}``, which the source's Python version replaces. ``packages``: of
    the image's system, Debian or Alpine, that the environment and the source's own commands need,
    such as ``git``.
    """

    python: str = "docker.io/library/python:{version}-slim"
    gitleaks: str = "ghcr.io/gitleaks/gitleaks:v8.30.1"
    packages: list[Annotated[str, msgspec.Meta(min_length=1)]] = []


class Install(_Table, frozen=True):
    """How the environment of ``types`` and ``test`` is made.

    ``manager``: told by the lock files where it is not given. ``requirements``: files for pip.
    ``extras`` and ``groups``: of the project, where the default choice does not fit.
    ``commands``: in place of all that. ``env``: fixed variables for the installation.
    ``inputs``: further globs whose change makes a new environment. ``projects``: folders that are
    installed as editable, for pip. ``no-deps``: the requirements files hold everything, and pip
    looks no further. ``project``: globs of the files that suffice to install the project itself; in
    containers nothing else is in its layer's key.
    """

    manager: Manager | None = None
    requirements: list[str] | None = None
    no_deps: bool = False
    extras: list[str] | None = None
    groups: list[str] | None = None
    commands: list[Argv] | None = None
    env: dict[str, str] = {}
    inputs: list[Glob] = []
    projects: list[str] | None = None
    project: list[Glob] | None = None


class _Check(_Table, frozen=True):
    """Settings that all checks have.

    ``reads``: globs of what the check sees; ``ignores``: globs taken away from that. ``timeout`` in
    seconds. ``env``: fixed variables.
    """

    reads: list[Glob] | None = None
    ignores: list[Glob] = []
    timeout: Seconds = 1800.0
    red_control: bool = True
    env: dict[str, str] = {}


class CheckSettings(_Check, frozen=True):
    """Settings of one check; ``command``: arguments, or a text for ``sh -c``."""

    command: Argv | str | None = None


class TestSettings(CheckSettings, frozen=True):
    """Settings of ``test``; ``coverage-floor`` in percent, ``coverage`` to measure or not."""

    __test__ = False
    coverage: bool | None = None
    coverage_floor: Percent | None = None


class LeakSettings(_Check, frozen=True):
    """Settings of ``gitleaks``, whose command can't be another.

    ``rules``: a gitleaks configuration in the source, in place of ours; ``baseline``: a report of
    known findings; ``range``: a revision range for ``git log``, in place of all history.
    """

    rules: str | None = None
    baseline: str | None = None
    range: str | None = None


class Job(_Table, frozen=True):
    """A named job of the source, for example ``ct``: a command in the source's environment.

    ``env``: fixed variables; ``secrets``: names of variables handed on, masked in the output.
    """

    command: Argv | str
    timeout: Seconds = 14_400.0
    env: dict[str, str] = {}
    secrets: list[str] = []


class Config(_Table, frozen=True):
    """All settings; the defaults fit a source that has never heard of this pipeline."""

    checks: Annotated[list[CheckName], msgspec.Meta(min_length=1)] | None = None
    python: str | None = None
    keep_going: bool = False
    red_controls: bool = True
    env: list[str] = []
    images: Images = Images()
    install: Install = Install()
    gitleaks: LeakSettings = LeakSettings()
    lint: CheckSettings = CheckSettings()
    format: CheckSettings = CheckSettings()
    types: CheckSettings = CheckSettings()
    workflows: CheckSettings = CheckSettings()
    test: TestSettings = TestSettings()
    jobs: dict[str, Job] = {}
    cd: Delivery = Delivery()

    def check(self, name: str) -> CheckSettings | LeakSettings:
        """Return the settings of a check by its name."""
        settings: CheckSettings | LeakSettings = getattr(self, name)
        return settings


def adjusted(config: Config, *, keep_going: bool, red_controls: bool) -> Config:
    """Return the settings as a caller adjusts them: to keep going, or to have no controls."""
    return msgspec.structs.replace(
        config,
        keep_going=config.keep_going or keep_going,
        red_controls=config.red_controls and red_controls,
    )


def from_tables(tables: object, where: str) -> Config:
    """Return the settings in a table; ``where`` names it in messages.

    Raises:
        ConfigError: A key or a value is wrong; the message names it and what is allowed.
    """
    try:
        config = msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        from llm_pipeline.complaints import explain

        raise ConfigError(f"{where}: {explain(str(error), tables, Config)}") from None
    for key, problem in _problems(config):
        raise ConfigError(f"{where}: `{key}`{problem}")
    return config


def _problems(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the keys whose values are wrong although their types are right, and why."""
    if config.python is not None and not _VERSION.fullmatch(config.python):
        wanted = 'a version in quotes, such as "3.13" or "3.13.1"'
        yield "python", f": should be {wanted}, not {config.python!r}."
    install = config.install
    yield from _unnamed("env", config.env)
    yield from _unnamed("install.env", install.env)
    for number, words in enumerate(install.commands or ()):
        yield from _unspeakable(f"install.commands[{number}]", words)
    yield from _unmatchable("install.inputs", install.inputs)
    yield from _unmatchable("install.project", install.project or ())
    for name in get_args(CheckName):
        settings = config.check(name)
        yield from _unnamed(f"{name}.env", settings.env)
        yield from _unmatchable(f"{name}.reads", settings.reads or ())
        yield from _unmatchable(f"{name}.ignores", settings.ignores)
        if isinstance(settings, CheckSettings) and settings.command is not None:
            yield from _unspeakable(f"{name}.command", settings.command)
    for name, job in config.jobs.items():
        yield from _unnamed(f"jobs.{name}.env", job.env)
        yield from _unnamed(f"jobs.{name}.secrets", job.secrets)
        yield from _unspeakable(f"jobs.{name}.command", job.command)
    for key, problem in undeliverable(config.cd):
        yield f"cd.{key}", problem
    if config.test.coverage is False and config.test.coverage_floor is not None:
        yield (
            "test.coverage-floor",
            " needs a measured coverage: remove the floor, or `test.coverage = false`.",
        )


def _unnamed(key: str, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        if not _VARIABLE.fullmatch(name):
            wanted = "the name of a variable: letters, digits and _"
            yield key, f": should be {wanted}, not {name!r}."
    if isinstance(names, Mapping):
        for name, value in names.items():
            if "\0" in value:
                yield f"{key}.{name}", ": should be text without NUL."


def _unspeakable(key: str, command: list[str] | str) -> Iterator[tuple[str, str]]:
    words = [command] if isinstance(command, str) else command
    if "\0" in "".join(words):
        yield key, ": should be text without NUL."
    if not words[0].strip():
        yield key, f": should be a command, not {command!r}."


def _unmatchable(key: str, globs: Iterable[str]) -> Iterator[tuple[str, str]]:
    try:
        matching((), tuple(globs))
    except ConfigError as error:
        yield key, f": {error}"


def from_pyproject(pyproject: Mapping[str, Any], name: str = "pyproject.toml") -> Config:
    """Return the settings that a source's ``pyproject.toml`` holds, or the defaults.

    Raises:
        ConfigError: A key or a value is wrong.
    """
    tool = pyproject.get("tool", {})
    table = tool.get("llm-pipeline", {}) if isinstance(tool, Mapping) else {}
    return from_tables(table, f"[{TABLE}] of {name}")


def from_text(text: str, name: str) -> Config:
    """Return the settings in a TOML text: at its top, or under ``[tool.llm-pipeline]``.

    Raises:
        ConfigError: The text is no TOML, or a key or value is wrong.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{name} is not valid TOML: {error}. Correct it and run again."
        raise ConfigError(message) from None
    tool = tables.get("tool")
    if tool is None:
        return from_tables(tables, name)
    if not isinstance(tool, Mapping) or "llm-pipeline" not in tool:
        raise ConfigError(f"{name} holds no [{TABLE}]; add it, or write its keys at the top.")
    beside = sorted(set(tables) & set(Config.__struct_encode_fields__))
    if beside:
        shown = ", ".join(f"`{key}`" for key in beside)
        raise ConfigError(f"{name}: {shown} stands outside of its [{TABLE}]; move it there.")
    return from_pyproject(tables, name)


def from_file(path: Path) -> Config:
    """Return the settings in a TOML file.

    Raises:
        ConfigError: The file can't be read, is no TOML, or a key or value is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = f"The configuration {path} can't be read: {error.strerror}."
        raise ConfigError(message) from None
    except UnicodeDecodeError:
        raise ConfigError(f"The configuration {path} is no UTF-8 text.") from None
    return from_text(text, str(path))
