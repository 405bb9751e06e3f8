"""The host's executor on real repositories: trees, variables, overrides, versions, reports."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.e2e.host import COMMAND, Host, remove, snapshot
from tests.e2e.repositories import clean, commit, git, write

# All measure coverage, so that they share an environment.
LINT = "checks = ['lint']\nred-controls = false\ntest.coverage = true\n"
TEST = "checks = ['test']\nred-controls = false\ntest.coverage = true\n"


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory, pipeline_cache: Path) -> Host:
    """The pipeline; sources lie at the same path, so that their environment is made once."""
    return Host(tmp_path_factory.mktemp("host"), pipeline_cache)


@pytest.fixture
def source(host: Host) -> Path:
    """Where a test builds its repository: it is gone before the test."""
    folder = host.folder / "source"
    remove(folder)
    return folder


def log(host: Host, name: str) -> str:
    """What a check printed, from its report."""
    return (host.reports / "logs" / f"{name}.log").read_text()


def test_default_reports(host: Host, source: Path) -> None:
    """Without `--reports` they go to a folder in the cache, which is told; the source stays."""
    clean(source)
    before = snapshot(source)
    done = subprocess.run(
        [COMMAND, "ci", "--only", "lint"],
        cwd=source,
        env=host.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("reports: ")]
    folder = Path(line.removeprefix("reports: "))
    assert folder.parent == host.cache / "reports"
    verdict = json.loads((folder / "verdict.json").read_text())
    assert [check["name"] for check in verdict["checks"]] == ["lint"]
    assert verdict["executor"] == "host"
    assert snapshot(source) == before
    assert git(source, "status", "--porcelain") == ""


def test_reports_in_the_source(host: Host, source: Path) -> None:
    """Reports inside of the source are no part of it in the next run."""
    clean(source)
    argv = [COMMAND, "ci", "--only", "lint", "--reports", "reports"]
    for _ in range(2):
        subprocess.run(argv, cwd=source, env=host.environment(), capture_output=True, check=True)
        verdict = json.loads((source / "reports/verdict.json").read_text())
        assert verdict["source"]["dirty"] is False
    assert git(source, "status", "--porcelain") == ""


def test_options(host: Host, source: Path) -> None:
    """`--only`, `--keep-going` and `--no-red-controls` do what they say."""
    clean(source, {"app/more.py": "import os\n"})
    names = ["--only", "lint", "--only", "test"]
    settings = "test.coverage = true\n"
    ran = host.run(source, settings, *names)
    assert ran.code == 1
    assert ran.checks == {"lint": "failed", "test": "skipped"}
    assert ran.of("test")["summary"] == "not run, since lint did not pass"
    ran = host.run(source, settings, *names, "--keep-going", "--no-red-controls")
    assert ran.code == 1
    assert ran.checks == {"lint": "failed", "test": "passed"}
    assert ran.of("test")["control"] == "off"


def test_what_a_check_sees(host: Host, source: Path) -> None:
    """A check's tree holds what it reads without what it ignores; its own writes go nowhere."""
    clean(source, {"app/deep/x.py": "", "app/deep/y.txt": "", "docs/z.py": "", "a b\n.py": ""})
    command = "find . -type f; echo >> app/deep/x.py; touch app/new.py"
    table = f"[lint]\ncommand = {command!r}\nreads = ['app', '*.py', 'docs']\n"
    ran = host.run(source, f"{LINT}{table}ignores = ['docs', '**/*.txt']\n")
    assert ran.checks == {"lint": "passed"}
    seen = log(host, "lint").splitlines()
    assert sorted(seen) == ["./a b", "./app/__init__.py", "./app/deep/x.py", ".py"]


def test_ignored_files_are_ignored(host: Host, source: Path) -> None:
    """A tracked file that .gitignore names is passed over, as the tool does in the source."""
    clean(source, {".gitignore": "made/\n"})
    write(source, {"made/bad.py": "import os\n"})
    git(source, "add", "--force", "made/bad.py")
    commit(source)
    ran = host.run(source, "checks = ['lint']\n")
    assert ran.checks == {"lint": "passed"}, ran.said
    assert ran.of("lint")["control"] == "seen"


def test_variables(host: Host, source: Path) -> None:
    """A check sees the variables that a process needs, those named, and a home of its own."""
    clean(source)
    settings = "env = ['SHOWN']\n" + TEST + "test.command = 'env'\ntest.env.FIXED = \"it's\"\n"
    extra = {"SHOWN": "yes", "HIDDEN": "no", "MY_TOKEN": "no"}
    assert host.run(source, settings, env=extra).code == 0
    seen = dict(line.split("=", 1) for line in log(host, "test").splitlines() if "=" in line)
    assert seen["SHOWN"] == "yes"
    assert seen["FIXED"] == "it's"
    assert not {"HIDDEN", "MY_TOKEN", "LLM_PIPELINE_CACHE", "GIT_CONFIG_GLOBAL"} & set(seen)
    assert Path(seen["HOME"]).is_relative_to(host.cache)
    assert seen["PATH"].startswith(f"{seen['VIRTUAL_ENV']}/bin:")


