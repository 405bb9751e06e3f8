"""Refusals in the shape that clients of OpenAI's API know."""

import re
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from llm_twin.masking import mask_text

if TYPE_CHECKING:
    from llm_twin.errors import TwinError
    from llm_twin.masking import Masker

_KINDS: Final[Mapping[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_SERVERS_FAULT: Final = 500
_MOST_PARTS: Final = 12
# Which kind of message or content the check tried; no field of the caller's.
_BRANCH: Final = re.compile(r"(user|system|developer|assistant|(constrained-)?str|list\[.*)$")
_LONGEST_PARAM: Final = 100


class ApiError(Exception):
    """An answer that is an error.

    Attributes:
        status: The HTTP status.
        message: What is wrong and what to do; holds nothing that the caller sent.
        code: A word for programs.
        param: The field that is wrong.
        retry_after: Seconds after which to try again.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """Return the error object, as OpenAI's API shapes it."""
        fallback = "server_error" if self.status >= _SERVERS_FAULT else "invalid_request_error"
        return {
            "error": {
                "message": self.message,
                "type": _KINDS.get(self.status, fallback),
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> JSONResponse:
        """Return the HTTP response."""
        headers = {}
        if self.retry_after is not None:
            headers["Retry-After"] = str(max(1, round(self.retry_after + 0.5)))
        if self.status == 401:  # noqa: PLR2004 - what RFC 9110 asks of this status
            headers["WWW-Authenticate"] = "Bearer"
        return JSONResponse(self.body(), self.status, headers)


INTERNAL: Final = ApiError(
    500, "Internal error. The service's log says where; please report it.", code="internal_error"
)
STOPPING: Final = ApiError(503, "The service is stopping.", code="stopping", retry_after=5)


def unavailable(error: "TwinError", masker: "Masker") -> ApiError:
    """Tell that a part of the twin is missing, in its own words, which say what to do."""
    message = masker.mask_text(str(error)).replace("\n", "; ")
    return ApiError(503, f"{message[:1].upper()}{message[1:]}.", code="unavailable")


def where(error: BaseException) -> str:
    """Name an error's type and place, and nothing that it holds, for that may be secret."""
    frames = traceback.extract_tb(error.__traceback__)[-4:]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    return f"{type(error).__name__} at {' > '.join(places)}"


async def on_api_error(_request: Request, error: Exception) -> JSONResponse:
    """Answer with one of our own errors."""
    if not isinstance(error, ApiError):
        raise error
    return error.response()


async def on_http_error(_request: Request, error: Exception) -> JSONResponse:
    """Answer with an error of the framework: no such path, no such method, no JSON."""
    if not isinstance(error, HTTPException):
        raise error
    known = {
        400: ("The body is not valid JSON.", "invalid_json"),
        404: ("No such path. /openapi.json lists them.", "not_found"),
        405: ("This path does not know this method.", "method_not_allowed"),
    }
    message, code = known.get(error.status_code, ("The request can't be served.", "refused"))
    response = ApiError(error.status_code, message, code=code).response()
    response.headers.update(error.headers or {})
    return response


async def on_invalid(_request: Request, error: Exception) -> JSONResponse:
    """Answer to a body that is not what the API describes, without a word of what was sent."""
    if not isinstance(error, RequestValidationError):
        raise error
    problem = error.errors()[0]
    if problem["type"] == "json_invalid":
        return ApiError(400, "The body is not valid JSON.", code="invalid_json").response()
    param = _param(problem["loc"])
    if not param:
        message = "The body should be a JSON object, sent as Content-Type: application/json."
        return ApiError(422, message, code="invalid_body").response()
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"].startswith("union_tag"):  # its own message holds what was sent
        message = "the role should be one of system, developer, user and assistant"
    return ApiError(422, f"{param}: {message}", code="invalid_value", param=param).response()


def _param(place: Sequence[str | int]) -> str:
    """Name a field. Names that the caller made up may hold anything, so they are masked."""
    parts = [str(part) for part in place[1 : 1 + _MOST_PARTS]]
    parts = [*parts[:1], *(part for part in parts[1:] if not _BRANCH.match(part))]
    name = mask_text(".".join(parts))[:_LONGEST_PARAM]
    return name if name.isprintable() else "?"
