"""The judges, on what the real tools leave behind."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from llm_pipeline import judges
from llm_pipeline.model import FileCoverage, Verdict
from llm_pipeline.outcome import Judge, Judgement, Observed
from tests.llm_pipeline.executed import (
    ACTIONLINT,
    MYPY,
    PYTEST,
    RUFF_CHECK,
    RUFF_FORMAT,
    ZIZMOR,
    execute,
    write,
)

PASSED, FAILED, ERROR = Verdict.PASSED, Verdict.FAILED, Verdict.ERROR
ALL: tuple[Judge, ...] = (
    judges.lint,
    judges.formatting,
    judges.types,
    judges.workflows,
    judges.tests,
    judges.command,
)
TOOLS = ALL[:-1]


def places(judgement: Judgement) -> list[tuple[str, int | None, str]]:
    """Where the findings are: path, line and rule."""
    return [(finding.path, finding.line, finding.rule) for finding in judgement.findings]


def look(
    judge: Judge, folder: Path, files: Mapping[str, str], *commands: tuple[str, ...]
) -> Judgement:
    """What a judge says of a tree with these files."""
    tree = folder / "tree"
    (tree / ".git").mkdir(parents=True)
    write(tree, files)
    return judge(execute(tree, folder / "out", *commands))


class TestEvery:
    """How any check can end without its tool having its say."""

    @pytest.mark.parametrize("judge", ALL)
    def test_time_limit_is_failed(self, judge: Judge, tmp_path: Path) -> None:
        """A time limit that was reached is a failure that names it, whatever ran before."""
        for codes in ((), (0,)):
            judgement = judge(Observed(tmp_path, codes, limit=30.0))
            assert judgement.verdict is FAILED
            assert "time limit of 30 s reached" in judgement.summary

    @pytest.mark.parametrize("judge", ALL)
    def test_nothing_ran(self, judge: Judge, tmp_path: Path) -> None:
        """A check whose script left no exit code did not run, which is an error."""
        judgement = judge(Observed(tmp_path, ()))
        assert judgement.verdict is ERROR
        assert "did not run" in judgement.summary

    @pytest.mark.parametrize("judge", ALL)
    @pytest.mark.parametrize("code", [126, 127])
    def test_missing_tool(self, judge: Judge, code: int, tmp_path: Path) -> None:
        """A tool that is missing or can't be executed is an error that repeats the shell."""
        (tmp_path / "0.log").write_text("sh: 1: the-tool: not found\n")
        judgement = judge(Observed(tmp_path, (code,)))
        assert judgement.verdict is ERROR
        assert "the-tool: not found" in judgement.summary

    @pytest.mark.parametrize("judge", [judges.lint, judges.formatting, judges.types])
    def test_tool_killed(self, judge: Judge, tmp_path: Path) -> None:
        """A static tool that a signal ended has not looked."""
        judgement = judge(Observed(tmp_path, (137,)))
        assert judgement.verdict is ERROR
        assert "signal 9 (SIGKILL)" in judgement.summary

    def test_missing_module(self, tmp_path: Path) -> None:
        """An environment without pytest is an error, though Python exits with 1."""
        (tmp_path / "0.log").write_text("/env/bin/python: No module named pytest\n")
        judgement = judges.tests(Observed(tmp_path, (1,)))
        assert judgement.verdict is ERROR
        assert "pytest was not found" in judgement.summary

    @pytest.mark.parametrize("judge", TOOLS)
    def test_silence_is_no_pass(self, judge: Judge, tmp_path: Path) -> None:
        """Exit code 0 with no output and no report passes nothing but mypy without a summary."""
        (tmp_path / "0.log").write_text("")
        verdict = judge(Observed(tmp_path, (0,))).verdict
        assert verdict is (PASSED if judge is judges.types else ERROR)


