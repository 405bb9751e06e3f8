"""The settings of a source: what is read, and that a wrong key or value is named."""

from pathlib import Path
from typing import get_args

import pytest

from llm_pipeline.checks import CHECKS
from llm_pipeline.config import (
    CheckName,
    CheckSettings,
    Config,
    Install,
    Job,
    LeakSettings,
    TestSettings,
    from_file,
    from_pyproject,
    from_text,
)
from llm_pipeline.errors import ConfigError

TOP = (
    "Allowed here: cd, checks, env, format, gitleaks, images, install, jobs, keep-going, lint, "
    "python, red-controls, test, types, workflows."
)
IN_CHECK = "Allowed here: command, env, ignores, reads, red-control, timeout."
CHECK_NAMES = "Allowed: gitleaks, lint, format, types, workflows, test."
EVERYTHING = """
checks = ["lint", "test"]
python = "3.12"
keep-going = true
red-controls = false
env = ["DATABASE_URL"]
[images]
python = "mirror.example/python:{version}"
[install]
manager = "pip"
requirements = ["dev.txt"]
no-deps = true
extras = ["all"]
groups = ["dev"]
commands = [["make", "env"]]
env = { CC = "gcc" }
inputs = ["native/**"]
projects = ["."]
project = ["src/**"]
[lint]
command = ["ruff", "check"]
reads = ["**/*.py"]
ignores = ["docs"]
timeout = 2.5
red-control = false
env = { A = "b" }
[format]
command = "make format-check"
[gitleaks]
rules = "leaks.toml"
baseline = "known.json"
range = "main..HEAD"
[test]
coverage = true
coverage-floor = 80
[jobs.train]
command = "make train"
secrets = ["TOKEN"]
"""


