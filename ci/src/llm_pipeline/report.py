"""The reports of a run: JSON, JUnit, coverage, SARIF, Markdown and the logs, secrets masked.

A failing run writes every report that a passing one does. Where a check produced none, its report
is still a valid document, and says that nothing was looked at.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from xml.etree import ElementTree as ET

from llm_pipeline import display
from llm_pipeline.errors import LookError
from llm_pipeline.masking import Mask
from llm_pipeline.model import CheckResult, RunResult, Verdict
from llm_pipeline.summary import Linker, markdown

_SARIF: Final = {
    "gitleaks.sarif": ("gitleaks", "gitleaks", "https://github.com/gitleaks/gitleaks"),
    "ruff.sarif": ("lint", "ruff", "https://github.com/astral-sh/ruff"),
}
_LOG_LINES: Final = 50
_NAME: Final = re.compile(r"[a-z][a-z0-9-]*")


def linker(environ: Mapping[str, str]) -> Linker | None:
    """Return links into the commit that GitHub Actions runs on; ``None`` outside of Actions."""
    server, repository, commit = (
        environ.get(name) for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_SHA")
    )
    if not (server and repository and commit):
        return None

    return links_below(f"{server}/{repository}/blob/{commit}")


def links_below(address: str) -> Linker:
    """Return links to files of a source that are shown below an address."""

    def link(path: str, line: int | None) -> str:
        anchor = f"#L{line}" if line else ""
        return f"{address.rstrip('/')}/{quote(path)}{anchor}"

    return link


def write_reports(
    run: RunResult, folder: Path, *, mask: Mask, link: Linker | None
) -> tuple[Path, ...]:
    """Write all reports of a run into a folder, which is made, and return their paths.

    A report of an earlier run is replaced, in one step each; other files stay as they are.

    Raises:
        LookError: The folder can't be written to; the reports of an earlier run are unharmed.
    """
    texts = _documents(run, mask, link)
    placed: list[tuple[Path, Path]] = []
    try:
        if (folder / "logs").is_symlink():
            message = f"{folder / 'logs'} is a link; remove it, or give --reports another folder."
            raise LookError(message)
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        stale = _stale_logs(run, folder)
        try:
            for name, data in texts.items():
                target = folder / name
                part = target.with_name(f".{target.name}.{os.getpid()}.part")
                placed.append((part, target))
                part.write_bytes(data)
            for part, target in placed:
                part.replace(target)
        finally:
            for part, _ in placed:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
        for old in stale:
            old.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        message = f"The reports can't be written to {folder}: {reason}. "
        message += "Give --reports a folder that can be written, on a disk with room."
        raise LookError(message) from None
    return tuple(target for _, target in placed)


def _documents(run: RunResult, mask: Mask, link: Linker | None) -> dict[str, bytes]:
    masked = mask.run(run)
    files = {name: data for check in run.checks for name, data in check.files.items()}
    texts = {
        "verdict.json": _json(_verdict(masked, run)),
        "summary.md": markdown(masked, link=link).encode(),
        "junit.xml": _junit(masked, files.get("junit.xml"), mask),
        "coverage.xml": _coverage(masked, files.get("coverage.xml"), mask),
    }
    for name, (owner, tool, home) in _SARIF.items():
        texts[name] = _sarif(files.get(name), mask) or _no_sarif(masked, owner, tool, home)
    for check in masked.checks:
        log = check.log or f"{check.verdict}: {check.summary}"
        texts[f"logs/{check.name}.log"] = f"{log.rstrip()}\n".encode()
    return texts


def _verdict(run: RunResult, raw: RunResult) -> dict[str, Any]:
    """Return the verdict file, in the order in which a person reads it."""
    return {
        "schema": 1,
        "verdict": run.verdict,
        "source": {
            "commit": run.source.commit,
            "tree": run.source.tree,
            "dirty": run.source.dirty,
        },
        "executor": run.executor,
        "python": run.python,
        "seconds": round(run.seconds, 3),
        "checks": [
            {
                "name": check.name,
                "stage": check.stage,
                "verdict": check.verdict,
                "seconds": round(check.seconds, 3),
                "exit_code": check.exit_code,
                "summary": check.summary,
                "reports": _names(check, files),
                "tool": check.tool,
                "control": check.control,
            }
            for check, files in zip(run.checks, (each.files for each in raw.checks), strict=True)
        ],
    }


def _names(check: CheckResult, files: Mapping[str, bytes]) -> list[str]:
    return list(dict.fromkeys([*check.reports, *sorted(files), f"logs/{check.name}.log"]))


def _json(document: object) -> bytes:
    return f"{json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def _stale_logs(run: RunResult, folder: Path) -> list[Path]:
    """Return the logs of an earlier run's checks that are not in this one."""
    try:
        earlier = json.loads((folder / "verdict.json").read_bytes())
        names = {str(check["name"]) for check in earlier["checks"]}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    names -= {check.name for check in run.checks}
    return [folder / "logs" / f"{name}.log" for name in sorted(names) if _NAME.fullmatch(name)]