class TestLint:
    """ruff check."""

    def test_findings(self, tmp_path: Path) -> None:
        """Findings have path, line, column, rule and message, syntax errors too."""
        files = {"a b.py": "import os\n", "pkg/s.py": "def f(:\n"}
        judgement = look(judges.lint, tmp_path, files, RUFF_CHECK)
        assert judgement.verdict is FAILED
        assert ("a b.py", 1, "F401") in places(judgement)
        assert ("pkg/s.py", 1, "invalid-syntax") in places(judgement)
        assert judgement.summary == f"{len(judgement.findings)} findings in 2 files"
        unused = next(finding for finding in judgement.findings if finding.rule == "F401")
        assert (unused.message, unused.column) == ("`os` imported but unused", 8)

    def test_sarif_is_relative(self, tmp_path: Path) -> None:
        """The report's paths are relative URIs, so that code scanning finds the files."""
        judgement = look(judges.lint, tmp_path, {"ä b.py": "import os\n"}, RUFF_CHECK)
        report = judgement.files["ruff.sarif"]
        place = json.loads(report)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
        assert place["artifactLocation"] == {"uri": "%C3%A4%20b.py", "uriBaseId": "%SRCROOT%"}
        assert str(tmp_path).encode() not in report

    def test_clean(self, tmp_path: Path) -> None:
        """Clean sources pass, with an empty report."""
        judgement = look(judges.lint, tmp_path, {"a.py": "x = 1\n"}, RUFF_CHECK)
        assert (judgement.verdict, judgement.summary) == (PASSED, "no findings")
        assert json.loads(judgement.files["ruff.sarif"])["runs"][0]["results"] == []

    @pytest.mark.parametrize(
        ("settings", "code", "expected"),
        [
            ("[lint]\nselct = []\n", "x = 1\n", "selct"),
            ("line-length = 'x'\n", "x = 1\n", "could not run (exit 2)"),
            ("", "import os\n", "no Python files"),
            ("[lint]\nselect = ['E9']\n", "x = '\udcff'\n", "could not look at a.py"),
        ],
    )
    def test_could_not_look(self, settings: str, code: str, expected: str, tmp_path: Path) -> None:
        """Wrong settings, excluded sources and unreadable files are errors that say so."""
        tree = tmp_path / "tree"
        tree.mkdir()
        write(tree, {"ruff.toml": settings} if settings else {})
        (tree / "a.py").write_bytes(code.encode("utf-8", "surrogateescape"))
        options = ("--ignore=E902", "." if settings else "--exclude=*.py")
        judgement = judges.lint(execute(tree, tmp_path / "out", (*RUFF_CHECK[:-1], *options)))
        assert judgement.verdict is ERROR
        assert expected in judgement.summary

    def test_exit_zero_contradicts(self, tmp_path: Path) -> None:
        """Findings with exit code 0 are an error, and so is exit code 1 without any."""
        command = (*RUFF_CHECK[:-1], "--exit-zero", ".")
        judgement = look(judges.lint, tmp_path, {"a.py": "import os\n"}, command)
        assert judgement.verdict is ERROR
        assert "exited with 0 but reports 1 finding" in judgement.summary
        clean = look(judges.lint, tmp_path / "clean", {"a.py": ""}, RUFF_CHECK)
        (tmp_path / "ruff.sarif").write_bytes(clean.files["ruff.sarif"])
        assert judges.lint(Observed(tmp_path, (1,))).verdict is ERROR

    @pytest.mark.parametrize("keep", [0, 100, -3])
    def test_broken_report(self, keep: int, tmp_path: Path) -> None:
        """An empty or truncated report is an error, with either exit code."""
        look(judges.lint, tmp_path, {"a.py": "import os\n"}, RUFF_CHECK)
        report = tmp_path / "out" / "ruff.sarif"
        report.write_bytes(report.read_bytes()[:keep])
        for code in (0, 1):
            judgement = judges.lint(Observed(tmp_path / "out", (code,)))
            assert judgement.verdict is ERROR
            assert "unreadable report" in judgement.summary

    def test_result_without_rule(self, tmp_path: Path) -> None:
        """Some versions give a syntax error no rule: it is a finding all the same."""
        place = {"artifactLocation": {"uri": "file:///tree/a.py"}, "region": {"startLine": 2}}
        result = {
            "ruleId": None,
            "message": {"text": "SyntaxError: x"},
            "locations": [{"physicalLocation": place}],
        }
        write(
            tmp_path,
            {"tree": "/tree\n", "ruff.sarif": json.dumps({"runs": [{"results": [result]}]})},
        )
        judgement = judges.lint(Observed(tmp_path, (1,)))
        assert places(judgement) == [("a.py", 2, "invalid-syntax")]


