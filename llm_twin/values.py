"""What the values of settings may be; each message says what is allowed and shows no value."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr

from llm_twin.masking import KINDS, Kind

NO_URL: Final = "should be a URL that starts with http:// or https://"
HIGHEST_PORT: Final = 65535


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


def _split(value: object) -> object:
    """Variables hold a list with commas between, files a list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _kinds(value: object) -> tuple[Kind, ...]:
    parts = _split(value)
    if parts == ("none",):
        return ()
    if not isinstance(parts, tuple | list) or not set(parts) <= set(KINDS):
        raise ValueError(f"should be some of {', '.join(KINDS)}, or none")
    return tuple(kind for kind in KINDS if kind in parts)


def _flag(value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    raise ValueError("should be true or false")


def _count(value: object) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:10])
    if type(value) is not int or value < 1:
        raise ValueError("should be a whole number from 1")
    return value


def _share(value: object) -> float:
    number = _amount(value)
    if number > 1:
        raise ValueError("should be a number from 0 to 1")
    return number


def _amount(value: object) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not 0 <= number < math.inf:
        raise ValueError("should be a number that is not negative")
    return number


def _seconds(value: object) -> float:
    number = _amount(value)
    if not number:
        raise ValueError("should be a number of seconds above 0")
    return number


Url = Annotated[str, AfterValidator(_http_url)]
Secret = Annotated[SecretStr, AfterValidator(_header_value)]
Port = Annotated[int, BeforeValidator(_port)]
Name = Annotated[str, AfterValidator(_line)]
Folder = Annotated[Path, BeforeValidator(_folder)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_split)]
Secrets = Annotated[tuple[Secret, ...], BeforeValidator(_split)]
Kinds = Annotated[tuple[Kind, ...], BeforeValidator(_kinds)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Count = Annotated[int, BeforeValidator(_count)]
Share = Annotated[float, BeforeValidator(_share)]
Price = Annotated[float, BeforeValidator(_amount)]
Amount = Annotated[float, BeforeValidator(_amount)]
Seconds = Annotated[float, BeforeValidator(_seconds)]


def secrets_in(value: object) -> Iterator[str]:
    """Yield the values of all secrets that are set, to be masked wherever they turn up."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_in(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from secrets_in(item)
