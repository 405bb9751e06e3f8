"""The reports: always all of them, valid, masked, and nothing else in the folder touched."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree as ET

import pytest

from llm_pipeline.model import (
    CheckResult,
    Control,
    FileCoverage,
    Finding,
    SourceState,
    Verdict,
)
from llm_pipeline.report import linker
from tests.llm_pipeline.results import DOCUMENTS, document, result, run_of, write

TOOLS = Path(sys.executable).parent
HOSTILE = "<&]]>\"' \x00\x0b\x1b[31m\ud800\udcff\ufffe -- | `\n::error::"


def xml(path: Path) -> ET.Element:
    """Return the root of an XML file."""
    return ET.parse(path).getroot()  # noqa: S314 - we wrote it


@pytest.fixture(scope="module")
def real_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What ruff, pytest with coverage, and gitleaks write about a small source."""
    source = tmp_path_factory.mktemp("real")
    (source / "a.py").write_text("import os\n\n\ndef f():\n    return undefined\n")
    (source / "test_a.py").write_text(
        "import a\n\n\ndef test_f():\n    assert a.f() == 1\n\n\ndef test_g():\n    pass\n"
    )

    def run(*command: str) -> None:
        subprocess.run(command, cwd=source, check=False, capture_output=True)

    ruff = ["check", "--isolated", "--no-cache", "--output-format=sarif", "--output-file=r.sarif"]
    run(str(TOOLS / "ruff"), *ruff, ".")
    pytest_options = ["-q", "-p", "no:cacheprovider", "--junitxml=j.xml", "--rootdir=."]
    coverage = ["--cov=a", "--cov-report=xml:c.xml"]
    run(sys.executable, "-m", "pytest", "-c", os.devnull, *pytest_options, *coverage)
    run(str(TOOLS / "gitleaks"), "dir", "--report-format=sarif", "--report-path=g.sarif", ".")
    return {
        "ruff.sarif": (source / "r.sarif").read_bytes(),
        "junit.xml": (source / "j.xml").read_bytes(),
        "coverage.xml": (source / "c.xml").read_bytes(),
        "gitleaks.sarif": (source / "g.sarif").read_bytes(),
    }


def checks_with(files: dict[str, bytes]) -> tuple[CheckResult, ...]:
    """Return the results of the checks that leave these files."""
    own = {
        "gitleaks": ["gitleaks.sarif"],
        "lint": ["ruff.sarif"],
        "test": ["junit.xml", "coverage.xml"],
    }
    return tuple(
        result(name, Verdict.FAILED, files={each: files[each] for each in names})
        for name, names in own.items()
    )


ENDS = {
    "passed": (Verdict.PASSED,) * 3,
    "failed": (Verdict.PASSED, Verdict.FAILED, Verdict.SKIPPED),
    "error": (Verdict.ERROR, Verdict.SKIPPED, Verdict.SKIPPED),
    "skipped": (Verdict.SKIPPED,) * 3,
}


@pytest.mark.parametrize("verdicts", ENDS.values(), ids=ENDS)
def test_every_run_writes_the_same_reports(tmp_path: Path, verdicts: tuple[Verdict, ...]) -> None:
    """Whatever failed or was skipped, the list of files is that of a run that passed."""
    names = ("gitleaks", "lint", "test")
    run = run_of(*(result(name, verdict) for name, verdict in zip(names, verdicts, strict=True)))
    assert write(run, tmp_path) == DOCUMENTS | {f"logs/{name}.log" for name in names}


def test_an_interrupted_run_writes_reports(tmp_path: Path) -> None:
    """With no result at all, the documents are there and valid."""
    assert write(run_of(interrupted=True), tmp_path) == DOCUMENTS
    assert document(tmp_path / "verdict.json")["verdict"] == "error"
    assert xml(tmp_path / "junit.xml").find("testsuite") is not None


def test_the_verdict_file_holds_what_the_design_says(tmp_path: Path) -> None:
    """Its keys and their order are fixed: others read it."""
    lint = result(
        "lint",
        Verdict.PASSED,
        summary="no findings",
        seconds=0.41234,
        exit_code=0,
        tool="ruff 0.17.6",
        control=Control.SEEN,
        files={"ruff.sarif": b'{"version": "2.1.0", "runs": []}'},
    )
    test = result("test", Verdict.SKIPPED, summary="not run")
    write(run_of(lint, test, source=SourceState("c" * 40, "d" * 40, dirty=True)), tmp_path)
    expected = {
        "schema": 1,
        "verdict": "passed",
        "source": {"commit": "c" * 40, "tree": "d" * 40, "dirty": True},
        "executor": "host",
        "python": "3.13.1",
        "seconds": 12.34,
        "checks": [
            {
                "name": "lint",
                "stage": "static",
                "verdict": "passed",
                "seconds": 0.412,
                "exit_code": 0,
                "summary": "no findings",
                "reports": ["ruff.sarif", "logs/lint.log"],
                "tool": "ruff 0.17.6",
                "control": "seen",
            },
            {
                "name": "test",
                "stage": "test",
                "verdict": "skipped",
                "seconds": 0.0,
                "exit_code": None,
                "summary": "not run",
                "reports": ["logs/test.log"],
                "tool": None,
                "control": "not run",
            },
        ],
    }
    text = (tmp_path / "verdict.json").read_text()
    assert text == json.dumps(expected, indent=2) + "\n"