class TestFormatting:
    """ruff format."""

    def test_findings(self, tmp_path: Path) -> None:
        """Each file that would change is one finding, at its first changed line."""
        code = "a = 1\n\n\n\n\nx = '''\n--- no.py\n+++ no.py\n'''\ny  =  2\n"
        files = {"pkg/a b.py": code, "b.py": "x=1\n", "ok.py": "x = 1\n"}
        judgement = look(judges.formatting, tmp_path, files, RUFF_FORMAT)
        assert judgement.verdict is FAILED
        assert judgement.summary == "2 files would be reformatted"
        assert sorted(places(judgement)) == [("b.py", 1, "format"), ("pkg/a b.py", 4, "format")]

    def test_deleted_line_like_a_header(self, tmp_path: Path) -> None:
        """A removed line that looks like a diff's header is no file."""
        files = {"a.py": "x = (\n  1\n-- 2\n)\n"}
        judgement = look(judges.formatting, tmp_path, files, RUFF_FORMAT)
        assert [finding.path for finding in judgement.findings] == ["a.py"]

    def test_notebook(self, tmp_path: Path) -> None:
        """A notebook is one finding, however many of its cells would change."""
        cells = [
            {"cell_type": "code", "source": ["x=1"], "metadata": {}, "outputs": []}
            | {"execution_count": None, "id": str(number)}
            for number in range(2)
        ]
        book = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
        judgement = look(judges.formatting, tmp_path, {"n.ipynb": book}, RUFF_FORMAT)
        assert [finding.path for finding in judgement.findings] == ["n.ipynb"]

    def test_syntax_error(self, tmp_path: Path) -> None:
        """A file that can't be parsed is a finding of its own, beside those to reformat."""
        files = {"s.py": "def f(:\n", "b.py": "x=1\n"}
        judgement = look(judges.formatting, tmp_path, files, RUFF_FORMAT)
        assert judgement.verdict is FAILED
        assert judgement.summary == "1 file would be reformatted, 1 syntax error"
        assert ("s.py", 1, "invalid-syntax") in places(judgement)

    def test_clean(self, tmp_path: Path) -> None:
        """Formatted sources pass, and the summary tells how many there are."""
        files = {"a.py": "x = 1\n", "b.py": ""}
        judgement = look(judges.formatting, tmp_path, files, RUFF_FORMAT)
        assert (judgement.verdict, judgement.summary) == (PASSED, "2 files already formatted")

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({"ruff.toml": "exclude = ['a.py']\n", "a.py": "x=1\n"}, "looked at no file"),
            ({}, "no Python files"),
            ({"ruff.toml": "bla = 1\n", "a.py": "x=1\n"}, "unknown field `bla`"),
        ],
    )
    def test_could_not_look(self, files: dict[str, str], expected: str, tmp_path: Path) -> None:
        """Nothing to look at and wrong settings are errors."""
        judgement = look(judges.formatting, tmp_path, files, RUFF_FORMAT)
        assert judgement.verdict is ERROR
        assert expected in judgement.summary

    def test_contradictions(self, tmp_path: Path) -> None:
        """A diff with exit code 0 is an error, and so is exit code 1 without one."""
        look(judges.formatting, tmp_path, {"a.py": "x=1\n"}, RUFF_FORMAT)
        assert judges.formatting(Observed(tmp_path / "out", (0,))).verdict is ERROR
        (tmp_path / "out" / "0.log").write_text("1 file already formatted\n")
        assert judges.formatting(Observed(tmp_path / "out", (1,))).verdict is ERROR


