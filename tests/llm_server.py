"""A language model's server that speaks OpenAI's API on the loopback and does as it is told.

It is a real HTTP server in a thread of its own, so that what is tested talks to it as it would to
any other. What it says, and how it fails, is set while it runs.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal

Behaviour = Literal[
    "answer", "hang", "hang after a token", "garbage", "html", "half", "error", "close", "refuse"
]
MODEL: Final = "loopback"
_PATIENCE: Final = 60.0  # seconds that a hanging answer hangs at most


@dataclass
class LlmServer:
    """What the server does, and what it saw.

    Attributes:
        url: Where it is, for the setting `model.url`.
        says: Makes the answer of the messages.
        behaviour: What it does with the next requests.
        pause: Seconds before each token.
        asked: The bodies of the requests, oldest first.
        running: Answers in the making.
        most: Most answers that were in the making at once.
        left: Answers that nobody was there to read to their end.
    """

    url: str = ""
    says: Callable[[list[dict[str, Any]]], str] = lambda _messages: "It is so [1]."
    behaviour: Behaviour = "answer"
    pause: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    running: int = 0
    most: int = 0
    left: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self, says: str) -> None:
        """Answer properly, forget what was seen.

        Args:
            says: Every answer.
        """
        with self.lock:
            self.says = lambda _messages: says
            self.behaviour, self.pause = "answer", 0.0
            self.asked.clear()
            self.most = self.left = 0

    def wait_for(self, reached: Callable[["LlmServer"], bool], seconds: float = 20.0) -> None:
        """Wait until something holds.

        Raises:
            TimeoutError: It didn't.
        """
        until = time.monotonic() + seconds
        while not reached(self):
            if time.monotonic() > until:
                raise TimeoutError("the language model's server did not see it")
            time.sleep(0.01)


@contextmanager
def llm_server() -> Iterator[LlmServer]:
    """Run a server as long as the `with` block."""
    server = LlmServer()

    class Handler(_Handler):
        told = server

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    server.url = f"http://127.0.0.1:{httpd.server_address[1]}/v1"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        httpd.shutdown()
        thread.join()
        httpd.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    told: LlmServer

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        if self.path.endswith("/models"):
            self._json(200, {"object": "list", "data": [{"id": MODEL, "object": "model"}]})
        else:
            self._json(200, {"status": "ok"})

    def do_POST(self) -> None:
        told = self.told
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with told.lock:
            told.asked.append(body)
            told.running += 1
            told.most = max(told.most, told.running)
        try:
            self._behave(body, told.behaviour)
        except OSError:
            self.close_connection = True
            with told.lock:
                told.left += 1
        finally:
            with told.lock:
                told.running -= 1

    def _behave(self, body: dict[str, Any], behaviour: Behaviour) -> None:
        if behaviour == "hang":
            self._hang()
        elif behaviour == "close":
            self.close_connection = True
        elif behaviour == "html":
            self._send(200, "text/html", b"<html><body>Please log in</body></html>")
        elif behaviour == "garbage":
            self._send(200, "text/event-stream", b"data: {not json\n\ndata: \xff\xfe\n\n")
        elif behaviour == "error":
            self._json(500, {"error": {"message": "out of memory"}})
        elif behaviour == "refuse":
            self._json(401, {"error": {"message": "wrong key"}})
        elif body.get("stream"):
            self._stream(body, behaviour)
        else:
            self._whole(body)

    def _stream(self, body: dict[str, Any], behaviour: Behaviour) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        pieces = _pieces(self.told.says(body["messages"]))
        for number, piece in enumerate(pieces):
            if behaviour == "half" and number == len(pieces) // 2:
                return
            if self.told.stopped.wait(self.told.pause):
                return
            self._event(_chunk({"content": piece}))
            if behaviour == "hang after a token":
                self._hang()
        self._event(_chunk({}, "stop") | {"usage": _usage(body, len(pieces))})
        self.wfile.write(b"data: [DONE]\n\n")

    def _whole(self, body: dict[str, Any]) -> None:
        text = self.told.says(body["messages"])
        message = {"role": "assistant", "content": text}
        self._json(
            200,
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1,
                "model": MODEL,
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": _usage(body, len(_pieces(text))),
            },
        )

    def _hang(self) -> None:
        """Say nothing until the caller leaves, which is what the read notices."""
        self.connection.settimeout(0.1)
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and not self.told.stopped.is_set():
            with suppress(TimeoutError):
                if not self.connection.recv(1):
                    raise ConnectionResetError
        self.close_connection = True

    def _event(self, chunk: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()

    def _json(self, status: int, body: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)]


def _chunk(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": MODEL,
        "choices": [choice],
    }


def _usage(body: dict[str, Any], written: int) -> dict[str, int]:
    read = sum(len(str(message["content"]).split()) for message in body["messages"])
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
