"""An Opik server, spoken to with the SDK's own client and types."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from time import time
from typing import TYPE_CHECKING, Any, Final, Self

from llm_twin.errors import TwinError, UsageError
from llm_twin.masking import Masker
from llm_twin.tracing import sdk
from llm_twin.tracing.model import Stored

if TYPE_CHECKING:
    import httpx

    from llm_twin.settings import OpikSettings

CONNECT_SECONDS: Final = 5.0
LONGEST_REASON: Final = 200
LONGEST_WAIT: Final = 3600.0
SENT_AT_ONCE: Final = 1000
"""Records of one kind that a server takes in a request."""
DELETED_AT_ONCE: Final = 500
TOO_LARGE: Final = 413
NO_KEY: Final = frozenset({401, 403})
NOT_HERE: Final = frozenset({301, 302, 303, 307, 308, 404, 405})
# What the server says of the records themselves: others may pass.
OF_THE_RECORDS: Final = frozenset({400, 409, TOO_LARGE, 422})


class UnavailableError(TwinError):
    """The server takes nothing now.

    Attributes:
        wait: Seconds after which it wants to be asked again, None where it doesn't say.
    """

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class RejectedError(TwinError):
    """The server does not take these records.

    Attributes:
        too_large: They are too many or too long.
    """

    def __init__(self, message: str, *, too_large: bool = False) -> None:
        super().__init__(message)
        self.too_large = too_large


class Server:
    """A connection to a server. One for each process, made after a fork."""

    def __init__(self, settings: "OpikSettings") -> None:
        """Make one; nothing is sent yet.

        Raises:
            UsageError: The settings name no server.
        """
        if settings.url is None:
            raise UsageError(
                "no Opik server is set; set LLM_TWIN_OPIK_URL, for example to https://HOST/api"
            )
        sdk.quiet()
        import httpx
        from opik.httpx_client import OpikHttpxClient
        from opik.rest_api import OpikApi

        self.url = settings.url.rstrip("/")
        key = settings.api_key.get_secret_value() if settings.api_key else None
        self._masker = Masker([key] if key else [])
        self._http: httpx.Client = OpikHttpxClient(
            timeout=httpx.Timeout(settings.timeout, connect=min(settings.timeout, CONNECT_SECONDS)),
            # A redirected POST would come as a GET, and its answer look like success.
            follow_redirects=False,
            event_hooks={"response": [_no_page]},
        )
        self.api = OpikApi(
            base_url=self.url,
            api_key=key,
            workspace_name=settings.workspace,
            timeout=settings.timeout,
            httpx_client=self._http,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ping(self) -> None:
        """Ask whether the server is alive.

        Raises:
            UnavailableError: It isn't; the message says why.
        """
        with self.asking():
            answer = self._http.get(f"{self.url}/is-alive/ping")
            if not answer.is_success:
                raise self._problem(answer.status_code, answer.headers, answer.text)

    def send(self, entries: Sequence[Stored]) -> None:
        """Deliver entries; what the server has already is replaced by the same.

        Raises:
            RejectedError: The server takes these not; some of them alone may pass.
            UnavailableError: The server takes nothing now.
        """
        from opik.rest_api import FeedbackScoreBatchItem, SpanWrite, TraceWrite

        traces, spans, scores = _sorted(entries)
        try:
            written = [TraceWrite(**trace) for trace in traces]
            steps = [SpanWrite(**span) for span in spans]
            marks = [FeedbackScoreBatchItem(**score) for score in scores]
        except (ValueError, TypeError) as error:
            raise RejectedError(f"no record that Opik knows: {self._reason(str(error))}") from None
        with self.asking():
            if written:
                self.api.traces.create_traces(traces=written)
            for start in range(0, len(steps), SENT_AT_ONCE):
                self.api.spans.create_spans(spans=steps[start : start + SENT_AT_ONCE])
            if marks:
                self.api.traces.score_batch_of_traces(scores=marks)

    def delete(self, traces: Sequence[str]) -> None:
        """Delete traces and what belongs to them; those that it doesn't have are no error.

        Raises:
            TwinError: The server doesn't do so.
        """
        with self.asking():
            for start in range(0, len(traces), DELETED_AT_ONCE):
                self.api.traces.delete_traces(ids=traces[start : start + DELETED_AT_ONCE])

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Turn what the client raises into our errors.

        Raises:
            RejectedError: The server does not take the records.
            UnavailableError: Anything else that went wrong.
        """
        import httpx
        from opik.rest_api.core.api_error import ApiError

        try:
            yield
        except ApiError as error:
            raise self._problem(error.status_code or 0, error.headers or {}, error.body) from None
        except httpx.TimeoutException:
            raise UnavailableError(f"{self.url}: does not answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            told = self._reason(str(error)) or type(error).__name__
            raise UnavailableError(f"{self.url}: can't be reached: {told}") from None
        except ValueError:
            raise UnavailableError(f"{self.url}: answers what is no JSON") from None

    def _problem(
        self, status: int, headers: Mapping[str, str], body: object
    ) -> UnavailableError | RejectedError:
        said = self._reason(body if isinstance(body, str) else json.dumps(body, default=str))
        told = f"{self.url}: answers {status}" + (f": {said}" if said else "")
        if status in OF_THE_RECORDS:
            return RejectedError(told, too_large=status == TOO_LARGE)
        if status in NO_KEY:
            told += "; check LLM_TWIN_OPIK_API_KEY and LLM_TWIN_OPIK_WORKSPACE"
        elif status in NOT_HERE:
            told += "; check LLM_TWIN_OPIK_URL, which ends in /api as a rule"
        return UnavailableError(told, _wait(headers))

    def _reason(self, text: str) -> str:
        line = " ".join(self._masker.mask_text(text).split())
        return line if len(line) <= LONGEST_REASON else f"{line[:LONGEST_REASON]}…"


def _no_page(response: "httpx.Response") -> None:
    # What stands before a server may answer anything with a page and 200.
    if response.is_success and "text/html" in response.headers.get("content-type", ""):
        from httpx import RemoteProtocolError

        raise RemoteProtocolError("a web page came, so this is no Opik server")


def _sorted(entries: Sequence[Stored]) -> tuple[list[Any], list[Any], list[Any]]:
    """Part entries into traces, spans and scores; of scores of one name the last counts."""
    traces, spans = [], []
    scores: dict[tuple[str, str], Any] = {}
    for entry in entries:
        body = json.loads(entry.body)
        if entry.kind == "score":
            scores[entry.trace, entry.name] = body
        else:
            traces.append(body["trace"])
            spans += body["spans"]
    return traces, spans, list(scores.values())


def _wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that the header Retry-After asks for: a number or a date, RFC 9110, 10.2.3."""
    value = {name.lower(): text for name, text in headers.items()}.get("retry-after")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), LONGEST_WAIT)
