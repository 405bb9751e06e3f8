"""What every request passes before any of its body is read, and what every answer carries."""

import asyncio
import logging
import time
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_twin.service.auth import Keys, bearer
from llm_twin.service.errors import INTERNAL, ApiError, where
from llm_twin.service.limits import Rates
from llm_twin.service.metrics import Metrics
from llm_twin.service.settings import ServiceSettings

HEALTH_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""What is asked by address, and tells nothing."""
OPEN_PATHS: Final = frozenset(
    {
        "/",
        "/static/chat.css",
        "/static/chat.js",
        "/static/icon.svg",
        "/healthz",
        "/readyz",
        "/openapi.json",
    }
)
"""What anybody may read: it holds nothing of the corpus."""
GUARDED_PATHS: Final = frozenset(
    {"/v1/chat/completions", "/v1/models", "/v1/models/{model}", "/v1/feedback", "/metrics"}
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

log = logging.getLogger("llm_twin.service")


class Watch:
    """The outermost layer: headers of every answer, metrics, a line in the log, no traceback."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        """Wrap an application."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        status = 0
        trace = "-"

        async def watched(message: Message) -> None:
            nonlocal status, trace
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
                trace = headers.get("x-trace-id", trace)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:  # noqa: BLE001 - the last place where one can be caught
            log.error("internal error: %s", where(error))  # noqa: TRY400 - values may be secret
            if not status:
                await INTERNAL.response()(scope, receive, watched)
        finally:
            path, method = template(scope["path"]), scope["method"]
            method = method if method in _METHODS else "other"
            seconds = time.monotonic() - started
            self._metrics.request(path, method, status, seconds)
            log.info("%s %s %d %.3fs trace=%s", method, path, status, seconds, trace)


class Gate:
    """Refuses, before a body is read: wrong names, other sites, no key, too often, too much."""

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        keys: Keys | None,
        hosts: frozenset[str] | None,
    ) -> None:
        """Wrap an application.

        Args:
            app: What serves the requests that may pass.
            settings: The limits.
            keys: The keys of which a caller needs one; None where none is needed.
            hosts: The names by which the service may be called; None: by any.
        """
        self._app = app
        self._settings = settings
        self._keys = keys
        self._hosts = hosts
        self._rates = Rates(settings.rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = _Body(receive, self._settings)
        try:
            if scope["path"] not in HEALTH_PATHS:
                self._check_site(headers, scope["method"])
            if scope["path"] not in OPEN_PATHS:
                self._check_caller(headers, scope)
            body.check(headers)
        except ApiError as error:
            await error.response()(scope, receive, send)
            return
        try:
            await self._app(scope, body.receive, send)
        except _UnreadableError as error:
            response = error.told.response()
            # What is left of the body would be taken for the next request.
            response.headers["Connection"] = "close"
            await response(scope, receive, send)

    def _check_site(self, headers: Headers, method: str) -> None:
        host = headers.get("host", "").lower()
        if self._hosts is not None and _without_port(host) not in self._hosts:
            raise ApiError(
                421,
                "The service is not called by this name; the setting service.allowed_hosts lists "
                "those that it answers to.",
                code="wrong_host",
            )
        if self._keys is not None or method in _READING:
            return  # who has a key may send it from anywhere, and browsers don't know it
        origin = headers.get("origin")
        if origin is None or origin in self._settings.cors_origins:
            return
        if urlsplit(origin).netloc.lower() != host:
            raise ApiError(
                403,
                "Pages of other sites may not ask; the setting service.cors_origins lists those "
                "that may.",
                code="cross_site",
            )

    def _check_caller(self, headers: Headers, scope: Scope) -> None:
        client = scope.get("client")
        address = client[0] if client else "unknown"
        if self._keys is None:
            self._rates.take(f"address {address}")
            return
        given = bearer(headers.get("authorization", "").encode("latin-1"))
        owner = None if given is None else self._keys.owner(given)
        if owner is not None:
            self._rates.take(f"key {owner}")
            return
        # Guessing keys has the same limit as asking.
        self._rates.take(f"address {address}")
        problem = "needs an API key" if given is None else "does not know this API key"
        raise ApiError(
            401,
            f"The service {problem}: send it in the header Authorization, after the word Bearer.",
            code="missing_api_key" if given is None else "invalid_api_key",
        )


class _UnreadableError(BaseException):
    """A body that is too long or too slow; no handler of the framework may catch it."""

    def __init__(self, told: ApiError) -> None:
        super().__init__()
        self.told = told


class _Body:
    """Reads a request's body within the limits on its size and its time."""

    def __init__(self, receive: Receive, settings: ServiceSettings) -> None:
        self._receive = receive
        self._most = settings.body_bytes
        self._seconds = settings.body_seconds
        self._until: float | None = None
        self._read = 0
        self._whole = False

    def check(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length[:20]) > self._most:
            raise self._too_large()

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()
        now = time.monotonic()
        self._until = self._until or now + self._seconds
        try:
            async with asyncio.timeout(self._until - now):
                message = await self._receive()
        except TimeoutError:
            told = ApiError(408, "The body took too long to arrive.", code="slow_body")
            raise _UnreadableError(told) from None
        if message["type"] == "http.request":
            self._read += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._read > self._most:
                raise _UnreadableError(self._too_large())
        return message

    def _too_large(self) -> ApiError:
        message = f"The body is too large: at most {self._most} bytes are read."
        return ApiError(413, message, code="body_too_large")


def template(path: str) -> str:
    """Return the path as metrics and logs name it: none that a caller made up is in them."""
    if path.startswith("/v1/models/"):
        return "/v1/models/{model}"
    return path if path in OPEN_PATHS | GUARDED_PATHS else "other"


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host
