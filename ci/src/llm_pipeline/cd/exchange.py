"""What a registry is asked and what it answers; its errors as sentences."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import msgspec

from llm_pipeline.display import one_line

LARGEST_ERROR: Final = 64 * 1024
MAY_BE_LOGIN: Final = frozenset({400, 403})
_EXPIRED: Final = re.compile(r"expired|reauthenticate", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Request:
    """What a registry is asked.

    ``path`` is below the registry's host, or a location that the registry told. ``doing`` says what
    is being done, for messages: "read the tag v1". ``largest`` is how many bytes the answer may
    have, and ``again`` tells whether it may be sent more than once.
    """

    method: str
    path: str
    doing: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    data: bytes = field(default=b"", repr=False)
    largest: int = LARGEST_ERROR
    again: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry answered."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    def codes(self) -> list[tuple[str, str]]:
        """Return the codes and messages of an error's body; none where it has no such body."""
        with suppress(msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError):
            body = msgspec.json.decode(self.data, type=_Errors)
            return [(each.code, each.message) for each in body.errors]
        return []


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    message: str = ""


class _Errors(msgspec.Struct, frozen=True):
    errors: list[_Error]


def explain(answer: Answer, host: str, repository: str, doing: str) -> str:
    """Return a sentence for an answer that is an error: what could not be done, and what next."""
    codes = answer.codes()
    said = "; ".join(one_line(message or code) for code, message in codes).rstrip(".")
    said = f" ({said})" if said else ""
    names = {code for code, _ in codes}
    status = answer.status
    if status == HTTPStatus.TOO_MANY_REQUESTS or "TOOMANYREQUESTS" in names:
        return f"Can't {doing}: {host} is too busy{said}. Wait some minutes and run it again."
    if status == HTTPStatus.FORBIDDEN or names & {"DENIED", "UNAUTHORIZED"}:
        return f"Can't {doing}: {host} denies it{said}. The login needs that right on {repository}."
    if "NAME_UNKNOWN" in names or (status == HTTPStatus.NOT_FOUND and not names):
        missing = f"{host} has no repository {repository}{said}"
        return f"Can't {doing}: {missing}. Check its name, or create it."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"Can't {doing}: {host} fails with HTTP status {status}{said}. Run it again later."
    return f"Can't {doing}: {host} answers with HTTP status {status}{said}."


def asks_for_login(answer: Answer) -> bool:
    """Whether a login is wanted, or one was good once; ECR says so with 400 or 403, too."""
    if answer.status == HTTPStatus.UNAUTHORIZED:
        return True
    told = " ".join(f"{code} {message}" for code, message in answer.codes())
    return answer.status in MAY_BE_LOGIN and bool(_EXPIRED.search(told))
