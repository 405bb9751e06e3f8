"""What is refused, how, and when to try again."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.llm_server import LlmServer, llm_server
from tests.llm_twin.service.running import Service, question, running

KEY = "a-key-of-a-caller-0123456789"
OTHER = "another-callers-key-0123456789"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def slow() -> Iterator[LlmServer]:
    """The language model behind `strict`."""
    with llm_server() as server:
        yield server


@pytest.fixture(scope="module")
def strict(
    corpus: Path, slow: LlmServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service with keys and narrow limits."""
    with running(
        corpus,
        tmp_path_factory.mktemp("strict"),
        LLM_TWIN_MODEL_URL=slow.url,
        LLM_TWIN_SERVICE_API_KEYS=f"{KEY},{OTHER}",
        LLM_TWIN_SERVICE_BODY_BYTES="20000",
        LLM_TWIN_SERVICE_BODY_SECONDS="1",
        LLM_TWIN_SERVICE_MESSAGES="3",
        LLM_TWIN_SERVICE_CHARACTERS="1000",
        LLM_TWIN_SERVICE_MAX_TOKENS="50",
        LLM_TWIN_SERVICE_CONCURRENCY="1",
        LLM_TWIN_SERVICE_QUEUE="1",
        LLM_TWIN_SERVICE_QUEUE_SECONDS="2",
        LLM_TWIN_SERVICE_CORS_ORIGINS="https://friend.example.com",
    ) as service:
        yield service


@pytest.fixture
def client(strict: Service) -> Iterator[httpx.Client]:
    """A client with a key."""
    with strict.client(KEY) as made:
        yield made


def code(response: httpx.Response) -> str:
    """Return the word for programs in an error."""
    found = response.json()["error"]["code"]
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, "missing_api_key"),
        ("", "missing_api_key"),
        ("Bearer", "missing_api_key"),
        (f"Basic {KEY}", "missing_api_key"),
        (f"Bearer {KEY}x", "invalid_api_key"),
        (f"Bearer {KEY[:-1]}", "invalid_api_key"),
        (f"Bearer {KEY},{OTHER}", "invalid_api_key"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/feedback"),
        ("GET", "/v1/models"),
        ("GET", "/metrics"),
        ("GET", "/v1/none"),
    ],
)
def test_no_key(strict: Service, method: str, path: str, header: str | None, expected: str) -> None:
    """Without a key that is known nothing is told, not even which paths there are."""
    headers = {} if header is None else {"Authorization": header}
    with strict.client() as client:
        response = client.request(method, path, headers=headers)
    assert (response.status_code, code(response)) == (401, expected)
    assert response.headers["www-authenticate"] == "Bearer"


def test_open_paths_need_no_key(strict: Service) -> None:
    """The page, which asks for the key, and the health checks are open."""
    with strict.client() as client:
        for path in ("/", "/static/chat.js", "/healthz", "/readyz", "/openapi.json"):
            assert client.get(path).status_code == 200, path


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_each_key_is_known(strict: Service, key: str) -> None:
    """Every key of the list lets its caller in; the scheme's case does not matter."""
    with strict.client() as client:
        headers = {"Authorization": f"bearer {key}"}
        assert client.get("/v1/models", headers=headers).status_code == 200


def test_body_too_large(client: httpx.Client) -> None:
    """A body that says that it is too large is refused before it is sent."""
    response = client.post("/v1/chat/completions", json=question("x" * 30_000))
    assert (response.status_code, code(response)) == (413, "body_too_large")


def test_body_too_large_that_does_not_say_so(client: httpx.Client) -> None:
    """A body in chunks is counted while it comes."""

    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield b" " * 1000

    response = client.post("/v1/chat/completions", content=chunks(), headers=JSON)
    assert (response.status_code, code(response)) == (413, "body_too_large")


@pytest.mark.parametrize("length", ["-1", "1_0", "9" * 40])
def test_strange_lengths(strict: Service, length: str) -> None:
    """A length that is none is an error of the caller."""
    host, port = strict.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        request = f"POST /v1/feedback HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
        connection.sendall(f"{request}Content-Length: {length}\r\n\r\n".encode())
        assert connection.recv(100).split(b" ")[1] in {b"400", b"413"}


def test_body_that_does_not_come(strict: Service) -> None:
    """Who sends a body byte by byte does not hold the service."""
    host, port = strict.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        request = f"POST /v1/feedback HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {KEY}\r\n"
        connection.sendall(f"{request}Content-Length: 100\r\n\r\n{{".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "hi"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x" * 1001}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x"}] * 4}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": " "}]}, "messages.0.content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages.0.content",
        ),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "5"}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
        ({"n": 2}, "n"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format.type"),
        ({"temprature": 1}, "temprature"),
    ],
)
def test_wrong_fields(client: httpx.Client, fields: dict[str, object], param: str) -> None:
    """A field that is wrong, or would change the answer's shape, is refused and named."""
    response = client.post("/v1/chat/completions", json=question() | fields)
    error = response.json()["error"]
    assert response.status_code == 422
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(param)


