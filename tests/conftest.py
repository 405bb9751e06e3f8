"""What every test shares: a clean git, made-up secrets, and how long the counts are."""

import os
import secrets
import signal
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

# What a CI system, or a run of coverage around this one, tells its processes.
OUTER = {"CI", "COVERAGE_FILE", "PYTEST_ADDOPTS"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that the Makefile and `.ci/run` give."""
    parser.addoption("--acceptance", action="store_true", help="many rounds, many seeds")
    parser.addoption(
        "--only-engine-may-skip",
        action="store_true",
        help="fail a test that skips itself, unless it is marked `engine`",
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail skipped tests where only those that need an engine may be skipped."""
    report = yield
    strict = item.config.getoption("--only-engine-may-skip")
    if report.skipped and strict and item.get_closest_marker("engine") is None:
        report.outcome = "failed"
    return report


@pytest.fixture(scope="session")
def acceptance(pytestconfig: pytest.Config) -> bool:
    """Whether this run takes the long counts."""
    return bool(pytestconfig.getoption("--acceptance"))


@pytest.fixture(scope="session", autouse=True)
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's git settings and the variables of an outer run out of every test."""
    home = tmp_path_factory.mktemp("git-settings")
    (home / "gitconfig").write_text(
        "[user]\n\tname = Test\n\temail = test@example.invalid\n"
        "[init]\n\tdefaultBranch = main\n[commit]\n\tgpgSign = false\n"
    )
    # `nohup` and some CI systems hand on that it is ignored, which no test is about.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("GIT_", "GITHUB_", "LLM_TWIN_")) or name in OUTER:
                patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        yield


@pytest.fixture(scope="session")
def pipeline_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline's cache: the tools and environments in it are made once in a session."""
    folder = os.environ.get("E2E_FOLDER") or tmp_path_factory.mktemp("pipeline")
    return Path(folder) / "cache"


@pytest.fixture
def canary() -> str:
    """A value that must be in no output; it looks like nothing a scanner knows."""
    return f"canary-{secrets.token_hex(16)}"


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """Run git in a folder: `git("log", "-1", cwd=folder)`; the folder is `tmp_path` by default."""

    def run(*arguments: str, cwd: Path = tmp_path) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    return run
