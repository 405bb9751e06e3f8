"""Runs the application until a signal comes, then lets answers in the making end."""

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Final

import uvicorn

from llm_twin.errors import TwinError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from llm_twin.service.settings import ServiceSettings

INTERRUPTED: Final = 130
_BACKLOG: Final = 512
_LAST_WORDS: Final = 5.0  # seconds for answers that are broken off to be recorded


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: A name or address.
        port: The port; 0 takes one that is free.

    Raises:
        TwinError: The address is not of this machine, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _no_address(host, port, error) from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise _no_address(host, port, error) from None
    return bound


def address_of(bound: socket.socket) -> str:
    """Return the address of a listening socket, as a browser takes it."""
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}"


class Server(uvicorn.Server):
    """A server that drains on SIGTERM and SIGINT, and tells which of them came.

    Attributes:
        signals: The signals that came.
    """

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        """Prepare to serve.

        Args:
            config: What uvicorn needs to know.
            stopping: Called when the first signal comes.
        """
        super().__init__(config)
        self.signals: list[int] = []
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals while it serves, and not raise them again when all is done."""
        before = {
            each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; a second Ctrl-C does not wait for answers in the making."""
        self.signals.append(sig)
        self._stopping()
        super().handle_exit(sig, frame)


async def serve(
    app: "FastAPI",
    settings: "ServiceSettings",
    bound: socket.socket,
    stopping: Callable[[], None],
) -> int:
    """Serve until a signal comes.

    Args:
        app: The application.
        settings: The service's settings.
        bound: The socket on which to serve; closed at the end.
        stopping: Called when the signal comes.

    Returns:
        The exit code: 0 after SIGTERM, 130 after Ctrl-C.
    """
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )
    server = Server(config, stopping)
    await server.serve(sockets=[bound])
    if broken_off := set(server.server_state.tasks):
        await asyncio.wait(broken_off, timeout=_LAST_WORDS)
    return INTERRUPTED if signal.SIGINT in server.signals else 0


def _no_address(host: str, port: int, error: OSError) -> TwinError:
    reason = error.strerror or type(error).__name__
    return TwinError(
        f"can't listen on {host}, port {port}: {reason}; choose others with --host and --port"
    )