def test_more_tokens_than_allowed_are_as_many_as_allowed(
    client: httpx.Client, slow: LlmServer
) -> None:
    """A caller may ask for fewer tokens than the service allows, not for more."""
    slow.reset("It is fired at 1240 degrees [1].")
    for wanted in (7, 10_000_000):
        client.post("/v1/chat/completions", json=question(max_tokens=wanted)).raise_for_status()
    assert [body["max_tokens"] for body in slow.asked] == [7, 50]


def test_queue_is_full(strict: Service, slow: LlmServer) -> None:
    """One runs, one waits, the third is told at once when to come back."""
    slow.reset("It is fired at 1240 degrees [1].")
    slow.pause = 0.15

    def ask() -> httpx.Response:
        with strict.client(KEY) as client:
            return client.post("/v1/chat/completions", json=question())

    with ThreadPoolExecutor(3) as pool:
        waiting = []
        for number in range(2):
            waiting.append(pool.submit(ask))
            wait_for(strict, f"llm_twin_requests_waiting {float(number)}")
        started = time.monotonic()
        third = ask()
        seconds = time.monotonic() - started
        assert [each.result().status_code for each in waiting] == [200, 200]
    assert (third.status_code, code(third)) == (503, "overloaded")
    assert int(third.headers["retry-after"]) >= 1
    assert seconds < 1
    assert slow.most == 1


def test_wait_is_too_long(strict: Service, slow: LlmServer) -> None:
    """Who waits in vain is told so, and leaves the queue."""
    slow.reset("A long answer that never ends.")
    slow.behaviour = "hang"
    stop = threading.Event()

    def hold() -> None:
        with (
            strict.client(KEY) as client,
            client.stream("POST", "/v1/chat/completions", json=question(stream=True)),
        ):
            stop.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        slow.wait_for(lambda server: server.running == 1)
        with strict.client(KEY) as client:
            response = client.post("/v1/chat/completions", json=question())
    finally:
        slow.behaviour = "close"
        slow.stopped.set()
        stop.set()
        thread.join()
        slow.stopped.clear()
    assert (response.status_code, code(response)) == (503, "overloaded")


def wait_for(service: Service, line: str) -> None:
    """Wait until a line is among the metrics, and something runs.

    Raises:
        TimeoutError: It didn't.
    """
    until = time.monotonic() + 20
    with service.client(KEY) as client:
        while time.monotonic() < until:
            lines = client.get("/metrics").text.splitlines()
            if line in lines and "llm_twin_answers_running 1.0" in lines:
                return
            time.sleep(0.02)
    raise TimeoutError(line)


def test_rate(corpus: Path, tmp_path: Path) -> None:
    """Each key has its own share; who has none left is told when there will be more."""
    with running(
        corpus,
        tmp_path,
        LLM_TWIN_SERVICE_API_KEYS=f"{KEY},{OTHER}",
        LLM_TWIN_SERVICE_RATE="3/hour",
    ) as service:
        with service.client(KEY) as client:
            answers = [client.get("/v1/models") for _ in range(4)]
            assert client.get("/healthz").status_code == 200
        with service.client(OTHER) as client:
            assert client.get("/v1/models").status_code == 200
        with service.client("x" * 20) as client:
            guesses = [client.get("/v1/models").status_code for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert code(answers[-1]) == "rate_limit_exceeded"
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3601
    assert guesses == [401, 401, 401, 429]


def test_other_origins(strict: Service) -> None:
    """Pages of the origins that are listed may ask, with a key; others get no leave."""
    ask = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    with strict.client() as client:
        friend = {"Origin": "https://friend.example.com"}
        allowed = client.options("/v1/chat/completions", headers=friend | ask)
        stranger = {"Origin": "https://stranger.example.com"}
        refused = client.options("/v1/chat/completions", headers=stranger | ask)
    assert allowed.headers["access-control-allow-origin"] == "https://friend.example.com"
    assert "access-control-allow-origin" not in refused.headers


def test_no_origin_by_default(service: Service) -> None:
    """Without settings no other site's page may ask, and none may reach us by its own name."""
    with service.client() as client:
        asked = {"Origin": "https://stranger.example.com"}
        response = client.post("/v1/chat/completions", json=question(), headers=asked)
        assert (response.status_code, code(response)) == (403, "cross_site")
        assert "access-control-allow-origin" not in client.get("/v1/models", headers=asked).headers
        own = {"Origin": service.url}
        assert client.post("/v1/chat/completions", json=question(), headers=own).status_code == 200
        for host in ("rebound.example.com", "rebound.example.com:8000", ""):
            response = client.get("/v1/models", headers={"Host": host})
            assert (response.status_code, code(response)) == (421, "wrong_host")
        for host in ("localhost", "LOCALHOST:80", "127.0.0.1:1234", "[::1]:1"):
            assert client.get("/v1/models", headers={"Host": host}).status_code == 200
