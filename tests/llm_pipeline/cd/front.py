"""A registry on this machine, as a server: what stands in front of memory or of a real registry.

It can ask for a login, refuse to move a tag, and fail in the ways that registries and networks do.
"""

import base64
import http.client
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from llm_pipeline.cd.oci import digest_of

Reply = tuple[int, dict[str, str], bytes]
LOST = -1
"""In place of a status: the connection is cut, after the backend did its work."""
CUT = -2
"""In place of a status: the connection is cut before anything is done."""


def error(status: int, code: str, message: str = "", **headers: str) -> Reply:
    """An error in the form of the distribution specification."""
    body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
    return status, {"Content-Type": "application/json", **headers}, body


@dataclass
class Ask:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def parts(self) -> list[str]:
        """The path after /v2/ in pieces from its end: `[..., "manifests", "v1"]`."""
        return urlsplit(self.path).path.strip("/").split("/")

    @property
    def tag(self) -> str | None:
        """The tag that is written, if one is."""
        name = self.parts[-1]
        writes = self.method == "PUT" and self.parts[-2:-1] == ["manifests"]
        return name if writes and ":" not in name else None


class Backend(Protocol):
    """What has the images."""

    def answer(self, ask: Ask) -> Reply:
        """Do what is asked."""


@dataclass
class Fault:
    """What goes wrong with requests that fit: each of the replies once, then nothing any more."""

    fits: Callable[[Ask], bool]
    replies: list[Reply]


@dataclass
class Front:
    """The server's state, which a test may change at any time."""

    backend: Backend
    login: tuple[str, str] | None = None
    bearer: bool = False
    immutable: bool = True
    faults: list[Fault] = field(default_factory=list)
    seen: list[Ask] = field(default_factory=list)
    gate: threading.Barrier | None = None
    tokens: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    host: str = ""

    def fail(self, method: str, part: str, *replies: Reply) -> None:
        """Fail the next requests of a method whose path holds a part."""
        self.faults.append(
            Fault(lambda ask: ask.method == method and part in ask.path, list(replies))
        )

    def answer(self, ask: Ask) -> Reply:
        """Answer a request: a fault, a login, an immutable tag, or the backend's answer."""
        self.seen.append(ask)
        if ask.tag and self.gate:  # nobody writes a tag before all want to
            self.gate.wait()
        for fault in self.faults:
            if fault.replies and fault.fits(ask):
                reply = fault.replies.pop(0)
                if reply[0] == LOST:
                    self.settled(ask)
                return reply
        return self.settled(ask)

    def settled(self, ask: Ask) -> Reply:
        """Answer without faults."""
        if urlsplit(ask.path).path == "/token":
            return self.token(ask)
        if self.login and not self.authorised(ask):
            return error(401, "UNAUTHORIZED", "authentication required", **self.challenge())
        if self.immutable and ask.tag and not ask.tag.startswith("sha256-"):
            with self.lock:
                return self.new_tag(ask)
        return self.backend.answer(ask)

    def new_tag(self, ask: Ask) -> Reply:
        """Write a tag, unless it names something else (in ECR's words)."""
        accept = {"Accept": "application/vnd.oci.image.index.v1+json, application/vnd.oci.image"}
        accept["Accept"] += ".manifest.v1+json"
        status, headers, _ = self.backend.answer(Ask("HEAD", ask.path, accept, b""))
        there = headers.get("Docker-Content-Digest")
        if status == 200 and there != digest_of(ask.body):
            return error(
                400,
                "TAG_INVALID",
                f"The image tag '{ask.tag}' already exists in the 'team/twin' repository and "
                "cannot be overwritten because the tag is immutable.",
            )
        return self.backend.answer(ask)

    def challenge(self) -> dict[str, str]:
        """What asks for a login."""
        kind = f'Bearer realm="http://{self.host}/token",service="test"' if self.bearer else "Basic"
        return {"WWW-Authenticate": kind}

    def basic(self, ask: Ask) -> bool:
        """Whether the request has the name and the password."""
        wanted = base64.b64encode(":".join(self.login or ()).encode()).decode()
        return ask.headers.get("authorization") == f"Basic {wanted}"

    def authorised(self, ask: Ask) -> bool:
        """Whether the request has what was asked for."""
        if not self.bearer:
            return self.basic(ask)
        return ask.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens

    def token(self, ask: Ask) -> Reply:
        """Give a token for name and password."""
        query = parse_qs(urlsplit(ask.path).query)
        if not self.basic(ask) or query.get("service") != ["test"]:
            return error(401, "UNAUTHORIZED", "incorrect username or password")
        self.tokens.add(token := secrets.token_hex(8))
        return 200, {"Content-Type": "application/json"}, json.dumps({"token": token}).encode()


@dataclass
class Forward:
    """Hands requests on to a real registry on this machine."""

    host: str

    def answer(self, ask: Ask) -> Reply:
        """Send it on, and hand back what comes."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            drop = {"connection", "content-length"}
            headers = {key: text for key, text in ask.headers.items() if key.lower() not in drop}
            connection.request(ask.method, ask.path, ask.body, headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        kept = {key: text for key, text in response.getheaders() if key != "Date"}
        return response.status, kept, body


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, front: Front) -> None:
        self.front = front
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for an answer; with two the second waits for the first's receipt
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def respond(self) -> None:
        """Answer one request."""
        length = int(self.headers.get("Content-Length") or 0)
        headers = {key.lower(): text for key, text in self.headers.items()}
        front = self.server.front
        ask = Ask(self.command, self.path, headers, self.rfile.read(length))
        status, told, body = front.answer(ask)
        if status < 0:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(2)
            return
        self.send_response(status)
        for key, text in told.items():
            if key.lower() not in {"content-length", "transfer-encoding", "connection"}:
                self.send_header(key, text)
        size = told.get("Content-Length", "0") if self.command == "HEAD" else str(len(body))
        self.send_header("Content-Length", size)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = respond  # noqa: N815 - http.server's names


@contextmanager
def serving(front: Front) -> Iterator[Front]:
    """Serve on a free port of this machine until the end of the block."""
    server = _Server(front)
    front.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
