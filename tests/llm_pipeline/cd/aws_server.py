"""Servers on this machine that answer as GitHub and as AWS do when something is wrong."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Reply = tuple[int, bytes]


def jwt(subject: str) -> str:
    """A token of that subject, with a signature that nobody checks here."""
    parts = [json.dumps(part).encode() for part in ({"alg": "RS256"}, {"sub": subject})]
    head, body = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.c2lnbmF0dXJl"


def sts(code: str, message: str, status: int = 400) -> Reply:
    """An error of AWS's query protocol, as STS uses it."""
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, f"{body}</ErrorResponse>".encode()


def ecr(code: str, message: str, status: int = 400) -> Reply:
    """An error of AWS's JSON protocol, as ECR uses it."""
    return status, json.dumps({"__type": code, "message": message}).encode()


@dataclass
class Answers:
    """What a server answers: the next of these, the last one again and again; and what it saw."""

    replies: list[Reply]
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    address: str = ""

    def next(self, path: str, headers: dict[str, str]) -> Reply:
        """Answer a request."""
        self.seen.append((path, headers))
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@dataclass
class GitHub(Answers):
    """GitHub's endpoint for tokens: it checks the bearer and wants an audience."""

    bearer: str = "bearer"
    subject: str = "repo:o/r:ref:refs/heads/main"

    def next(self, path: str, headers: dict[str, str]) -> Reply:
        """Answer a request."""
        if self.replies:
            return super().next(path, headers)
        self.seen.append((path, headers))
        audience = parse_qs(urlsplit(path).query).get("audience")
        if headers.get("authorization") != f"Bearer {self.bearer}":
            return 401, b'{"message": "bad credentials"}'
        if audience not in (["sts.amazonaws.com"], ["sigstore"]):
            return 400, b'{"message": "no audience"}'
        return 200, json.dumps({"value": jwt(self.subject)}).encode()


@contextmanager
def answering(answers: Answers) -> Iterator[Answers]:
    """Serve on a free port of this machine until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def respond(self) -> None:
            """Answer one request."""
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {key.lower(): text for key, text in self.headers.items()}
            status, body = answers.next(self.path, headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = respond  # noqa: N815 - http.server's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    answers.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
