"""A model that fails, callers who leave, signals, and settings that can't work."""

import json
import os
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.llm_server import Behaviour, LlmServer, llm_server
from tests.llm_twin.service.conftest import ANSWER
from tests.llm_twin.service.running import COMMAND, Service, events, llm_twin, question, running


@pytest.mark.parametrize(
    "behaviour", ["garbage", "html", "half", "error", "close", "refuse", "hang"]
)
@pytest.mark.parametrize("stream", [False, True])
def test_model_that_fails(
    corpus: Path, llm: LlmServer, service: Service, behaviour: Behaviour, *, stream: bool
) -> None:
    """Whatever the model does, the caller gets an answer or an error in words, and a trace."""
    del corpus
    llm.behaviour = behaviour
    with service.client() as client:
        response = client.post("/v1/chat/completions", json=question(stream=stream))
        trace = response.headers["x-trace-id"]
        told = list(events(response)) if stream and response.status_code == 200 else []
        llm.reset(ANSWER)
        again = client.post("/v1/chat/completions", json=question())
    assert again.status_code == 200
    assert again.json()["choices"][0]["message"]["content"] == ANSWER
    if told:
        assert told[-1] is None or set(told[-1]) == {"error"}
    elif response.status_code == 200:
        assert response.json()["twin"]["citations"]
    else:
        assert response.status_code in {503, 504}
        assert response.json()["error"]["message"]
    assert "Traceback" not in service.log.read_text()
    assert trace in [each["trace"]["id"] for each in service.traces()]


@pytest.mark.parametrize("stream", [False, True])
def test_caller_who_leaves_ends_the_work(llm: LlmServer, service: Service, *, stream: bool) -> None:
    """When the caller goes away the model's work ends at once, and the trace tells of it."""
    llm.says = lambda _messages: "word " * 2000
    llm.pause = 0.02
    host, port = service.url.removeprefix("http://").split(":")
    with service.client() as client:
        request = client.build_request("POST", "/v1/chat/completions", json=question(stream=stream))
    lines = [f"POST {request.url.path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + request.read())
        llm.wait_for(lambda server: server.running == 1)
        if stream:
            connection.recv(1000)
    llm.wait_for(lambda server: server.running == 0 and server.left == 1)
    wait_until(lambda: any("cancelled" in str(each) for each in service.traces()))


def wait_until(holds: Any) -> None:  # noqa: ANN401 - a function without arguments
    """Wait until something holds.

    Raises:
        TimeoutError: It didn't.
    """
    until = time.monotonic() + 20
    while not holds():
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.05)


def test_sigterm_lets_answers_end(corpus: Path, tmp_path: Path) -> None:
    """On SIGTERM an answer in the making comes whole, new callers get none, the exit code is 0."""
    with llm_server() as llm, running(corpus, tmp_path, LLM_TWIN_MODEL_URL=llm.url) as service:
        llm.reset(ANSWER)
        llm.pause = 0.3
        with (
            service.client() as client,
            client.stream("POST", "/v1/chat/completions", json=question(stream=True)) as response,
        ):
            llm.wait_for(lambda server: server.running == 1)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(httpx.ConnectError), service.client() as other:
                other.get("/healthz")
            told = list(events(response))
        assert told[-1] is None
        assert service.process.wait(30) == 0
    pieces = [each["choices"][0]["delta"].get("content", "") for each in told[:-1] if each]
    assert "".join(pieces) == ANSWER
    assert len(service.traces()) == 1


def test_sigterm_does_not_wait_for_ever(corpus: Path, tmp_path: Path) -> None:
    """What is not done when the time is over is broken off, and has its trace."""
    with (
        llm_server() as llm,
        running(
            corpus,
            tmp_path,
            LLM_TWIN_MODEL_URL=llm.url,
            LLM_TWIN_SERVICE_DRAIN_SECONDS="1",
        ) as service,
    ):
        llm.behaviour = "hang"

        def ask() -> httpx.Response:
            with service.client() as client:
                return client.post("/v1/chat/completions", json=question())

        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask)
            llm.wait_for(lambda server: server.running == 1)
            started = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - started < 20
            response = asked.result()
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "stopping"
    assert "Traceback" not in service.log.read_text()
    assert len(service.traces()) == 1


def test_interrupt(corpus: Path, tmp_path: Path) -> None:
    """Ctrl-C ends with 130, and leaves no traceback."""
    with running(corpus, tmp_path) as service:
        assert service.stop(signal.SIGINT) == 130
    assert "Traceback" not in service.log.read_text()