class TestTypes:
    """mypy."""

    def test_findings(self, tmp_path: Path) -> None:
        """Errors have path, line, column and code; notes are the detail of their error."""
        files = {"pkg/__init__.py": "", "pkg/a b.py": "x: int = ''\nimport nowhere_to_be_found\n"}
        judgement = look(judges.types, tmp_path, files, (*MYPY, "pkg/a b.py"))
        assert judgement.verdict is FAILED
        assert judgement.summary == "2 findings in 1 file"
        assert places(judgement) == [
            ("pkg/a b.py", 1, "assignment"),
            ("pkg/a b.py", 2, "import-not-found"),
        ]
        assert judgement.findings[0].column == 10
        assert "missing-imports" in judgement.findings[1].detail

    def test_show_error_end(self, tmp_path: Path) -> None:
        """The end of an error's place, which settings can switch on, does not confuse it."""
        files = {"mypy.ini": "[mypy]\nshow_error_end = True\n", "a.py": "x: int = ''\n"}
        judgement = look(judges.types, tmp_path, files, (*MYPY, "."))
        assert places(judgement) == [("a.py", 1, "assignment")]

    @pytest.mark.parametrize(
        ("settings", "summary"),
        [("", "no findings in 2 files"), ("error_summary = False\n", "no findings")],
    )
    def test_clean(self, settings: str, summary: str, tmp_path: Path) -> None:
        """Clean sources pass, also where the summary is switched off."""
        files = {"a.py": "x = 1\n", "b.py": "", "mypy.ini": f"[mypy]\n{settings}"}
        judgement = look(judges.types, tmp_path, files, (*MYPY, "."))
        assert (judgement.verdict, judgement.summary) == (PASSED, summary)

    def test_syntax_error(self, tmp_path: Path) -> None:
        """A syntax error is the source's fault, though mypy exits with 2."""
        judgement = look(judges.types, tmp_path, {"s.py": "def f(:\n"}, (*MYPY, "."))
        assert judgement.verdict is FAILED
        assert ("s.py", 1, "syntax") in places(judgement)

    @pytest.mark.parametrize(
        ("files", "arguments", "expected"),
        [
            ({"a.py": "", "mypy.ini": "[mypy]\nplugins = no.py\n"}, ".", "Can't find plugin"),
            ({"a.py": "", "mypy.ini": "[mypy]\nexclude = .*\n"}, ".", "There are no .py[i] files"),
            ({"a/x.py": "", "b/x.py": ""}, ".", 'Duplicate module named "x"'),
            ({"a.py": ""}, "--bogus", "unrecognized arguments: --bogus"),
            ({"a.py": ""}, "b.py", "Cannot read file"),
            ({"mypy.ini": "[mypy]\npython_executable = /no"}, "a.py", "Invalid python executable"),
        ],
    )
    def test_could_not_look(
        self, files: dict[str, str], arguments: str, expected: str, tmp_path: Path
    ) -> None:
        """Wrong settings, wrong arguments and nothing to look at are errors in mypy's words."""
        judgement = look(judges.types, tmp_path, files, (*MYPY, arguments))
        assert judgement.verdict is ERROR
        assert expected in judgement.summary

    def test_contradictions(self, tmp_path: Path) -> None:
        """Errors with exit code 0 are an error, and so is exit code 1 without any."""
        (tmp_path / "0.log").write_text("a.py:1:1: error: wrong  [misc]\n")
        assert judges.types(Observed(tmp_path, (0,))).verdict is ERROR
        (tmp_path / "0.log").write_text("Killed by a plugin\n")
        assert judges.types(Observed(tmp_path, (1,))).verdict is ERROR


GOOD = (
    "on: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps: [{run: ls}]\n"
)
BAD = (
    "on: [issues, pull_request_target]\njobs:\n  a:\n    runs-on: ubuntu-latest\n    steps:\n"
    '      - run: echo "${{ github.event.issue.title }}"\n'
)
FLOWS = ".github/workflows"


