"""Settings of the application: environment variables, `.env`, a TOML file, then the defaults.

The setting `model.url` is the variable `LLM_TWIN_MODEL_URL`, of the process or of the file `.env`
in the working directory, or `url` in the TOML file's table `[model]`. Secrets come from variables
alone, so that none is ever in a file that is committed or built into an image. No value is in an
error: whoever pastes a key into the wrong variable must not find it in a log.
"""

import difflib
import io
import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from platformdirs import user_data_dir
from pydantic import BaseModel, Field, SecretStr, ValidationError

from llm_twin.corpus.rules import CorpusSettings
from llm_twin.errors import DEBUG_VARIABLE, UsageError
from llm_twin.service.settings import ServiceSettings
from llm_twin.values import Amount, Count, Folder, Name, Price, Seconds, Secret, Url

PREFIX: Final = "LLM_TWIN_"
FILE_VARIABLE: Final = "LLM_TWIN_CONFIG"
DEFAULT_FILE: Final = Path("llm-twin.toml")
ENV_FILE: Final = Path(".env")
DEFAULT: Final = "default"
MASK: Final = "********"


class SettingsError(UsageError):
    """Settings that can't be used; the message has one line for each problem, and no value."""


class EndpointSettings(BaseModel, frozen=True):
    """An OpenAI-compatible endpoint; without a URL the embedded model is used."""

    url: Url | None = None
    name: Name | None = None
    api_key: Secret | None = None


class QdrantSettings(BaseModel, frozen=True):
    """The vector store; without a URL it is a folder of the state folder."""

    url: Url | None = None
    api_key: Secret | None = None


class OpikSettings(BaseModel, frozen=True):
    """The tracker; without a URL traces are spooled in the state folder."""

    url: Url | None = None
    project: Name = "llm-twin"
    api_key: Secret | None = None
    workspace: Name | None = None
    timeout: Seconds = 30.0


class TracingSettings(BaseModel, frozen=True):
    """What stands in every trace, what the spool may hold, and what tokens cost (US dollars)."""

    environment: Name = "development"
    image: Name | None = None
    commit: Name | None = None
    max_megabytes: Count = 1024
    max_days: Count = 90
    when_full: Literal["drop", "refuse"] = "drop"
    input_price: Price | None = None
    output_price: Price | None = None


class AnswerSettings(BaseModel, frozen=True):
    """How the twin answers.

    `streamed` hands on what the model says as it comes, which suits a capable one; `checked` begins
    with a sentence of the model's, if it says what the best passage says, and quotes the passages;
    `extractive` quotes them without asking a model. `auto` is `checked` with the embedded model,
    else `streamed`.
    """

    mode: Literal["auto", "streamed", "checked", "extractive"] = "auto"
    passages: Count = 8
    max_tokens: Count = 256
    temperature: Amount = 0.0
    parallel: Count = 2
    queue_timeout: Seconds = 30.0
    token_timeout: Seconds = 60.0
    timeout: Seconds = 180.0


class ZenmlSettings(BaseModel, frozen=True):
    """The orchestrator's server; without a URL its local store is used."""

    store_url: Url | None = None
    store_api_key: Secret | None = None


class Settings(BaseModel, frozen=True):
    """All settings. Read them with `load`, which explains what is wrong."""

    home: Folder = Field(default_factory=lambda: Path(user_data_dir("llm-twin")))
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    corpus: CorpusSettings = CorpusSettings()
    service: ServiceSettings = ServiceSettings()
    model: EndpointSettings = EndpointSettings()
    embeddings: EndpointSettings = EndpointSettings()
    qdrant: QdrantSettings = QdrantSettings()
    answers: AnswerSettings = AnswerSettings()
    opik: OpikSettings = OpikSettings()
    tracing: TracingSettings = TracingSettings()
    zenml: ZenmlSettings = ZenmlSettings()


@dataclass(frozen=True)
class Origin:
    """One setting as `llm-twin settings` shows it.

    Attributes:
        name: The setting, as in `model.url`.
        value: What is used, `MASK` for a secret that is set, None for what is not set.
        origin: `default`, the variable, or the file (`.env` too) that it comes from.
    """

    name: str
    value: str | bool | float | None
    origin: str


@dataclass(frozen=True)
class Loaded:
    """Settings, and where each of them comes from."""

    settings: Settings
    origins: tuple[Origin, ...]


def load(file: Path | None = None) -> Loaded:
    """Read the settings from the process's environment, `.env` and a file.

    Args:
        file: The TOML file; by default what `LLM_TWIN_CONFIG` names, else `llm-twin.toml` of the
            working directory, where there is one.

    Raises:
        SettingsError: A variable or key that is unknown, a value that is not allowed, a file that
            can't be read.
    """
    dotenv = _dotenv()
    problems = list(_unknown_variables(os.environ))
    problems += [f"{ENV_FILE}: {problem}" for problem in _unknown_variables(dotenv)]
    path = file or _default_file(dotenv)
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
        elif value := dotenv.get(_variable(name)):
            origins[name] = str(ENV_FILE)
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
    return name.endswith(("api_key", "api_keys"))


def _variable(name: str) -> str:
    return PREFIX + name.replace(".", "_").upper()


def _unknown_variables(variables: Mapping[str, str]) -> Iterator[str]:
    known = [FILE_VARIABLE, DEBUG_VARIABLE, *map(_variable, _names())]
    for variable in sorted(variables):
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


def _default_file(dotenv: Mapping[str, str]) -> Path | None:
    if named := os.environ.get(FILE_VARIABLE) or dotenv.get(FILE_VARIABLE):
        return Path(named)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None


def _dotenv() -> dict[str, str]:
    """Return our variables in `.env`; those of other programs are none of our business."""
    if not ENV_FILE.is_file():
        return {}
    from dotenv.parser import parse_stream

    found = {}
    for binding in parse_stream(io.StringIO(_text(ENV_FILE))):
        if binding.error:
            raise SettingsError(f"{ENV_FILE}: line {binding.original.line}: should be NAME=value")
        if binding.key and binding.key.startswith(PREFIX):
            found[binding.key] = binding.value or ""
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8 text") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(_text(path))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: is not valid TOML: {error}") from None


def _explained(error: ValidationError, origins: Mapping[str, str]) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_context=False, include_url=False):
        parts = [str(part) for part in problem["loc"]]
        name = parts[0] if parts[0] in origins else ".".join(parts[:2])  # no place in a list
        where = origins[name]
        message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
        if where == str(ENV_FILE):
            name = _variable(name)
        yield f"{where}: {message}" if where.startswith(PREFIX) else f"{where}: {name}: {message}"


def _shown(settings: Settings, name: str) -> str | bool | float | None:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    if isinstance(value, tuple):
        return (
            ", ".join(MASK if isinstance(item, SecretStr) else str(item) for item in value) or None
        )
    if isinstance(value, SecretStr):
        return MASK
    return value if isinstance(value, int | float | None) else str(value)
