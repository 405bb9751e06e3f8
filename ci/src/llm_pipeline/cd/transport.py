"""Requests to a registry: logging in when asked to, trying again, errors as sentences."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import msgspec

from llm_pipeline.cd.exchange import MAY_BE_LOGIN, Answer, Request, asks_for_login, explain
from llm_pipeline.display import one_line
from llm_pipeline.errors import LookError, RegistryError

if TYPE_CHECKING:
    import httpx

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_LONGEST_PAUSE: Final = 30.0
_CHALLENGE: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Login:
    """A name and a password for a registry; the password is in no ``repr``."""

    username: str
    password: str = field(repr=False)


Logins = Callable[[], Login | None]
"""Gives a login right before it is needed, as some are good for minutes only."""


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


class _AgainError(Exception):
    """It may go better the next time; `pause` is what the registry asked for, in seconds."""

    def __init__(self, error: RegistryError, pause: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause = pause


class Transport:
    """Talks HTTP to one registry, about one repository.

    Args:
        host: The registry's host, with a port where it has one.
        repository: What the access is asked for.
        logins: Gives a login when the registry asks for one.
        insecure: Whether to talk without TLS; to this machine itself that is the default.
        eager: Whether to log in (by name and password) before the registry asks for it.
        attempts: How often a request is sent at most.
        pause: Seconds before the second attempt; they double with each.
    """

    def __init__(  # noqa: PLR0913 - all but the first three are for special cases
        self,
        host: str,
        repository: str,
        logins: Logins = lambda: None,
        *,
        insecure: bool = False,
        eager: bool = False,
        attempts: int = 5,
        pause: float = 0.5,
    ) -> None:
        import httpx

        self.host, self.repository = host, repository
        plain = insecure or (urlsplit(f"//{host}").hostname or "") in _LOOPBACK
        self.base = f"{'http' if plain else 'https'}://{host}"
        self._logins, self._attempts, self._pause = logins, attempts, pause
        self._eager = eager
        self._authorization: str | None = None
        self._client = httpx.Client(
            timeout=httpx.Timeout(60, connect=10),
            follow_redirects=True,
            headers={"Accept-Encoding": "identity", "User-Agent": "llm-pipeline"},
        )

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def url(self, path: str) -> str:
        """Return a whole URL: of a path of the registry, or of a location that it told."""
        return urljoin(self.base, path)

    def ask(self, request: Request) -> Answer:
        """Send a request and return an answer that is good.

        Raises:
            RegistryError: The registry can't be reached, refuses or fails.
            LookError: The answer has more bytes than it may have.
        """
        return self.expect(self.send(request), request.doing)

    def expect(self, answer: Answer, doing: str) -> Answer:
        """Return an answer if it is good.

        Raises:
            RegistryError: It is none.
        """
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            message = explain(answer, self.host, self.repository, doing)
            raise RegistryError(message, answer.status)
        return answer

    def send(self, request: Request) -> Answer:
        """Send a request and return the answer, whatever its status but 401, 429 and 5xx.

        Raises:
            RegistryError: The registry can't be reached, takes no login, is too busy, or fails.
            LookError: The answer has more bytes than it may have.
        """
        import tenacity

        def wait(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, _AgainError) and error.pause is not None:
                return min(error.pause, _LONGEST_PAUSE)
            return tenacity.wait_exponential_jitter(
                multiplier=self._pause, max=_LONGEST_PAUSE, jitter=self._pause
            )(state)

        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self._attempts if request.again else 1),
            wait=wait,
            retry=tenacity.retry_if_exception_type(_AgainError),
            reraise=True,
        )
        try:
            return attempts(self._authorised, request)
        except _AgainError as failed:
            raise failed.error from None

    def _authorised(self, request: Request) -> Answer:
        """Send once; where the registry asks for a login, or an old one expired, once more."""
        if self._eager and self._authorization is None:
            self._authorization = _basic(self._logins())
        answer = self._once(request)
        # An answer to HEAD has no body that could tell that a login expired.
        mute = request.method == "HEAD" and self._authorization is not None
        if asks_for_login(answer) or (mute and answer.status in MAY_BE_LOGIN):
            self._authorization = self._authorise(answer, request)
            answer = self._once(request)
        if asks_for_login(answer):
            self._authorization = None
            raise RegistryError(self._refused(request), answer.status)
        return self._settled(answer, request)

    def _settled(self, answer: Answer, request: Request) -> Answer:
        if answer.status in _AGAIN:
            message = explain(answer, self.host, self.repository, request.doing)
            pause = _seconds(answer.headers.get("retry-after"))
            raise _AgainError(RegistryError(message, answer.status), pause)
        return answer

    def _once(self, request: Request) -> Answer:
        import httpx

        url, doing = self.url(request.path), request.doing
        headers = dict(request.headers)
        # The login goes to the registry's own address alone.
        if self._authorization and url.startswith(f"{self.base}/"):
            headers.setdefault("Authorization", self._authorization)
        try:
            built = self._client.build_request(
                request.method, url, headers=headers, content=request.data
            )
            response = self._client.send(built, stream=True)
            try:
                body = b"".join(_limited(response, request))
            finally:
                response.close()
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.TooManyRedirects) as error:
            raise RegistryError(f"Can't {doing}: {one_line(str(error))}.") from None
        except httpx.TransportError as error:
            reason = one_line(str(error)) or type(error).__name__
            message = f"Can't {doing}: {self.host} can't be reached ({reason}). "
            advice = "Check the address and the network, then run it again."
            raise _AgainError(RegistryError(message + advice)) from None
        return Answer(response.status_code, response.headers, body)

    def _authorise(self, asked: Answer, request: Request) -> str:
        """Return the header that a challenge asks for, with a login that was fetched for it."""
        scheme, _, rest = asked.headers.get("www-authenticate", "Basic").partition(" ")
        basic = _basic(self._logins())
        if scheme.lower() == "bearer":
            return f"Bearer {self._token(dict(_CHALLENGE.findall(rest)), basic, request)}"
        if basic is None:
            raise RegistryError(self._asked(request), asked.status)
        return basic

    def _token(self, challenge: Mapping[str, str], basic: str | None, request: Request) -> str:
        """Fetch a token where the challenge says (distribution's token authentication)."""
        import httpx

        realm, doing = challenge.get("realm", ""), request.doing
        parts = urlsplit(realm)
        safe = parts.scheme == "https" or (parts.scheme == "http" and self.base.startswith("http:"))
        if not safe or not parts.hostname:
            raise RegistryError(
                f"Can't {doing}: {self.host} asks to send the login to {one_line(realm)!r}, which "
                "is no https address; nothing was sent."
            )
        scope = challenge.get("scope", f"repository:{self.repository}:pull,push")
        query = {"service": challenge.get("service", ""), "scope": scope}
        url = httpx.URL(realm).copy_merge_params({key: text for key, text in query.items() if text})
        headers = {"Authorization": basic} if basic else {}
        wanted = Request("GET", str(url), doing, headers)
        answer = self._settled(self._once(wanted), wanted)
        if answer.status != HTTPStatus.OK:
            message = self._refused(request) if basic else self._asked(request)
            raise RegistryError(message, answer.status)
        try:
            told = msgspec.json.decode(answer.data, type=_Token)
        except (msgspec.DecodeError, UnicodeDecodeError):
            told = _Token()
        if not (told.token or told.access_token):
            raise RegistryError(f"Can't {doing}: {self.host} gave no token for the login.")
        return told.token or told.access_token

    def _asked(self, request: Request) -> str:
        return (
            f"Can't {request.doing}: {self.host} asks for a login and there is none. Name the "
            "variables that hold it in `cd.username` and `cd.password`, and set them."
        )

    def _refused(self, request: Request) -> str:
        return (
            f"Can't {request.doing}: {self.host} does not take the login, or it has expired. Check "
            f"the name and the password, and that they may use {self.repository}."
        )


def _basic(login: Login | None) -> str | None:
    if login is None:
        return None
    pair = f"{login.username}:{login.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isdecimal() else None


def _limited(response: "httpx.Response", request: Request) -> Iterator[bytes]:
    size = 0
    for part in response.iter_bytes():
        size += len(part)
        if size > request.largest:
            raise LookError(
                f"Can't {request.doing}: the answer has more than {request.largest} bytes."
            )
        yield part
