"""Running commands: what they see, how they end, and that nothing survives them."""

import time
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from llm_pipeline.errors import LookError
from llm_pipeline.processes import Finished, clean_env, install_env, run
from tests.llm_pipeline.rogues import Running


@pytest.mark.parametrize(
    ("script", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -1 $$", 129)]
)
def test_exit_code(running: Running, script: str, code: int) -> None:
    """The exit code is the command's own, and 128+N after signal N, as in a shell."""

    async def main() -> Finished:
        return await running("sh", "-c", script)

    finished = anyio.run(main)
    assert finished.exit_code == code
    assert not finished.timed_out


def test_log_holds_both_streams(running: Running, tmp_path: Path) -> None:
    """Standard output and standard error go to the log, which a run replaces or adds to."""

    async def main() -> None:
        await running("echo", "old")
        await running("sh", "-c", "echo out; echo err >&2")
        await running("echo", "more", append=True)

    anyio.run(main)
    assert (tmp_path / "log").read_text() == "out\nerr\nmore\n"


def test_input_is_empty(running: Running) -> None:
    """A command that reads its input sees its end at once."""

    async def main() -> Finished:
        return await running("sh", "-c", "read line && exit 5; exit 6", limit=5)

    assert anyio.run(main).exit_code == 6


@pytest.mark.parametrize("name", ["no-such-command", "./plain", "./folder", "./broken", "nul\0"])
def test_command_that_cannot_run(running: Running, tmp_path: Path, name: str) -> None:
    """A command that is missing or can't be run is an error that names it."""
    (tmp_path / "plain").write_text("text")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken").write_text("#!/no/such/interpreter\n")
    (tmp_path / "broken").chmod(0o755)

    async def main() -> Finished:
        return await running(name)

    with pytest.raises(LookError) as caught:
        anyio.run(main)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_folder(tmp_path: Path) -> None:
    """A missing working folder is an error that names the folder, not the command."""

    async def main() -> Finished:
        return await run(["true"], cwd=tmp_path / "gone", env=clean_env({}), log=tmp_path / "log")

    with pytest.raises(LookError, match=r"gone: there is no such folder"):
        anyio.run(main)


def test_log_that_cannot_be_written(running: Running) -> None:
    """A log that can't be written is an error before the command starts."""

    async def main() -> Finished:
        return await running("touch", "started", log="no/such/log")

    with pytest.raises(LookError, match=r"can't write the log .*no/such/log"):
        anyio.run(main)


def test_environment_is_the_given_one(running: Running, tmp_path: Path, canary: str) -> None:
    """A command sees the given variables and our marker, and no secret of the caller."""

    async def main() -> Finished:
        return await running("env")

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_TOKEN", canary)
        anyio.run(main)
    seen = {line.partition("=")[0] for line in (tmp_path / "log").read_text().splitlines()}
    assert canary not in (tmp_path / "log").read_text()
    assert seen <= {*clean_env({}), "LLM_PIPELINE_RUN", "PWD", "_"}
    assert "PATH" in seen


def test_time_limit(running: Running) -> None:
    """A command that exceeds its limit is asked to end, and that shows."""

    async def main() -> Finished:
        return await running("sleep", "60", limit=0.2)

    finished = anyio.run(main)
    assert finished.timed_out
    assert finished.exit_code == 143
    assert 0.2 <= finished.seconds < 5


def test_time_limit_of_a_stubborn_command(running: Running) -> None:
    """A command that ignores the request to end is killed after two seconds."""

    async def main() -> Finished:
        return await running("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done", limit=0.2)

    started = time.monotonic()
    finished = anyio.run(main)
    assert finished.timed_out
    assert finished.exit_code == 137
    assert 2 < time.monotonic() - started < 10


def test_a_command_may_clean_up(running: Running, tmp_path: Path) -> None:
    """The request to end comes once, and its two seconds are enough to clean up."""
    script = "trap 'echo asked; sleep 0.5; exit 9' TERM; sleep 60 & wait"

    async def main() -> Finished:
        return await running("sh", "-c", script, limit=0.3)

    finished = anyio.run(main)
    assert finished.exit_code == 9
    assert (tmp_path / "log").read_text() == "asked\n"


@pytest.mark.parametrize("make", [clean_env, install_env])
def test_clean_env_lets_nothing_else_through(
    make: Callable[..., dict[str, str]], canary: str
) -> None:
    """Secrets of the caller stay out of a process's environment unless they are asked for."""
    base = {
        "PATH": "/bin",
        "HOME": "/home/x",
        "LC_TIME": "C",
        "AWS_SECRET_ACCESS_KEY": canary,
        "GITHUB_TOKEN": canary,
        "OPENAI_API_KEY": canary,
        "PYTHONPATH": canary,
        "LLM_PIPELINE_RUN": canary,
        "UV_PUBLISH_TOKEN": canary,
        "POETRY_PYPI_TOKEN_MINE": canary,
    }
    env = make({"CI": "1"}, base=base)
    assert env == {"PATH": "/bin", "HOME": "/home/x", "LC_TIME": "C", "CI": "1"}
    asked = make({}, ["OPENAI_API_KEY", "AWS_*"], base=base)
    assert {name for name, value in asked.items() if value == canary} == {
        "OPENAI_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
    }


def test_clean_env_always_has_a_path() -> None:
    """Commands are found even where the caller has no PATH, and `extra` has the last word."""
    assert clean_env({}, base={})["PATH"]
    assert clean_env({"PATH": "/mine"}, base={"PATH": "/bin"})["PATH"] == "/mine"


def test_install_env_reaches_an_index() -> None:
    """An installer sees proxies, certificates and the settings of pip, uv and poetry."""
    base = {
        "PIP_INDEX_URL": "a",
        "UV_INDEX_MINE_PASSWORD": "b",
        "POETRY_HTTP_BASIC_MINE_PASSWORD": "c",
        "https_proxy": "d",
        "NO_PROXY": "e",
        "SSL_CERT_FILE": "f",
        "XDG_CONFIG_HOME": "g",
    }
    assert install_env({}, base=base).items() >= base.items()
    assert clean_env({}, base=base).keys() == {"PATH"}