def refused(text: str) -> str:
    """The message about wrong settings, which is one line."""
    with pytest.raises(ConfigError) as caught:
        from_text(text, "ci.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


def test_everything_is_read() -> None:
    """Every key in its kebab form arrives where it belongs."""
    assert from_text(EVERYTHING, "ci.toml") == Config(
        checks=["lint", "test"],
        python="3.12",
        keep_going=True,
        red_controls=False,
        env=["DATABASE_URL"],
        images=type(Config().images)(python="mirror.example/python:{version}"),
        install=Install(
            manager="pip",
            requirements=["dev.txt"],
            no_deps=True,
            extras=["all"],
            groups=["dev"],
            commands=[["make", "env"]],
            env={"CC": "gcc"},
            inputs=["native/**"],
            projects=["."],
            project=["src/**"],
        ),
        lint=CheckSettings(
            command=["ruff", "check"],
            reads=["**/*.py"],
            ignores=["docs"],
            timeout=2.5,
            red_control=False,
            env={"A": "b"},
        ),
        format=CheckSettings(command="make format-check"),
        gitleaks=LeakSettings(rules="leaks.toml", baseline="known.json", range="main..HEAD"),
        test=TestSettings(coverage=True, coverage_floor=80),
        jobs={"train": Job(command="make train", secrets=["TOKEN"])},
    )


def test_each_check_has_its_table() -> None:
    """The names of the checks, of their tables and in `checks` are the same."""
    assert [check.name for check in CHECKS] == list(get_args(CheckName))
    for check in CHECKS:
        assert from_text(f"[{check.name}]\ntimeout = 7", "f").check(check.name).timeout == 7


@pytest.mark.parametrize("text", ["", "[tool.llm-pipeline]", "# nothing\n", "[lint]\n[jobs]\n"])
def test_empty_tables_are_the_defaults(text: str) -> None:
    """A table without keys changes nothing."""
    assert from_text(text, "ci.toml") == Config()


def test_pyproject_without_a_table() -> None:
    """A project that has never heard of this pipeline gets the defaults."""
    assert from_pyproject({"project": {"name": "x"}, "tool": {"ruff": {}}}) == Config()
    assert from_pyproject({"tool": 3}) == Config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chekcs = []", f"unknown key `chekcs`. Did you mean `checks`? {TOP}"),
        ("zzz = 1", f"unknown key `zzz`. {TOP}"),
        ("keep_going = true", f"unknown key `keep_going`. Did you mean `keep-going`? {TOP}"),
        ("'a.b' = 1", f"unknown key `a.b`. {TOP}"),
        (
            "[lint]\nred_control = false",
            f"unknown key `lint.red_control`. Did you mean `red-control`? {IN_CHECK}",
        ),
        ("[lint]\ncoverage-floor = 3", f"unknown key `lint.coverage-floor`. {IN_CHECK}"),
        (
            "[test]\ncoverge = true",
            (
                "unknown key `test.coverge`. Did you mean `coverage`? Allowed here: command, "
                "coverage, coverage-floor, env, ignores, reads, red-control, timeout."
            ),
        ),
        (
            "[gitleaks]\ncommand = 'true'",
            (
                "unknown key `gitleaks.command`. Allowed here: baseline, env, ignores, range, "
                "reads, red-control, rules, timeout."
            ),
        ),
        (
            "[install]\nmanger = 'uv'",
            (
                "unknown key `install.manger`. Did you mean `manager`? Allowed here: commands, "
                "env, extras, groups, inputs, manager, no-deps, project, projects, requirements."
            ),
        ),
        (
            "[images]\npyhton = 'x'",
            (
                "unknown key `images.pyhton`. Did you mean `python`? Allowed here: gitleaks, "
                "packages, python."
            ),
        ),
        (
            "[jobs.ct]\ncommand = 'a'\ntimeuot = 3",
            (
                "unknown key `jobs.ct.timeuot`. Did you mean `timeout`? Allowed here: command, "
                "env, secrets, timeout."
            ),
        ),
        (
            "[jobs.ok]\ncommand = 'a'\n[jobs.'not ok']\ncomand = 'b'",
            (
                "unknown key `jobs['not ok'].comand`. Did you mean `command`? Allowed here: "
                "command, env, secrets, timeout."
            ),
        ),
    ],
)
def test_unknown_key(text: str, message: str) -> None:
    """An unknown key is named with its tables, the one that was meant, and those allowed."""
    assert refused(text) == f"ci.toml: {message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "checks = ['lintt']",
            "`checks[0]`: should be one of those known, not 'lintt'. Did you mean `lint`? "
            + CHECK_NAMES,
        ),
        (
            "checks = 'lint'",
            f"`checks`: should be a list, but it is text. Did you mean `lint`? {CHECK_NAMES}",
        ),
        ("checks = []", f"`checks`: should be a list that is not empty. {CHECK_NAMES}"),
        (
            "[install]\nmanager = 'conda'",
            (
                "`install.manager`: should be one of those known, not 'conda'. Allowed: uv, "
                "poetry, pip, none."
            ),
        ),
        ("python = 3.12", "`python`: should be text, but it is a number without quotes."),
        (
            "python = '2.7'",
            '`python`: should be a version in quotes, such as "3.13" or "3.13.1", not \'2.7\'.',
        ),
        ("keep-going = 'yes'", "`keep-going`: should be true or false, but it is text."),
        ("lint = 3", "`lint`: should be a table, but it is a whole number."),
        ("[[lint]]\ntimeout = 3", "`lint`: should be a table, but it is a list."),
        ("jobs = 3", "`jobs`: should be a table, but it is a whole number."),
        ("jobs = { ct = 3 }", "`jobs.ct`: should be a table, but it is a whole number."),
        ("[jobs.ct]\ntimeout = 3", "`jobs.ct` lacks `command`, which is needed."),
        (
            "[jobs.ct]\ncommand = 'x'\nsecrets = ['A', 'a b']",
            (
                "`jobs.ct.secrets`: should be the name of a variable: letters, digits and _, "
                "not 'a b'."
            ),
        ),
        (
            "[jobs.ct]\ncommand = 'x'\nenv = { A = '', B = true }",
            "`jobs.ct.env.B`: should be text, but it is true or false.",
        ),
        (
            "[install]\nenv = { A = '', '1B' = '' }",
            "`install.env`: should be the name of a variable: letters, digits and _, not '1B'.",
        ),
        (
            "[install]\ncommands = ['make']",
            "`install.commands[0]`: should be a list, but it is text.",
        ),
        (
            "[install]\ncommands = [['make'], []]",
            "`install.commands[1]`: should be a list that is not empty.",
        ),
        ("[install]\ninputs = ['']", "`install.inputs[0]`: should be text that is not empty."),
        ("[lint]\ntimeout = 0", "`lint.timeout`: should be a number > 0.0, not 0."),
        (
            "[format]\nenv = { 'A-B' = '' }",
            "`format.env`: should be the name of a variable: letters, digits and _, not 'A-B'.",
        ),
        ('[test]\nenv = { A = "\\u0000" }', "`test.env.A`: should be text without NUL."),
        (
            "[install]\ncommands = [['make'], ['']]",
            "`install.commands[1]`: should be a command, not [''].",
        ),
        ("[lint]\ntimeout = nan", "`lint.timeout`: should be a number > 0.0, not nan."),
        ("[lint]\ntimeout = 90_000", "`lint.timeout`: should be a number <= 86400.0, not 90000."),
        ("[lint]\ntimeout = 1979-05-27", "`lint.timeout`: should be a number, but it is a date."),
        ("[lint]\ntimeout = true", "`lint.timeout`: should be a number, but it is true or false."),
        (
            "[test]\ncoverage-floor = 101",
            "`test.coverage-floor`: should be a number <= 100.0, not 101.",
        ),
        (
            "[test]\ncoverage-floor = -1",
            "`test.coverage-floor`: should be a number >= 0.0, not -1.",
        ),
        ("[lint]\ncommand = []", "`lint.command`: should be a list that is not empty."),
        ("[lint]\ncommand = ' '", "`lint.command`: should be a command, not ' '."),
        (
            "[lint]\ncommand = 3",
            "`lint.command`: should be text or a list, but it is a whole number without quotes.",
        ),
        (
            '[lint]\ncommand = ["a\\u0000b"]',
            "`lint.command`: should be text without NUL.",
        ),
        (
            "[lint]\nreads = ['[a']",
            (
                "`lint.reads`: '[a' is no glob: close its `[`; where `[`, `!` or `\\` stands for "
                "itself, put a `\\` before it."
            ),
        ),
        (
            "[install]\nproject = ['[z-a]']",
            "`install.project`: '[z-a]' is no glob: what stands in `[...]` is no range.",
        ),
        (
            "[test]\ncoverage = false\ncoverage-floor = 80",
            (
                "`test.coverage-floor` needs a measured coverage: remove the floor, or "
                "`test.coverage = false`."
            ),
        ),
    ],
)
def test_wrong_value(text: str, message: str) -> None:
    """A wrong value is named with what it should be and what it is."""
    assert refused(text) == f"ci.toml: {message}"


