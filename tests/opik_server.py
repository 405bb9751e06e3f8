"""An Opik server on the loopback: `OpikApi` over real HTTP, that fails in every way on demand."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from tests.opik_api import OpikApi

if TYPE_CHECKING:
    import socket

Mode = Literal["ok", "hang", "late", "half", "cut", "garbage", "page"] | int
"""How it answers: as it should; never; never, after it took the records; with half an answer, after
it took them; with nothing, in the middle of a request; with what is no HTTP; with a web page; with
a status."""

SMALLEST_GZIP: Final = 256


class OpikServer:
    """The server; use it in a `with` block.

    Attributes:
        api: What it keeps.
        mode: How it answers.
        retry_after: The header Retry-After beside a status.
        limit: The longest body in bytes, unpacked, that it takes; longer ones get 413.
        key: The API key that it wants, None for any.
        requests: How many requests came, whatever was answered.
    """

    def __init__(self) -> None:
        self.api = OpikApi()
        self.mode: Mode = "ok"
        self.retry_after: str | None = None
        self.limit: int | None = None
        self.key: str | None = None
        self.requests = 0
        self.lock = threading.Lock()
        self.gone = threading.Event()
        self._port = 0
        self._http: _Http | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What `opik.url` has to be; the port stays the same after a restart."""
        return f"http://127.0.0.1:{self._port}/api"

    def start(self) -> None:
        """Listen, at the same port as before."""
        self.gone.clear()
        self._http = _Http(self, self._port)
        self._port = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on; those that are open end."""
        self.gone.set()
        if self._http is not None and self._thread is not None:
            self._http.shutdown()
            self._http.end()
            self._thread.join()
        self._http = None

    @contextmanager
    def failing(self, mode: Mode) -> Iterator[None]:
        """Answer in another way for a while."""
        self.mode = mode
        try:
            yield
        finally:
            self.mode = "ok"


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, opik: OpikServer, port: int) -> None:
        self.opik = opik
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - its base's
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - its base's
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away, or is killed, is a part of the tests."""

    def end(self) -> None:
        self.server_close()
        for connection in list(self._open):
            self.shutdown_request(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's
        """Say nothing."""

    def _handle(self) -> None:
        opik = self.server.opik
        mode = opik.mode
        with opik.lock:
            opik.requests += 1
        if mode == "cut":
            self.rfile.read(10)
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        if len(raw) < length:  # the client died
            self.close_connection = True
            return
        if mode == "hang":
            opik.gone.wait()
            self.close_connection = True
            return
        status, answer = self._answer(mode, raw)
        if mode == "late":
            opik.gone.wait()
            self.close_connection = True
        elif mode == "garbage":
            self.wfile.write(b"\x16\x03\x01\x00\x02\xff\xfe no HTTP at all\r\n\r\n")
            self.close_connection = True
        elif mode == "half":
            self.wfile.write(b"HTTP/1.1 204 No Cont")
            self.close_connection = True
        elif mode == "page":
            self._send(200, b"<html>Please log in</html>", "text/html; charset=utf-8")
        else:
            self._send(status, answer, "application/json")

    def _answer(self, mode: Mode, raw: bytes) -> tuple[int, bytes]:
        opik = self.server.opik
        if isinstance(mode, int):
            return mode, json.dumps({"code": mode, "message": f"HTTP {mode}"}).encode()
        asks_for_key = opik.key is not None and not self.path.endswith("/ping")
        if asks_for_key and self.headers.get("Authorization") != opik.key:
            said = {"code": 401, "message": f"wrong key {self.headers.get('Authorization')}"}
            return 401, json.dumps(said).encode()
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        elif len(raw) >= SMALLEST_GZIP:
            with opik.lock:
                opik.api.problems.append("a long body is not compressed")
        if opik.limit is not None and len(raw) > opik.limit:
            return 413, b'{"message": "Request Entity Too Large"}'
        if mode in {"garbage", "page"}:
            return 200, b""
        with opik.lock:
            path = self.path.partition("?")[0]
            status, answer = opik.api.take(self.command, path, json.loads(raw or b"{}"))
        if self.path.endswith("/search") and status == 200:
            return status, b"".join(json.dumps(row).encode() + b"\n" for row in answer)
        return status, b"" if answer is None else json.dumps(answer).encode()

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        if self.server.opik.retry_after is not None and status >= 400:
            self.send_header("Retry-After", self.server.opik.retry_after)
        self.end_headers()
        if status != 204:
            self.wfile.write(body)