class TestWorkflows:
    """zizmor and actionlint."""

    @pytest.mark.parametrize("commands", [(ZIZMOR,), (ACTIONLINT,), (ZIZMOR, ACTIONLINT)])
    def test_each_tool(self, commands: tuple[tuple[str, ...], ...], tmp_path: Path) -> None:
        """One tool or both: findings have a line, a clean workflow passes."""
        judgement = look(judges.workflows, tmp_path / "bad", {f"{FLOWS}/b.yml": BAD}, *commands)
        assert judgement.verdict is FAILED
        rules = {"zizmor": "template-injection", "actionlint": "expression"}
        for command in commands:
            assert (f"{FLOWS}/b.yml", 6, rules[command[0]]) in places(judgement)
            assert f"{command[0]}: " in judgement.summary
        clean = look(judges.workflows, tmp_path / "good", {f"{FLOWS}/g.yml": GOOD}, *commands)
        assert clean.verdict is PASSED
        summary = "; ".join(f"{command[0]}: no findings" for command in commands)
        assert clean.summary == summary

    @pytest.mark.parametrize(
        ("files", "expected"),
        [
            ({}, "zizmor could not look (exit 3): no inputs collected; actionlint could not look"),
            ({f"{FLOWS}/g.yml": GOOD, ".github/zizmor.yml": "rules: 3"}, "rules: invalid type"),
            ({f"{FLOWS}/g.yml": GOOD, ".github/actionlint.yaml": "x: ["}, "could not parse config"),
        ],
    )
    def test_could_not_look(self, files: dict[str, str], expected: str, tmp_path: Path) -> None:
        """No workflows and wrong settings are errors in the tools' words, beside findings too."""
        judgement = look(judges.workflows, tmp_path, files, ZIZMOR, ACTIONLINT)
        assert judgement.verdict is ERROR
        assert expected in judgement.summary

    def test_unparsed_workflow(self, tmp_path: Path) -> None:
        """A workflow that zizmor passes over is an error, unless actionlint explains it."""
        files = {f"{FLOWS}/g.yml": GOOD, f"{FLOWS}/broken.yml": "on: [push\n"}
        alone = look(judges.workflows, tmp_path / "alone", files, ZIZMOR)
        assert alone.verdict is ERROR
        assert "passed over a file" in alone.summary
        both = look(judges.workflows, tmp_path / "both", files, ZIZMOR, ACTIONLINT)
        assert both.verdict is FAILED
        assert (f"{FLOWS}/broken.yml", 2, "syntax-check") in places(both)

    def test_no_exit_codes_contradicts(self, tmp_path: Path) -> None:
        """Findings with exit code 0 are an error."""
        command = (*ZIZMOR, "--no-exit-codes")
        judgement = look(judges.workflows, tmp_path, {f"{FLOWS}/b.yml": BAD}, command)
        assert judgement.verdict is ERROR
        assert "exited with 0" in judgement.summary

    def test_truncated_report(self, tmp_path: Path) -> None:
        """A report that breaks off is an error, with either exit code."""
        look(judges.workflows, tmp_path, {f"{FLOWS}/b.yml": BAD}, ACTIONLINT)
        log = tmp_path / "out" / "0.log"
        log.write_bytes(log.read_bytes()[:60])
        for code in (0, 1):
            assert judges.workflows(Observed(tmp_path / "out", (code,))).verdict is ERROR


class TestCommand:
    """Commands of the source's own."""

    @pytest.mark.parametrize(
        ("text", "verdict", "summary"),
        [
            ("echo fine", PASSED, "exit 0"),
            ("echo 3 problems; echo ----; exit 7", FAILED, "exit 7: 3 problems"),
            ("no-such-command", ERROR, "exit 127"),
            ("kill -SEGV $$", FAILED, "signal 11 (SIGSEGV)"),
        ],
    )
    def test_exit_code(self, text: str, verdict: Verdict, summary: str, tmp_path: Path) -> None:
        """The exit code decides; the summary is the last line with words in it."""
        judgement = look(judges.command, tmp_path, {}, ("sh", "-c", text))
        assert judgement.verdict is verdict
        assert summary in judgement.summary

    def test_one_of_several(self, tmp_path: Path) -> None:
        """One of several commands suffices to fail a check."""
        judgement = look(judges.command, tmp_path, {}, ("true",), ("false",), ("true",))
        assert judgement.verdict is FAILED


MANY = """\
import unittest
import pytest

@pytest.mark.parametrize("p", ["a::b - c"])
def test_fail(p):
    assert p == ""

@pytest.fixture
def boom():
    raise ValueError("boom")

def test_error(boom): pass

@pytest.mark.skip(reason="no")
def test_skipped(): pass

@pytest.mark.xfail
def test_xfailed(): assert 0

class TestGroup:
    class TestInner:
        def test_method(self):
            helper()

def helper():
    raise RuntimeError("two\\nlines")

class Case(unittest.TestCase):
    def test_case(self):
        self.assertEqual(1, 2)

def test_passed(): print("\\x1b[31mred\\x1b[0m \\x00")
"""