def test_every_report_that_the_verdict_names_is_there(
    tmp_path: Path, real_files: dict[str, bytes]
) -> None:
    """A reader can follow each name."""
    written = write(run_of(*checks_with(real_files)), tmp_path / "out")
    checks = document(tmp_path / "out" / "verdict.json")["checks"]
    named = {name for check in checks for name in check["reports"]}
    assert named | {"verdict.json", "summary.md"} == written


def test_reports_of_real_tools_get_through(tmp_path: Path, real_files: dict[str, bytes]) -> None:
    """What ruff, pytest, coverage and gitleaks wrote is the same document after masking."""
    write(run_of(*checks_with(real_files)), tmp_path / "out")
    for name in ("ruff.sarif", "gitleaks.sarif"):
        assert document(tmp_path / "out" / name) == json.loads(real_files[name])
    rules = {each["ruleId"] for each in document(tmp_path / "out/ruff.sarif")["runs"][0]["results"]}
    assert {"F401", "F821"} <= rules
    coverage = xml(tmp_path / "out" / "coverage.xml")
    (tmp_path / "before.xml").write_bytes(real_files["coverage.xml"])
    assert coverage.attrib == xml(tmp_path / "before.xml").attrib
    assert len(coverage.findall(".//line")) == 3
    pipeline, tests = xml(tmp_path / "out" / "junit.xml")
    assert [case.get("name") for case in pipeline] == ["gitleaks", "lint", "test"]
    assert (tests.get("name"), tests.get("tests"), tests.get("failures")) == ("pytest", "2", "1")
    assert "NameError: name 'undefined' is not defined" in "".join(tests.itertext())


def test_junit_counts_its_cases(tmp_path: Path) -> None:
    """The numbers of a suite are those of its cases, and each case says what happened."""
    finding = Finding("a.py", 3, "F821", "Undefined name `x`", 5)
    run = run_of(
        result("gitleaks", Verdict.ERROR, summary="shallow clone", log="l1\nl2\n"),
        result("lint", Verdict.FAILED, findings=(finding,)),
        result("format", seconds=1.5),
        result("test", Verdict.SKIPPED, summary="not run"),
    )
    write(run, tmp_path)
    suite = xml(tmp_path / "junit.xml")[0]
    counts = [suite.get(key) for key in ("tests", "failures", "errors", "skipped", "time")]
    assert counts == ["4", "1", "1", "1", "12.340"]
    leaks, lint, formatting, test = suite
    assert [(each.tag, each.get("message"), each.text) for each in leaks] == [
        ("error", "shallow clone", "l1\nl2")
    ]
    assert [(each.tag, each.text) for each in lint] == [
        ("failure", "a.py:3:5: F821 Undefined name `x`")
    ]
    assert (len(formatting), formatting.get("time")) == (0, "1.500")
    assert [(each.tag, each.get("message")) for each in test] == [("skipped", "not run")]


def test_a_report_of_nothing_says_so(tmp_path: Path) -> None:
    """A reader of an empty SARIF or coverage must not take it for a clean one."""
    run = run_of(
        result("gitleaks", Verdict.ERROR, summary="a shallow clone"),
        result("test", Verdict.SKIPPED, summary="not run -- since gitleaks did not pass-"),
    )
    write(run, tmp_path)
    for name, tool in (("gitleaks.sarif", "gitleaks"), ("ruff.sarif", "ruff")):
        sarif = document(tmp_path / name)
        assert sarif["version"] == "2.1.0"
        (only,) = sarif["runs"]
        assert (only["tool"]["driver"]["name"], only["results"]) == (tool, [])
        (invocation,) = only["invocations"]
        assert invocation["executionSuccessful"] is False
        (notification,) = invocation["toolExecutionNotifications"]
        told = notification["message"]["text"]
        wanted = "a shallow clone" if tool == "gitleaks" else "not a part of this run"
        assert wanted in told
    coverage = xml(tmp_path / "coverage.xml")
    assert (coverage.tag, coverage.get("lines-valid")) == ("coverage", "0")
    assert "Nothing was measured" in (tmp_path / "coverage.xml").read_text()