@pytest.mark.parametrize(
    ("text", "place"), [("[lint\n", "line 1"), ("python = '3.12'\na =\n", "line 2")]
)
def test_no_toml(text: str, place: str) -> None:
    """What is no TOML is an error that says where."""
    message = refused(text)
    assert message.startswith("ci.toml is not valid TOML: ")
    assert place in message


def test_table_of_a_file(tmp_path: Path) -> None:
    """A file holds the keys at its top or under the name of the table; both are the same."""
    top, named = tmp_path / "top.toml", tmp_path / "named.toml"
    top.write_text("python = '3.12'\n[lint]\ntimeout = 5\n")
    named.write_text(
        "[project]\nname = 'x'\n[tool.ruff]\n"
        "[tool.llm-pipeline]\npython = '3.12'\n[tool.llm-pipeline.lint]\ntimeout = 5\n"
    )
    assert from_file(top) == from_file(named) != Config()


def test_wrong_key_below_the_table_names_the_file() -> None:
    """The message names the table and the file that it stands in."""
    assert refused("[tool.llm-pipeline]\nx = 1").startswith(
        "[tool.llm-pipeline] of ci.toml: unknown key `x`."
    )
    assert refused("[tool]\nllm-pipeline = 3") == (
        "[tool.llm-pipeline] of ci.toml: should be a table, but it is a whole number."
    )


def test_settings_that_would_be_passed_over() -> None:
    """A file whose keys nobody would read is an error, not the defaults."""
    assert refused("[tool.ruff]") == (
        "ci.toml holds no [tool.llm-pipeline]; add it, or write its keys at the top."
    )
    assert refused("checks = ['lint']\n[tool.llm-pipeline]") == (
        "ci.toml: `checks` stands outside of its [tool.llm-pipeline]; move it there."
    )


def test_file_that_can_not_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and bytes that are no text each have a message of their own."""
    (tmp_path / "latin.toml").write_bytes(b"python = '\xff'")
    for name, problem in (
        ("none.toml", "can't be read: No such file or directory."),
        ("", "can't be read: Is a directory."),
        ("latin.toml", "is no UTF-8 text."),
    ):
        with pytest.raises(ConfigError) as caught:
            from_file(tmp_path / name)
        assert str(caught.value) == f"The configuration {tmp_path / name} {problem}"
