"""Opik's SDK beside the twin: quiet, and usable as its users know it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_twin.settings import OpikSettings, Settings
from llm_twin.tracing import sdk
from llm_twin.tracing.server import Server
from tests.opik_server import OpikServer

TRACKED = """
import os, sys
from llm_twin.settings import load
from llm_twin.tracing import sdk

opik = sdk.load(load().settings)
from opik.evaluation.metrics import Contains

@opik.track
def inner(x):
    return x + 1

@opik.track(name="outer")
def outer(x):
    return inner(x) * 2

print(outer(3), Contains(case_sensitive=False).score(output="Roll back", reference="roll").value)
opik.flush_tracker()
print(os.environ["OPIK_SENTRY_ENABLE"], os.environ["OPIK_ANALYTICS_ENABLE"])
"""


def tracked(tmp_path: Path, **variables: str) -> list[str]:
    """Run a program that uses `@track` and a metric; return the words that it says."""
    # A configuration of Opik that the user has, or the network, is none of the test's.
    env = os.environ | {"OPIK_CONFIG_PATH": str(tmp_path / "none"), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", TRACKED],
        env=env | {"LLM_TWIN_HOME": str(tmp_path / "home")} | variables,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_track_goes_to_the_server_of_the_settings(tmp_path: Path) -> None:
    """`@track` and metrics work with the server, project and environment of the settings."""
    with OpikServer() as opik:
        said = tracked(
            tmp_path,
            LLM_TWIN_OPIK_URL=opik.url,
            LLM_TWIN_OPIK_PROJECT="mine",
            LLM_TWIN_TRACING_ENVIRONMENT="staging",
        )
        assert said == ["8", "1.0", "false", "false"]
        assert opik.api.problems == []
        # The metric's own call is tracked too.
        (trace,) = [each for each in opik.api.traces.values() if each["name"] == "outer"]
        assert (trace["project_name"], trace["environment"]) == ("mine", "staging")
        spans = [s for s in opik.api.spans.values() if s["trace_id"] == trace["id"]]
        assert {span["name"] for span in spans} == {"outer", "inner"}


def test_track_without_a_server_is_off(tmp_path: Path) -> None:
    """With no server `@track` waits for nobody; a variable does not bring the telemetry back."""
    on = {"OPIK_SENTRY_ENABLE": "true", "OPIK_ANALYTICS_ENABLE": "true"}
    assert tracked(tmp_path, **on) == ["8", "1.0", "false", "false"]


def test_telemetry_is_off_where_our_server_module_imported_the_sdk() -> None:
    """Neither Sentry's client nor the statistics run in a process that forwards."""
    Server(OpikSettings(url="http://127.0.0.1:9")).close()
    import sentry_sdk
    from opik.config import OpikConfig

    assert not sentry_sdk.get_client().is_active()
    config = OpikConfig()
    assert not config.sentry_enable
    assert not config.analytics_enable


@pytest.mark.parametrize(
    ("name", "value"), [("OPIK_PROJECT_NAME", "llm-twin"), ("OPIK_ENVIRONMENT", "development")]
)
def test_opiks_own_variables_win(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who sets Opik's variables means them; else they come from the settings."""
    with monkeypatch.context() as patch:
        patch.setattr(os, "environ", dict(os.environ))
        os.environ.pop(name, None)
        sdk.load(Settings())
        assert os.environ[name] == value
        os.environ[name] = "theirs"
        sdk.load(Settings())
        assert os.environ[name] == "theirs"


def test_nothing_of_ours_imports_opik_without_the_switches() -> None:
    """Only the modules that switch the telemetry off first name the SDK."""
    package = Path(__file__).parents[3] / "llm_twin"
    for file in package.rglob("*.py"):
        text = file.read_text()
        if "import opik" in text or "from opik" in text:
            assert file.parent.name == "tracing", file
    code = (
        "import sys, llm_twin.cli, llm_twin.tracing.command, llm_twin.tracing.tracer\n"
        "import llm_twin.tracing.carry, llm_twin.tracing.worker\n"
        "import llm_twin.tracing.server, llm_twin.tracing.forward\n"
        "print('opik' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