def refused(tmp_path: Path, *arguments: str, **variables: str) -> tuple[int, str]:
    """Run a service that can't; return its exit code and its only line."""
    done = subprocess.run(
        [COMMAND, "serve", *arguments],
        cwd=tmp_path,
        env=os.environ | {"LLM_TWIN_HOME": str(tmp_path / "home")} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])  # noqa: S104 - refused
def test_no_key_off_the_loopback(tmp_path: Path, host: str) -> None:
    """Where others can reach it, the service does not start without a key."""
    told = refused(tmp_path, "--host", host)
    assert told[0] == 2
    assert "set LLM_TWIN_SERVICE_API_KEYS" in told[1]


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"API_KEYS": "short"}, "at least 16 characters"),
        ({"API_KEYS": "x" * 16, "AUTH": "off"}, "unset one of the two"),
        ({"AUTH": "required"}, "set LLM_TWIN_SERVICE_API_KEYS"),
        ({"AUTH": "maybe"}, "LLM_TWIN_SERVICE_AUTH"),
        ({"RATE": "often"}, "such as 60/minute"),
        ({"QUEUE": "-1"}, "LLM_TWIN_SERVICE_QUEUE"),
        ({"CORS_ORIGINS": "https://example.com/page"}, "such as https://example.com"),
        ({"CORS_ORIGINS": "*"}, "such as https://example.com"),
    ],
)
def test_wrong_settings(tmp_path: Path, variables: dict[str, str], problem: str) -> None:
    """A setting that can't work is told before anything starts."""
    named = {f"LLM_TWIN_SERVICE_{name}": value for name, value in variables.items()}
    code, line = refused(tmp_path, **named)
    assert code == 2
    assert problem in line


def test_port_is_taken(tmp_path: Path) -> None:
    """A port that another has ends with 3 and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, line = refused(tmp_path, "--port", str(taken.getsockname()[1]))
    assert code == 3
    assert "Address already in use; choose others with --host and --port" in line


def test_no_corpus(tmp_path: Path) -> None:
    """Without an index the service says which command makes one."""
    code, line = refused(tmp_path, "--port", "0")
    assert code in {2, 3}
    assert "llm-twin ingest" in line


def test_spool_that_is_full_gives_no_whole_answer(corpus: Path, tmp_path: Path) -> None:
    """Where a trace can't be kept the caller gets an error in the place of the answer's end."""
    with (
        llm_server() as llm,
        running(
            corpus,
            tmp_path,
            LLM_TWIN_MODEL_URL=llm.url,
            LLM_TWIN_TRACING_WHEN_FULL="refuse",
            LLM_TWIN_TRACING_MAX_MEGABYTES="1",
            LLM_TWIN_SERVICE_CHARACTERS="1000000",
        ) as service,
    ):
        llm.reset(ANSWER)
        told: list[Any] = []
        with service.client() as client:
            for _ in range(20):
                body = question(f"How hot is the kiln? {'why ' * 50_000}", stream=True)
                response = client.post("/v1/chat/completions", json=body)
                told = list(events(response))
                if told[-1] is not None:
                    break
    assert told[-1] is not None
    assert set(told[-1]) == {"error"}
    assert "full" in told[-1]["error"]["message"]


def test_reader_who_does_not_read_loses_the_turn(corpus: Path, tmp_path: Path) -> None:
    """A caller who takes nothing of a long answer does not keep others from theirs."""
    with (
        llm_server() as llm,
        running(
            corpus,
            tmp_path,
            LLM_TWIN_MODEL_URL=llm.url,
            LLM_TWIN_SERVICE_CONCURRENCY="1",
            LLM_TWIN_SERVICE_ANSWER_SECONDS="4",
            LLM_TWIN_SERVICE_QUEUE_SECONDS="60",
        ) as service,
    ):
        llm.says = lambda _messages: f"{'x' * 1_000_000} " * 12
        host, port = service.url.removeprefix("http://").split(":")
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((host, int(port)))
            body = json.dumps(question(stream=True)).encode()
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            assert connection.recv(15) == b"HTTP/1.1 200 OK"  # and not a byte of the answer
            llm.says = lambda _messages: ANSWER
            with service.client() as client:
                response = client.post("/v1/chat/completions", json=question())
                assert response.json()["choices"][0]["message"]["content"] == ANSWER
                metrics = client.get("/metrics").text
    assert 'llm_twin_answers_total{kind="failed"} 1.0' in metrics


def test_help_names_the_command(tmp_path: Path) -> None:
    """`llm-twin --help` and `llm-twin serve --help` tell of it."""
    assert "serve" in llm_twin("--help", home=tmp_path / "home").stdout
    assert "--port" in llm_twin("serve", "--help", home=tmp_path / "home").stdout