def _sarif(data: bytes | None, mask: Mask) -> bytes | None:
    """Return a tool's SARIF with every text in it masked, ``None`` where it can't be read."""
    if data is None:
        return None
    try:
        document = json.loads(data)
        if not isinstance(document, dict) or "runs" not in document:
            return None
        return _json(_masked(document, mask))
    except (ValueError, RecursionError):
        return None


def _masked(value: Any, mask: Mask) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        text = mask.text(value)
        return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_masked(each, mask) for each in value]
    if isinstance(value, dict):
        return {mask.text(key): _masked(each, mask) for key, each in value.items()}
    return value


def _no_sarif(run: RunResult, name: str, tool: str, home: str) -> bytes:
    """Return SARIF 2.1.0 that says that a tool did not run, so that no alert is closed by it."""
    told = f"No report of {tool}. {_why(run, name)}"
    invocation = {
        "executionSuccessful": False,
        "toolExecutionNotifications": [{"level": "note", "message": {"text": told}}],
    }
    driver = {"name": tool, "informationUri": home}
    return _json(
        {
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{"tool": {"driver": driver}, "invocations": [invocation], "results": []}],
        }
    )


def _why(run: RunResult, name: str) -> str:
    for check in run.checks:
        if check.name == name:
            return f"The check {name} {check.verdict}: {check.summary}"
    return f"The check {name} was not a part of this run"


def _parsed(data: bytes | None) -> ET.Element | None:
    # The tests wrote this file: a document that declares entities is refused, so that it can't
    # grow, and the standard library's parser loads nothing from outside.
    if data is None or b"<!ENTITY" in data:
        return None
    try:
        return ET.fromstring(data)  # noqa: S314 - see above
    except (ET.ParseError, ValueError, LookupError):
        return None


def _mask_xml(root: ET.Element, mask: Mask) -> None:
    for element in root.iter():
        element.text = mask.text(element.text) if element.text else element.text
        element.tail = mask.text(element.tail) if element.tail else element.tail
        for name, value in element.attrib.items():
            element.set(name, mask.text(value))


def _xml(root: ET.Element) -> bytes:
    ET.indent(root)
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data + b"\n"


def _junit(run: RunResult, data: bytes | None, mask: Mask) -> bytes:
    """Return JUnit: one suite with a case for each check, then the suites of the tests."""
    suite = ET.Element("testsuite", name="llm-pipeline")
    for check in run.checks:
        suite.append(_case(check))
    numbers = {
        "tests": len(suite),
        "failures": len(suite.findall("*/failure")),
        "errors": len(suite.findall("*/error")),
        "skipped": len(suite.findall("*/skipped")),
    }
    for key, number in numbers.items():
        suite.set(key, str(number))
    suite.set("time", f"{run.seconds:.3f}")
    root = ET.Element("testsuites", name="llm-pipeline")
    root.append(suite)
    tests = _parsed(data)
    if tests is not None:
        _mask_xml(tests, mask)
        root.extend([tests] if tests.tag == "testsuite" else tests.findall("testsuite"))
    return _xml(root)


def _case(check: CheckResult) -> ET.Element:
    case = ET.Element(
        "testcase", classname="llm-pipeline", name=check.name, time=f"{check.seconds:.3f}"
    )
    kind = {Verdict.FAILED: "failure", Verdict.ERROR: "error", Verdict.SKIPPED: "skipped"}
    if tag := kind.get(check.verdict):
        element = ET.SubElement(case, tag, message=check.summary)
        if tag != "skipped":
            element.set("type", check.verdict)
            element.text = "\n".join(_evidence(check))
    return case


def _evidence(check: CheckResult) -> Iterable[str]:
    return tuple(_places(check)) or display.tail(check.log, _LOG_LINES)[0]


def _places(check: CheckResult) -> Iterator[str]:
    for finding in check.findings:
        numbers = "".join(f":{number}" for number in (finding.line, finding.column) if number)
        yield " ".join(filter(None, (f"{finding.path}{numbers}:", finding.rule, finding.message)))


def _coverage(run: RunResult, data: bytes | None, mask: Mask) -> bytes:
    """Return the Cobertura report of the tests, or one of nothing that says so."""
    measured = _parsed(data)
    if measured is not None and measured.tag == "coverage":
        _mask_xml(measured, mask)
        return _xml(measured)
    zeros = ("lines-valid", "lines-covered", "line-rate", "branches-valid", "branches-covered")
    root = ET.Element("coverage", dict.fromkeys((*zeros, "branch-rate", "complexity"), "0"))
    root.set("version", "none")
    root.set("timestamp", "0")
    # Two hyphens may not stand in a comment.
    told = re.sub(r"-(?=-|$)", "- ", f" Nothing was measured. {_why(run, 'test')} ")
    root.append(ET.Comment(told))
    ET.SubElement(root, "sources")
    ET.SubElement(root, "packages")
    return _xml(root)
