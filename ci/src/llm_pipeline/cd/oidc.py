"""The token by which GitHub vouches for a workflow (OpenID Connect)."""

import base64
import json
from typing import Any, Final

import msgspec

from llm_pipeline.display import one_line
from llm_pipeline.errors import LookError

URL: Final = "ACTIONS_ID_TOKEN_REQUEST_URL"
TOKEN: Final = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"  # noqa: S105 - the name of a variable
_ATTEMPTS: Final = 4
_OK: Final = 200
_BROKEN: Final = 500


class _Answer(msgspec.Struct, frozen=True):
    value: str


def github_token(url: str, bearer: str, audience: str, *, pause: float = 0.5) -> str:
    """Return a token of GitHub for an audience, such as ``sts.amazonaws.com``.

    Args:
        url: The value of ``ACTIONS_ID_TOKEN_REQUEST_URL``.
        bearer: The value of ``ACTIONS_ID_TOKEN_REQUEST_TOKEN``.
        audience: For whom the token is.
        pause: Seconds before the second attempt; they double with each.

    Raises:
        LookError: GitHub could not be reached, or gave none.
    """
    import httpx
    import tenacity

    problem = "it could not be reached"

    def ask() -> httpx.Response:
        where = httpx.URL(url).copy_merge_params({"audience": audience})
        return httpx.get(where, headers={"Authorization": f"Bearer {bearer}"}, timeout=30)

    attempts = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(_ATTEMPTS),
        wait=tenacity.wait_exponential_jitter(multiplier=pause, max=30, jitter=pause),
        retry=tenacity.retry_if_exception_type(httpx.TransportError)
        | tenacity.retry_if_result(lambda response: response.status_code >= _BROKEN),
        retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        reraise=True,
    )
    try:
        response = attempts(ask)
        problem = f"it answers with HTTP status {response.status_code}"
        if response.status_code == _OK:
            problem = "its answer holds none"
            return msgspec.json.decode(response.content, type=_Answer).value
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        problem = one_line(str(error)) or type(error).__name__
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    raise LookError(
        f"GitHub gave no token for {audience}: {problem}. The job needs `permissions: id-token: "
        "write`, and its step has to run within the job's time."
    )


def claims(token: str) -> dict[str, Any]:
    """Return what a token claims, unchecked, for messages; nothing where it can't be read."""
    part = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004 - a JWT's three parts
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