@pytest.mark.parametrize(
    ("command", "verdict", "says"),
    [
        ("exit 0", "passed", "exit 0"),
        ("echo no; echo why; exit 3", "failed", "exit 3: why"),
        ("no-such-command", "error", "no-such-command"),
        ("kill -9 $$", "failed", "signal 9"),
    ],
)
def test_command_of_the_source(
    host: Host, source: Path, command: str, verdict: str, says: str
) -> None:
    """A command of the settings is judged by its exit code, and its output is the log."""
    clean(source)
    ran = host.run(source, f"{LINT}[lint]\ncommand = '{command}'\n")
    assert ran.code == {"passed": 0, "failed": 1, "error": 3}[verdict]
    assert ran.checks == {"lint": verdict}
    assert says in ran.of("lint")["summary"]


@pytest.mark.parametrize(
    ("texts", "settings"),
    [
        ({".coveragerc": "[run]\nsource = app\nparallel = true\n"}, ""),
        ({"tox.ini": "[coverage:run]\nsource_pkgs = app\nbranch = true\n"}, ""),
        ({}, "[test]\ncommand = ['pytest', 'tests']\ncoverage-floor = 90\n"),
    ],
)
def test_measured_coverage(
    host: Host, source: Path, texts: Mapping[str, str], settings: str
) -> None:
    """Coverage is measured in each of the ways in which a source may configure it."""
    clean(source, texts)
    ran = host.run(source, f"checks = ['test']\n{settings}")
    assert ran.checks == {"test": "passed"}, ran.said
    assert ran.of("test")["control"] == "seen"
    assert "coverage 100" in ran.of("test")["summary"]
    assert {"junit.xml", "coverage.xml"} <= set(ran.of("test")["reports"])
    assert "covered completely" in (host.reports / "summary.md").read_text()


def test_pinned_by_a_hook(host: Host, source: Path) -> None:
    """The version that a hook of pre-commit pins runs, and not ours."""
    hook = "repos:\n  - repo: https://github.com/astral-sh/ruff-pre-commit\n    rev: v0.12.0\n"
    clean(source, {".pre-commit-config.yaml": f"{hook}    hooks: [{{ id: ruff-check }}]\n"})
    ran = host.run(source, "checks = ['lint']\n")
    assert ran.checks == {"lint": "passed"}, ran.said
    assert ran.of("lint")["tool"] == "ruff 0.12.0"


def test_environment_that_can_not_be_made(host: Host, tmp_path: Path) -> None:
    """Checks that need an environment tell the installer's words; the others have their verdict."""
    source = tmp_path / "source"
    clean(source)
    settings = (
        "checks = ['lint', 'types', 'test']\nkeep-going = true\n"
        "[install]\ncommands = [['sh', '-c', 'echo no such package; exit 4']]\n"
    )
    ran = host.run(source, settings)
    assert ran.code == 3
    assert ran.checks == {"lint": "passed", "types": "error", "test": "error"}
    for name in ("types", "test"):
        assert ran.of(name)["summary"].endswith(" ended with 4: no such package")
        assert "no such package" in log(host, name)


def test_job(host: Host, source: Path, canary: str) -> None:
    """A job runs in a copy of the source; its secret reaches it and no output."""
    clean(source)
    file = host.folder / "jobs.toml"
    script = 'cat app/__init__.py; echo "[$TOKEN]" ${#TOKEN}; touch new; exit 7'
    file.write_text(
        f"test.coverage = true\n[jobs.train]\ncommand = '{script}'\nsecrets = ['TOKEN']\n"
    )
    before = snapshot(source)
    argv = [COMMAND, "job", "train", "--source", str(source), "--config", str(file)]
    env = host.environment({"TOKEN": canary})
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert "A small application." in done.stdout
    assert str(len(canary)) in done.stdout
    assert canary not in done.stdout + done.stderr
    assert snapshot(source) == before


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tarin", "There is no job named 'tarin' in [tool.llm-pipeline.jobs]; there are: train."),
        ("train", "The job train needs these variables, which are not set: TOKEN."),
    ],
)
def test_job_that_can_not_run(host: Host, source: Path, name: str, says: str) -> None:
    """A job that is not there, or lacks its secret, is a wrong use."""
    text = "[tool.llm-pipeline.jobs.train]\ncommand = 'true'\nsecrets = ['TOKEN']\n"
    clean(source, {"pyproject.toml": text})
    argv = [COMMAND, "job", name]
    env = {name: value for name, value in host.environment().items() if name != "TOKEN"}
    done = subprocess.run(argv, cwd=source, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"llm-pipeline: {says}\n")


def test_undecodable_names(host: Host, source: Path) -> None:
    """Files whose names are no UTF-8 are copied, linked and looked at like others."""
    clean(source)
    odd = os.fsdecode(b"app/\xff\n'x'.py")
    write(source, {odd: "import os\n"})
    commit(source)
    ran = host.run(source, "checks = ['lint']\nred-controls = false\n")
    assert ran.checks == {"lint": "failed"}, ran.said
