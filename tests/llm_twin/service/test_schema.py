"""schemathesis: every field of every path, in and out of what the OpenAPI document describes."""

import re
import subprocess
import sys
from pathlib import Path

from tests.llm_twin.service.running import Service


def test_no_surprise_for_schemathesis(
    service: Service, tmp_path: Path, *, acceptance: bool
) -> None:
    """No 500, no answer that the document doesn't describe, nothing wrong that is accepted."""
    done = subprocess.run(
        [
            Path(sys.executable).with_name("st"),
            "run",
            f"{service.url}/openapi.json",
            "--checks=all",
            "--phases=examples,coverage,fuzzing,stateful",
            f"--max-time={300 if acceptance else 20}",
            f"--max-examples={200 if acceptance else 10}",
            "--no-color",
            *([] if acceptance else ["--seed=1"]),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout
    with service.client() as client:
        text = client.get("/metrics").text
    counted = {
        (path, int(status)): float(count)
        for path, status, count in re.findall(
            r'llm_twin_requests_total{method="POST",path="(.+)",status="(\d+)"} (\S+)', text
        )
    }
    # It got as far as the twin and the spool, and was refused where it should be.
    for path in ("/v1/chat/completions", "/v1/feedback"):
        assert counted[path, 200] > 0
        assert counted.get((path, 400), 0) + counted.get((path, 422), 0) > 0
    assert not [status for _, status in counted if status in {500, 502}]
