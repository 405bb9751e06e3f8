"""The service where there is no network at all: its default path needs none."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository import ROOT

pytestmark = pytest.mark.netns

# Brings up the loopback, shows that nothing else is there, serves and asks.
INSIDE = """
import fcntl, socket, struct, sys
from pathlib import Path

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
assert [name for _, name in socket.if_nameindex()] == ["lo"]

from tests.llm_twin.service.running import events, question, running

with running(Path(sys.argv[1]), Path(sys.argv[2])) as service, service.client() as client:
    whole = client.post("/v1/chat/completions", json=question())
    twin = whole.raise_for_status().json()["twin"]
    assert "1240" in whole.json()["choices"][0]["message"]["content"], whole.text
    assert twin["citations"][0]["source"].endswith("kiln.md"), whole.text
    assert twin["problem"] is None, whole.text
    told = list(events(client.post("/v1/chat/completions", json=question(stream=True))))
    assert told[-1] is None
    assert client.get("/").status_code == 200
    assert service.stop() == 0
"""


def test_no_network(corpus: Path, tmp_path: Path) -> None:
    """With the embedded model and the embedded embeddings, answers come without any network."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare here: install Debian's package util-linux")
    namespace = [unshare, "--map-root-user", "--net"]
    if subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this system allows no network namespace; run the test as root")
    done = subprocess.run(
        [*namespace, sys.executable, "-c", INSIDE, corpus, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
