"""Settings of the application: environment variables, then a TOML file, then the defaults.

The setting `model.url` is the variable `LLM_TWIN_MODEL_URL`, or `url` in the file's table
`[model]`. Secrets come from variables alone, so that none is ever in a file that is committed or
built into an image. No value is in an error: whoever pastes a key into the wrong variable must not
find it in a log.
"""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr, ValidationError

PREFIX: Final = "LLM_TWIN_"
NO_URL: Final = "should be a URL that starts with http:// or https://"
HIGHEST_PORT: Final = 65535
FILE_VARIABLE: Final = "LLM_TWIN_CONFIG"
DEFAULT_FILE: Final = Path("llm-twin.toml")
DEFAULT: Final = "default"
MASK: Final = "********"


class SettingsError(Exception):
    """Settings that can't be used; the message has one line for each problem, and no value."""


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        raise ValueError(NO_URL) from None
    if not usable or not value.isprintable() or " " in value:
        raise ValueError(NO_URL)
    # Addresses are shown, so nothing secret may be in one.
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("should be a URL without user name, password and query")
    return value


def _port(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:6])
    if type(value) is not int or not 1 <= value <= HIGHEST_PORT:
        raise ValueError(f"should be a whole number from 1 to {HIGHEST_PORT}")
    return value


def _line(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("should be one line of text")
    return value


def _folder(value: object) -> Path:
    if not isinstance(value, str | Path):
        raise ValueError("should be a path")  # noqa: TRY004 - pydantic explains a ValueError only
    try:
        expanded = Path(value).expanduser()
    except RuntimeError:
        raise ValueError("should not start with the name of a user who has no home") from None
    _line(str(expanded))
    return expanded


def _header_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("should be one line of ASCII characters without spaces")
    return value


Url = Annotated[str, AfterValidator(_http_url)]
Secret = Annotated[SecretStr, AfterValidator(_header_value)]
Port = Annotated[int, BeforeValidator(_port)]
Name = Annotated[str, AfterValidator(_line)]
Folder = Annotated[Path, BeforeValidator(_folder)]


class ServiceSettings(BaseModel, frozen=True):
    """Where the service listens."""

    host: Name = "127.0.0.1"
    port: Port = 8000


class EndpointSettings(BaseModel, frozen=True):
    """An OpenAI-compatible endpoint; without a URL the embedded model is used."""

    url: Url | None = None
    name: Name | None = None
    api_key: Secret | None = None


class QdrantSettings(BaseModel, frozen=True):
    """The vector store; without a URL it is a folder of the data directory."""

    url: Url | None = None
    api_key: Secret | None = None


class OpikSettings(BaseModel, frozen=True):
    """The tracker; without a URL traces are spooled in the data directory."""

    url: Url | None = None
    project: Name = "llm-twin"
    api_key: Secret | None = None


class ZenmlSettings(BaseModel, frozen=True):
    """The orchestrator's server; without a URL its local store is used."""

    store_url: Url | None = None
    store_api_key: Secret | None = None


class Settings(BaseModel, frozen=True):
    """All settings. Read them with `load`, which explains what is wrong."""

    data_dir: Folder = Field(Path("~/.local/share/llm-twin"), validate_default=True)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    service: ServiceSettings = ServiceSettings()
    model: EndpointSettings = EndpointSettings()
    embeddings: EndpointSettings = EndpointSettings()
    qdrant: QdrantSettings = QdrantSettings()
    opik: OpikSettings = OpikSettings()
    zenml: ZenmlSettings = ZenmlSettings()


@dataclass(frozen=True)
class Origin:
    """One setting as `llm-twin settings` shows it.

    Attributes:
        name: The setting, as in `model.url`.
        value: What is used, `MASK` for a secret that is set, None for what is not set.
        origin: `default`, the variable, or the file that it comes from.
    """

    name: str
    value: str | int | None
    origin: str


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each of them comes from."""

    settings: Settings
    origins: tuple[Origin, ...]


def load(file: Path | None = None) -> Loaded:
    """Read the settings from the process's environment and a file.

    Args:
        file: The TOML file; by default what `LLM_TWIN_CONFIG` names, else `llm-twin.toml` of the
            working directory, where there is one.

    Raises:
        SettingsError: A variable or key that is unknown, a value that is not allowed, a file that
            can't be read.
    """
    problems = list(_unknown_variables())
    path = file or _default_file()
    content = _read(path) if path else {}
    problems += [f"{path}: {problem}" for problem in _unknown_keys(content)]
    if problems:
        raise SettingsError("\n".join(problems))
    origins: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name in _names():
        section, _, key = name.rpartition(".")
        table = content.get(section, {}) if section else content
        # CI systems set a variable to nothing where its secret is not given to the run.
        if value := os.environ.get(_variable(name)):
            origins[name] = _variable(name)
        elif key in table:
            origins[name], value = str(path), table[key]
        else:
            origins[name] = DEFAULT
            continue
        (values.setdefault(section, {}) if section else values)[key] = value
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explained(error, origins))) from None
    return Loaded(
        settings,
        tuple(Origin(name, _shown(settings, name), origin) for name, origin in origins.items()),
    )


def _names() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from (f"{name}.{key}" for key in type(field.default).model_fields)
        else:
            yield name


def _is_secret(name: str) -> bool:
    return name.endswith("api_key")


def _variable(name: str) -> str:
    return PREFIX + name.replace(".", "_").upper()


def _unknown_variables() -> Iterator[str]:
    known = [FILE_VARIABLE, *map(_variable, _names())]
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in known:
            yield f"{variable}: no such setting{_hint(variable, known)}"


def _unknown_keys(content: Mapping[str, Any]) -> Iterator[str]:
    known = list(_names())
    sections = {name.partition(".")[0] for name in known if "." in name}
    for key, value in content.items():
        if key in sections and not isinstance(value, dict):
            yield f"{key}: should be a table, [{key}]"
            continue
        for name in [f"{key}.{inner}" for inner in value] if key in sections else [key]:
            if name not in known:
                yield f"{name}: no such setting{_hint(name, known)}"
            elif _is_secret(name):
                yield f"{name}: a secret does not belong in a file; set {_variable(name)} instead"


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else "; `llm-twin settings` lists them all"


def _default_file() -> Path | None:
    if named := os.environ.get(FILE_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}") from None


def _explained(error: ValidationError, origins: Mapping[str, str]) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_context=False, include_url=False):
        name = ".".join(map(str, problem["loc"]))
        where = origins[name]
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
        yield f"{where}: {message}" if where.startswith(PREFIX) else f"{where}: {name}: {message}"


def _shown(settings: Settings, name: str) -> str | int | None:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    if isinstance(value, SecretStr):
        return MASK
    return value if isinstance(value, int | None) else str(value)