class TestTests:
    """pytest."""

    def test_findings(self, tmp_path: Path) -> None:
        """Failing tests and errors have the file, the line in the test and the last lines."""
        files = {"tests/sub/test_many.py": MANY, "tests/sub/__init__.py": ""}
        judgement = look(judges.tests, tmp_path, files, PYTEST)
        assert judgement.verdict is FAILED
        assert judgement.summary == "3 failed, 1 error, 1 passed, 1 skipped, 1 xfailed"
        path = "tests/sub/test_many.py"
        assert sorted(places(judgement), key=str) == [
            (path, 10, "error"),
            (path, 23, "failed"),
            (path, 30, "failed"),
            (path, 6, "failed"),
        ]
        messages = {finding.message for finding in judgement.findings}
        assert "TestGroup::TestInner::test_method: RuntimeError: two" in messages
        assert "Case::test_case: AssertionError: 1 != 2" in messages
        assert all("test_many.py:" in finding.detail for finding in judgement.findings)
        assert judgement.files["junit.xml"].startswith(b"<?xml")

    @pytest.mark.parametrize(
        "settings",
        ["", "junit_family = xunit1", "addopts = --tb=short -r s", "addopts = --tb=native -q -q"],
    )
    def test_place_under_any_settings(self, settings: str, tmp_path: Path) -> None:
        """The file of a failing test is told whatever the source makes pytest print."""
        files = {
            "pytest.ini": f"[pytest]\n{settings}\n",
            "tests/test_a.py": "class TestA:\n    def test_a(self):\n        assert 0\n",
        }
        judgement = look(judges.tests, tmp_path, files, PYTEST)
        assert places(judgement) == [("tests/test_a.py", 3, "failed")]
        assert judgement.findings[0].message.startswith("TestA::test_a: ")

    def test_root_below(self, tmp_path: Path) -> None:
        """Paths count from the source, also where pytest's root folder lies below it."""
        files = {"tests/pytest.ini": "[pytest]\n", "tests/test_a.py": "def test_a(): assert 0\n"}
        judgement = look(judges.tests, tmp_path, files, (*PYTEST, "tests"))
        assert places(judgement) == [("tests/test_a.py", 1, "failed")]

    def test_collection_error(self, tmp_path: Path) -> None:
        """An import error while collecting is a failure at the line of the import."""
        files = {"test_a.py": "import nowhere_to_be_found\n", "test_b.py": "def test(): pass\n"}
        judgement = look(judges.tests, tmp_path, files, PYTEST)
        assert (judgement.verdict, judgement.summary) == (FAILED, "1 error")
        assert places(judgement) == [("test_a.py", 1, "error")]
        assert "No module named 'nowhere_to_be_found'" in judgement.findings[0].message

    def test_conftest_import_error(self, tmp_path: Path) -> None:
        """A conftest.py that can't be imported is the source's failure, though pytest says 4."""
        files = {"tests/conftest.py": "\nimport nowhere_to_be_found\n", "tests/test_a.py": ""}
        judgement = look(judges.tests, tmp_path, files, (*PYTEST, "tests"))
        assert judgement.verdict is FAILED
        assert places(judgement) == [("tests/conftest.py", 2, "error")]
        assert "No module named 'nowhere_to_be_found'" in judgement.summary

    @pytest.mark.parametrize(
        ("files", "arguments", "expected"),
        [
            ({"test_a.py": ""}, (), "no tests were collected"),
            ({"test_a.py": "def test_a(): pass"}, ("-k", "nope"), "no tests were collected"),
            ({"test_a.py": "def test_a(): pass"}, ("--collect-only",), "no test was executed"),
            ({"test_a.py": "import pytest\npytest.skip(allow_module_level=True)"}, (), "1 skipped"),
            ({"test_a.py": "import os\ndef test_a(): os._exit(0)"}, (), "no readable report"),
            ({"test_a.py": "import pytest\ndef test_a(): pytest.exit('enough')"}, (), "enough"),
            ({"test_a.py": "def test_a(): pass"}, ("--bogus",), "unrecognized arguments: --bogus"),
            ({"test_a.py": "def test_a(): pass"}, ("no.py",), "file or directory not found: no.py"),
            ({"pytest.ini": "[pytest]\nfilterwarnings = x:y:z\n"}, (), "invalid action: 'x'"),
            ({"conftest.py": "def pytest_collection(): 1 / 0"}, (), "ZeroDivisionError"),
        ],
    )
    def test_could_not_look(
        self, files: dict[str, str], arguments: tuple[str, ...], expected: str, tmp_path: Path
    ) -> None:
        """Where no test ran the check is an error that says why."""
        judgement = look(judges.tests, tmp_path, files, (*PYTEST, *arguments))
        assert judgement.verdict is ERROR
        assert expected in judgement.summary

    def test_signal(self, tmp_path: Path) -> None:
        """Tests that die of a signal are a failure that names the place."""
        code = "import os, signal\ndef test_a():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
        judgement = look(judges.tests, tmp_path, {"test_a.py": code}, PYTEST)
        assert judgement.verdict is FAILED
        assert judgement.summary == "pytest died of signal 11 (SIGSEGV) in test_a.py"
        assert places(judgement) == [("test_a.py", 3, "crashed")]

    @pytest.mark.parametrize(
        ("line", "message"),
        [("tests/test_b.py .F", "a test of this file"), ("tests/test_b.py::test_b ", "test_b")],
    )
    def test_running_at_the_limit(self, line: str, message: str, tmp_path: Path) -> None:
        """At a time limit the file that pytest was at is named, or the test where it tells."""
        (tmp_path / "0.log").write_text(f"tests/test_a.py ..   [ 50%]\n{line}")
        judgement = judges.tests(Observed(tmp_path, (), limit=2.5))
        assert judgement.summary == "time limit of 2.5 s reached in tests/test_b.py"
        assert judgement.findings[0].path == "tests/test_b.py"
        assert judgement.findings[0].message.startswith(f"{message}: ")

    @pytest.mark.parametrize("keep", [0, 100, -3])
    def test_broken_report(self, keep: int, tmp_path: Path) -> None:
        """A truncated report is an error, unless the log shows which tests failed."""
        look(judges.tests, tmp_path, {"test_a.py": "def test_a(): assert 0\n"}, PYTEST)
        out = tmp_path / "out"
        report = out / "junit.xml"
        report.write_bytes(report.read_bytes()[:keep])
        judgement = judges.tests(Observed(out, (1,)))
        assert judgement.verdict is FAILED
        assert [finding.path for finding in judgement.findings] == ["test_a.py"]
        assert judges.tests(Observed(out, (0,))).verdict is ERROR
        (out / "0.log").write_text("Killed\n")
        assert judges.tests(Observed(out, (1,))).verdict is ERROR

    def test_contradictions(self, tmp_path: Path) -> None:
        """Failures with exit code 0 are a failure that says so, as is exit code 1 without any."""
        hook = "def pytest_sessionfinish(session):\n    session.exitstatus = {}\n"
        files = {"test_a.py": "def test_a(): assert 0\n", "conftest.py": hook.format(0)}
        judgement = look(judges.tests, tmp_path / "0", files, PYTEST)
        assert judgement.verdict is FAILED
        assert "although pytest exited with 0" in judgement.summary
        files = {"test_a.py": "def test_a(): pass\n", "conftest.py": hook.format(1)}
        judgement = look(judges.tests, tmp_path / "1", files, PYTEST)
        assert judgement.verdict is FAILED
        assert "exit 1 though no test failed" in judgement.summary


