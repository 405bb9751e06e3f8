"""The settings of a source: ``[tool.llm-pipeline]`` of its ``pyproject.toml``, or a file."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from llm_pipeline.errors import ConfigError

TABLE: Final = "tool.llm-pipeline"
CheckName = Literal["gitleaks", "lint", "format", "types", "workflows", "test"]
Manager = Literal["uv", "poetry", "pip", "none"]
Argv = Annotated[list[str], msgspec.Meta(min_length=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]
Version = Annotated[str, msgspec.Meta(pattern=r"^3\.\d{1,2}(\.\d{1,2})?$")]
Glob = Annotated[str, msgspec.Meta(min_length=1)]
Variable = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A table in which an unknown key is an error."""


class Images(_Table, frozen=True):
    """Container images, for those who pull through a mirror or pin a digest.

    ``python`` may hold ``{version}``, which the source's Python version replaces.
    """

    python: str = "docker.io/library/python:{version}-slim"
    gitleaks: str = "ghcr.io/gitleaks/gitleaks:v8.30.1"


class Install(_Table, frozen=True):
    """How the environment of ``types`` and ``test`` is made.

    ``manager``: told by the lock files where it is not given. ``requirements``: files for pip.
    ``extras`` and ``groups``: of the project, where the default choice does not fit.
    ``commands``: in place of all that. ``env``: fixed variables for the installation.
    ``inputs``: further globs whose change makes a new environment. ``projects``: folders that are
    installed as editable, for pip. ``project``: globs of the files that suffice to install the
    project itself; in containers nothing else is in its layer's key.
    """

    manager: Manager | None = None
    requirements: list[str] | None = None
    extras: list[str] | None = None
    groups: list[str] | None = None
    commands: list[Argv] | None = None
    env: dict[Variable, str] = {}
    inputs: list[Glob] = []
    projects: list[str] | None = None
    project: list[Glob] | None = None


class CheckSettings(_Table, frozen=True):
    """Settings of one check.

    ``command``: arguments, or a text for ``sh -c``. ``reads``: globs of what the check sees;
    ``ignores``: globs taken away from that. ``timeout`` in seconds. ``env``: fixed variables.
    """

    command: Argv | str | None = None
    reads: list[Glob] | None = None
    ignores: list[Glob] = []
    timeout: Seconds = 1800.0
    red_control: bool = True
    env: dict[Variable, str] = {}


class TestSettings(CheckSettings, frozen=True):
    """Settings of ``test``; ``coverage-floor`` in percent, ``coverage`` to measure or not."""

    __test__ = False
    coverage: bool | None = None
    coverage_floor: Percent | None = None


class LeakSettings(CheckSettings, frozen=True):
    """Settings of ``gitleaks``.

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
    env: dict[Variable, str] = {}
    secrets: list[Variable] = []


class Config(_Table, frozen=True):
    """All settings; the defaults fit a source that has never heard of this pipeline."""

    checks: list[CheckName] | None = None
    python: Version | None = None
    keep_going: bool = False
    red_controls: bool = True
    env: list[Variable] = []
    images: Images = Images()
    install: Install = Install()
    gitleaks: LeakSettings = LeakSettings()
    lint: CheckSettings = CheckSettings()
    format: CheckSettings = CheckSettings()
    types: CheckSettings = CheckSettings()
    workflows: CheckSettings = CheckSettings()
    test: TestSettings = TestSettings()
    jobs: dict[str, Job] = {}

    def check(self, name: str) -> CheckSettings:
        """Return the settings of a check by its name."""
        settings: CheckSettings = getattr(self, name)
        return settings


def from_tables(tables: Mapping[str, Any], where: str) -> Config:
    """Return the settings in a table; ``where`` names it in messages.

    Raises:
        ConfigError: A key or a value is wrong; the message names it and what is allowed.
    """
    try:
        return msgspec.convert(tables, Config)
    except msgspec.ValidationError as error:
        raise ConfigError(_explain(str(error), where)) from None


def from_pyproject(pyproject: Mapping[str, Any]) -> Config:
    """Return the settings that a source's ``pyproject.toml`` holds, or the defaults."""
    tool = pyproject.get("tool", {})
    table = tool.get("llm-pipeline", {}) if isinstance(tool, Mapping) else {}
    return from_tables(table, f"[{TABLE}] of pyproject.toml")


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
    return from_pyproject(tables) if "tool" in tables else from_tables(tables, name)


def from_file(path: Path) -> Config:
    """Return the settings in a TOML file.

    Raises:
        ConfigError: The file can't be read, is no TOML, or a key or value is wrong.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"The configuration {path} can't be read ({error}); give --config a TOML file."
        raise ConfigError(message) from None
    return from_text(text, str(path))


def _explain(problem: str, where: str) -> str:
    match = re.match(r"(?s)(?P<what>.*?)(?: - at `(?P<at>[^`]*)`)?$", problem)
    what, at = (match["what"], match["at"] or "$") if match else (problem, "$")
    keys = [part for part in re.split(r"[.\[\]]+", at.removeprefix("$")) if part]
    unknown = re.search(r"unknown field `([^`]*)`", what)
    struct = _struct_at(keys)
    if unknown and struct:
        allowed = sorted(struct.__struct_encode_fields__)
        close = difflib.get_close_matches(unknown[1], allowed, n=1)
        hint = f" Did you mean `{close[0]}`?" if close else ""
        key = ".".join([*keys, unknown[1]])
        return f"{where}: unknown key `{key}`.{hint} Allowed here: {', '.join(allowed)}."
    allowed_text = ""
    if "enum value" in what or "Invalid enum" in what:
        choices = _choices_at(keys)
        allowed_text = f" Allowed: {', '.join(choices)}." if choices else ""
    key = ".".join(key for key in keys if key != "...") or "the table"
    return f"{where}: `{key}`: {what}.{allowed_text}"


def _annotation_at(keys: list[str]) -> Any:  # noqa: ANN401 - an annotation can be any object
    from typing import get_type_hints

    kind: Any = Config
    for key in keys:
        if key == "...":
            arguments = getattr(kind, "__args__", ())
            kind = arguments[-1] if arguments else None
            continue
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            break
        names = dict(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))
        kind = get_type_hints(kind).get(names.get(key, ""))
    return kind


def _struct_at(keys: list[str]) -> type[msgspec.Struct] | None:
    kind = _annotation_at(keys)
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _choices_at(keys: list[str]) -> list[str]:
    found: list[str] = []
    pending = [_annotation_at(keys)]
    while pending:
        kind = pending.pop()
        pending += [part for part in getattr(kind, "__args__", ()) if not isinstance(part, str)]
        found += [part for part in getattr(kind, "__args__", ()) if isinstance(part, str)]
    return found
