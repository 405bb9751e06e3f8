"""The embedded model: its server lives exactly as long as we do."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from llm_twin.errors import TwinError
from llm_twin.generation.embedded import EmbeddedServer

PARENT = """
import sys, time
from llm_twin.generation.embedded import EmbeddedServer
server = EmbeddedServer(parallel=1)
print(server.start().url, server._process.pid, flush=True)
time.sleep(60)
"""


def _gone(pid: int) -> bool:
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_it_answers_to_its_key_alone_and_stops() -> None:
    """It answers to its key alone and stops."""
    server = EmbeddedServer(parallel=1)
    try:
        address = server.start()
        assert server.start() == address
        url = f"{address.url}/v1/chat/completions"
        body = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 3}
        assert address.url.startswith("http://127.0.0.1:")
        assert httpx.post(url, json=body, timeout=60).status_code == 401
        headers = {"Authorization": f"Bearer {address.key}"}
        answer = httpx.post(url, json=body, headers=headers, timeout=60)
        assert answer.json()["usage"]["completion_tokens"] <= 3
    finally:
        server.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address.url}/health")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_it_ends_with_us_even_where_we_are_killed() -> None:
    """It ends with us even where we are killed."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout
        url, pid = parent.stdout.readline().split()
        assert httpx.get(f"{url}/health", timeout=60).is_success
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    assert _gone(int(pid))


def test_weights_that_are_none_are_told_in_one_line(tmp_path: Path) -> None:
    """Weights that are none are told in one line."""
    (tmp_path / "x.gguf").write_bytes(b"not a model")
    server = EmbeddedServer(parallel=1, weights=tmp_path / "x.gguf")
    with pytest.raises(TwinError, match=r"did not start .*LLM_TWIN_ANSWERS_MODE=extractive"):
        server.start()
    server.stop()