HALF = {
    "src/pkg/__init__.py": "import os\nif os.environ.get('NOT_SET'):\n    print(1)\n",
    "tests/test_a.py": "import sys\nsys.path.insert(0, 'src')\n\ndef test_a():\n    import pkg\n",
}
SETTINGS = "[run]\nbranch = true\nsource =\n    src\n    tests\n"
COVERED = (
    ("python", "-m", "coverage", "run", *PYTEST[1:]),
    ("python", "-m", "coverage", "xml", "--quiet", "-o", "{out}/coverage.xml"),
)


class TestCoverage:
    """Coverage, measured with coverage itself or with pytest's plugin."""

    @pytest.mark.parametrize("relative", ["true", "false"])
    def test_by_file(self, relative: str, tmp_path: Path) -> None:
        """Lines and branches of each file count as in coverage's own total, at its own path."""
        files = HALF | {".coveragerc": f"{SETTINGS}relative_files = {relative}\n"}
        total = ("python", "-m", "coverage", "report", "--format=total", "--precision=1")
        judgement = look(judges.tests, tmp_path, files, *COVERED, total)
        assert judgement.verdict is PASSED
        assert judgement.coverage == (
            FileCoverage("src/pkg/__init__.py", 5, 3),
            FileCoverage("tests/test_a.py", 4, 4),
        )
        measured = (tmp_path / "out" / "2.log").read_text().strip()
        assert measured == "77.8"
        assert judgement.summary == "1 passed; coverage 77.7 %"
        assert sorted(judgement.files) == ["coverage.xml", "junit.xml"]

    def test_plugin(self, tmp_path: Path) -> None:
        """What pytest-cov measures is read alike, also where a test fails."""
        files = HALF | {"tests/test_b.py": "def test_b(): assert 0\n"}
        command = (*PYTEST, "--cov=src", "--cov-report=xml:{out}/coverage.xml")
        judgement = look(judges.tests, tmp_path, files, command)
        assert judgement.verdict is FAILED
        assert judgement.coverage == (FileCoverage("src/pkg/__init__.py", 3, 2),)
        assert judgement.summary == "1 failed, 1 passed; coverage 66.6 %"

    @pytest.mark.parametrize("tool", ["pytest-cov", "coverage"])
    def test_own_floor(self, tool: str, tmp_path: Path) -> None:
        """The source's own floor counts, whichever tool holds it up."""
        if tool == "pytest-cov":
            command = (*PYTEST, "--cov", "--cov-report=xml:{out}/coverage.xml")
            files = HALF | {".coveragerc": SETTINGS}
            judgement = look(judges.tests, tmp_path, files, (*command, "--cov-fail-under=90"))
        else:
            files = HALF | {".coveragerc": f"{SETTINGS}[report]\nfail_under = 90\n"}
            judgement = look(judges.tests, tmp_path, files, *COVERED)
        assert judgement.verdict is FAILED
        assert "under the source's own floor" in judgement.summary
        assert "coverage 77.7 %" in judgement.summary

    def test_nothing_to_report(self, tmp_path: Path) -> None:
        """Coverage that was asked for and can't be reported is an error."""
        commands = (("python", "-m", "coverage", "combine"), COVERED[1])
        judgement = look(judges.tests, tmp_path, HALF, PYTEST, *commands)
        assert judgement.verdict is ERROR
        assert "No data to combine" in judgement.summary

    def test_failure_comes_first(self, tmp_path: Path) -> None:
        """Where tests died there is no coverage: the failure is what counts."""
        code = "import os, signal\ndef test_a():\n    os.kill(os.getpid(), signal.SIGABRT)\n"
        judgement = look(judges.tests, tmp_path, {"test_a.py": code}, *COVERED)
        assert judgement.verdict is FAILED
        assert "signal 6 (SIGABRT)" in judgement.summary

    def test_broken_report(self, tmp_path: Path) -> None:
        """A truncated coverage report is an error."""
        look(judges.tests, tmp_path, HALF | {".coveragerc": SETTINGS}, *COVERED)
        report = tmp_path / "out" / "coverage.xml"
        report.write_bytes(report.read_bytes()[:-20])
        judgement = judges.tests(Observed(tmp_path / "out", (0, 0)))
        assert judgement.verdict is ERROR
        assert "coverage.xml is unreadable" in judgement.summary

    @pytest.mark.parametrize(
        ("covered", "floor", "verdict"),
        [
            (79_996, 80.0, FAILED),
            (79_996, 79.99, PASSED),
            (80_000, 80.0, PASSED),
            (91_300, 91.3, PASSED),
            (99_999, 100.0, FAILED),
            (0, 0.0, PASSED),
        ],
    )
    def test_floor(self, covered: int, floor: float, verdict: Verdict) -> None:
        """The total is rounded down before it is held against a floor."""
        half = covered // 2
        measured = (
            FileCoverage("a.py", 50_000, half),
            FileCoverage("b.py", 50_000, covered - half),
        )
        judgement = judges.with_floor(Judgement(PASSED, "1 passed", coverage=measured), floor)
        assert judgement.verdict is verdict
        assert ("under the floor" in judgement.summary) is (verdict is FAILED)

    def test_floor_without_coverage(self) -> None:
        """A floor with nothing measured is an error; no floor changes nothing."""
        passed = Judgement(PASSED, "1 passed")
        assert judges.with_floor(passed, 80.0).verdict is ERROR
        assert judges.with_floor(passed, None) is passed
        failed = Judgement(FAILED, "1 failed")
        assert judges.with_floor(failed, 80.0) is failed