BROKEN = {
    "cut off": b'<?xml version="1.0"?><testsuites><testsuite name="a',
    "empty": b"",
    "binary": bytes(range(256)),
    "unknown encoding": b'<?xml version="1.0" encoding="x-nothing"?><coverage/>',
    "entities": b'<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><coverage>&c;</coverage>',
    "JSON of another kind": b"[1, 2]",
    "deep JSON": b"[" * 100_000,
    "no number": b'{"runs": [NaN]}',
    "no runs": b'{"version": "2.1.0"}',
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_a_broken_report_of_a_tool_is_replaced(tmp_path: Path, data: bytes) -> None:
    """A tool that died leaves half a report; what we write is a whole one all the same."""
    files = dict.fromkeys(("junit.xml", "coverage.xml", "ruff.sarif", "gitleaks.sarif"), data)
    write(run_of(*checks_with(files)), tmp_path)
    assert len(xml(tmp_path / "junit.xml").findall("testsuite/testcase")) == 3
    assert xml(tmp_path / "coverage.xml").get("version") == "none"
    assert document(tmp_path / "ruff.sarif")["runs"][0]["invocations"]


def test_any_text_leaves_the_reports_valid(tmp_path: Path) -> None:
    """File names with line ends, bytes that are no UTF-8, control characters and markup."""
    finding = Finding(HOSTILE, 1, HOSTILE, HOSTILE, 1, detail=HOSTILE)
    run = run_of(
        *(
            result(
                name,
                verdict,
                summary=HOSTILE,
                tool=HOSTILE,
                log=HOSTILE,
                findings=findings,
                coverage=(FileCoverage(HOSTILE, 2, 1),),
                files={"ruff.sarif": json.dumps({"runs": [{HOSTILE: HOSTILE}]}).encode()},
            )
            for name, verdict in (("lint", Verdict.FAILED), ("test", Verdict.ERROR))
            for findings in ((), (finding,))
        ),
        notes=(HOSTILE,),
    )
    names = write(run, tmp_path)
    for name in names:
        text = (tmp_path / name).read_bytes().decode()
        assert "\x1b" not in text
        if name.endswith(".xml"):
            xml(tmp_path / name)
        elif name.endswith((".json", ".sarif")):
            document(tmp_path / name)
    assert document(tmp_path / "ruff.sarif")["runs"][0]


def test_a_secret_is_in_no_report(tmp_path: Path, canary: str) -> None:
    """Planted in every field and in every tool's report, escaped in different ways."""
    secret = f'{canary}<&"/é'
    finding = Finding(f"src/{canary}.py", 1, canary, secret, detail=f"E  {secret!r}")
    junit = ET.Element("testsuites")
    suite = ET.SubElement(junit, "testsuite", name=secret, tests="1")
    case = ET.SubElement(suite, "testcase", name=secret)
    ET.SubElement(case, "failure", message=secret).text = f"{json.dumps(secret)} {secret}"
    ET.SubElement(case, "system-out").tail = secret
    sarif = {"runs": [{"results": [{"message": {"text": secret}}], secret: [secret, 1, None]}]}
    files = {
        "junit.xml": ET.tostring(junit),
        "coverage.xml": ET.tostring(ET.Element("coverage", filename=secret)),
        "ruff.sarif": json.dumps(sarif).encode(),
        "gitleaks.sarif": json.dumps(sarif, ensure_ascii=False).encode(),
    }
    encoded = base64.b64encode(secret.encode()).decode()
    log = f"{secret}\n{quote(secret, safe='')}\n{encoded}\n{secret[:20]}\x1b[0m{secret[20:]}\n"
    lint, *others = checks_with(files)
    run = run_of(
        *others,
        CheckResult(
            "lint",
            lint.stage,
            Verdict.FAILED,
            f"1 finding: {secret}",
            tool=f"ruff {secret}",
            findings=(finding,) * 3,
            log=log,
            coverage=(FileCoverage(f"{canary}.py", 3, 1),),
            files=lint.files,
        ),
        notes=(secret,),
    )
    for name in write(run, tmp_path, secret, canary):
        data = (tmp_path / name).read_text()
        assert canary not in data, name
        assert encoded not in data, name
    assert "***" in (tmp_path / "logs" / "lint.log").read_text()
    assert len(document(tmp_path / "gitleaks.sarif")["runs"][0]["results"]) == 1


def test_a_word_of_a_format_as_a_secret_breaks_no_report(tmp_path: Path) -> None:
    """Somebody's password is `passed`; the verdict file still says what it has to."""
    words = ("passed", "testsuite", "coverage", "verdict", "checks", "summary")
    write(run_of(result("lint", summary="passed")), tmp_path, *words)
    verdict = document(tmp_path / "verdict.json")
    assert (verdict["verdict"], verdict["checks"][0]["summary"]) == ("passed", "***")
    assert xml(tmp_path / "junit.xml").find("testsuite") is not None


def test_links_lead_to_the_commit_that_actions_checked_out() -> None:
    """Outside of Actions there are none."""
    environ = {
        "GITHUB_SERVER_URL": "https://github.example.invalid",
        "GITHUB_REPOSITORY": "o/r",
        "GITHUB_SHA": "abc",
    }
    link = linker(environ)
    assert link is not None
    there = "https://github.example.invalid/o/r/blob/abc"
    assert link("a b/#1.py", 3) == f"{there}/a%20b/%231.py#L3"
    assert link("a.py", None) == f"{there}/a.py"
    assert linker({}) is None
    assert linker({**environ, "GITHUB_SHA": ""}) is None
