"""A run as Markdown, for GitHub's step summary: what a person reads first."""

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final
from urllib.parse import quote

from llm_pipeline import display
from llm_pipeline.model import CheckResult, Control, Finding, RunResult, Verdict

Linker = Callable[[str, int | None], str | None]
"""Returns the address of a file, and a line in it, or ``None`` where it has none."""

LIMIT: Final = 1_000_000
"""Bytes; GitHub refuses a step's summary of more than 1 MiB."""

_FINDINGS: Final = 200  # of one check
_COVERED_FILES: Final = 100
_LOG_LINES: Final = 30
_ACTIVE: Final = re.compile(r"[&<>|\\$`*_\[\]~!#@]|://|(?<=\bwww)\.")
_ICONS: Final = {
    Verdict.PASSED: "✅",
    Verdict.FAILED: "❌",
    Verdict.SKIPPED: "⏭️",
    Verdict.ERROR: "⚠️",
}
_CONTROLS: Final = {
    Control.SEEN: "seen",
    Control.BLIND: "**blind**",
    Control.OFF: "off",
    Control.NOT_RUN: "",
}


def verdict_line(run: RunResult) -> str:
    """Return the last word on a run, for example ``failed: lint, test``, in one line."""
    if run.interrupted:
        return f"interrupted after {display.duration(run.seconds)}: there is no verdict"
    errors = [check for check in run.checks if check.verdict is Verdict.ERROR]
    failed = [check.name for check in run.checks if check.verdict is Verdict.FAILED]
    parts = []
    if errors:
        told = (f"{check.name} ({_reason(check)})" for check in errors)
        parts.append(f"error: {', '.join(told)}")
    if failed:
        parts.append(f"failed: {', '.join(failed)}")
    if not parts and run.verdict is Verdict.ERROR:
        parts.append("error: every check was skipped, so nothing was looked at")
    skipped = [check.name for check in run.checks if check.verdict is Verdict.SKIPPED]
    aside = f"; not run: {', '.join(skipped)}" if skipped else ""
    return "; ".join(parts) or f"passed in {display.duration(run.seconds)}{aside}"


def _reason(check: CheckResult) -> str:
    return display.shortened(display.one_line(check.summary).removeprefix("error: "))


def markdown(run: RunResult, *, link: Linker | None) -> str:
    """Return a run as Markdown of at most ``LIMIT`` bytes; what was cut is said at its end.

    The run must be masked already (``Mask.run``): a secret can't be found in escaped text.
    """
    text, left_out = "", 0
    room = LIMIT - 200  # for the note about the cut
    for block in _blocks(run, link):
        size = len(block.encode()) + 1
        if size > room:
            left_out += 1
            continue
        room -= size
        text += f"{block}\n"
    if left_out:
        parts = display.counted(left_out, "part")
        text += f"\n*{parts} of this summary did not fit; the other reports hold everything.*\n"
    return text


def _blocks(run: RunResult, link: Linker | None) -> Iterator[str]:
    """Yield pieces that are valid Markdown each, so that any can be left out."""
    yield f"## {_ICONS[run.verdict]} llm-pipeline: {_text(_headline(run))}\n"
    yield _about(run)
    yield _table(run.checks)
    for check in run.checks:
        if check.verdict in {Verdict.FAILED, Verdict.ERROR}:
            yield from _account(check, link)
    for check in run.checks:
        if check.coverage:
            yield _coverage(check, link)
    yield from _reproduce(run)


def _headline(run: RunResult) -> str:
    errors = [check.name for check in run.checks if check.verdict is Verdict.ERROR]
    line = verdict_line(run)
    return f"error: {', '.join(errors)}" if errors and line.startswith("error") else line


def _about(run: RunResult) -> str:
    parts = [f"executor {run.executor}", f"Python {run.python}", display.duration(run.seconds)]
    if run.source.commit:
        dirty = ", with changes that are not committed" if run.source.dirty else ""
        parts.insert(0, f"commit {run.source.commit[:12]}{dirty}")
    lines = [" · ".join(map(_text, parts)), ""]
    for note in run.notes:
        lines += [f"> {_text(note)}", ""]
    return "\n".join(lines)


def _table(checks: Iterable[CheckResult]) -> str:
    rows = [
        "| Check | Verdict | Time | Result | Tool | Red control |",
        "| :-- | :-- | --: | :-- | :-- | :-- |",
    ]
    for check in checks:
        time = "" if check.verdict is Verdict.SKIPPED else display.duration(check.seconds)
        cells = (
            check.name,
            f"{_ICONS[check.verdict]} {check.verdict}",
            time,
            _text(check.summary),
            _text(check.tool or ""),
            _CONTROLS[check.control],
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def _account(check: CheckResult, link: Linker | None) -> Iterator[str]:
    yield f"### {_ICONS[check.verdict]} {check.name}: {_text(check.summary)}\n"
    shown = sorted(check.findings[:_FINDINGS], key=lambda finding: finding.path)
    for path, findings in groupby(shown, key=lambda finding: finding.path):
        each = list(findings)
        if any(finding.detail for finding in each):
            yield from (_detailed(finding, link) for finding in each)
        else:
            lines = [f"**{_place(path, None, link)}**", ""]
            lines += [f"- {_told(finding, link)}" for finding in each]
            yield "\n".join([*lines, ""])
    if more := len(check.findings) - len(shown):
        yield f"… and {display.counted(more, 'more finding')}, in `logs/{check.name}.log`.\n"
    if not check.findings or check.verdict is Verdict.ERROR:
        lines, before = display.tail(display.clean(check.log), _LOG_LINES)
        if lines:
            above = f" (the {before} before them are in `logs/{check.name}.log`)" if before else ""
            yield f"Last lines of its output{above}:\n\n{_fenced(lines)}\n"


def _told(finding: Finding, link: Linker | None) -> str:
    where = f"line {finding.line}" if finding.line else "the file"
    if finding.line and finding.column:
        where += f", column {finding.column}"
    address = _address(finding.path, finding.line, link)
    place = f"[{where}]({address})" if address else where
    rule = f" {_code(finding.rule)}" if finding.rule else ""
    return f"{place}{rule} {_text(finding.message)}"


def _detailed(finding: Finding, link: Linker | None) -> str:
    lines, _ = display.tail(display.clean(finding.detail), _LOG_LINES)
    place = _place(finding.path, finding.line, link)
    rule = f" {_code(finding.rule)}" if finding.rule else ""
    return f"**{place}**{rule} {_text(finding.message)}\n\n{_fenced(lines)}\n"


def _coverage(check: CheckResult, link: Linker | None) -> str:
    total = sum(each.total for each in check.coverage)
    covered = sum(each.covered for each in check.coverage)
    partly = sorted(
        (each for each in check.coverage if each.covered < each.total),
        key=lambda each: (each.covered / each.total, each.path),
    )
    rows = []
    for each in partly[:_COVERED_FILES]:
        share = _share(each.covered, each.total)
        missing = each.total - each.covered
        rows.append(f"| {_place(each.path, None, link)} | {share} | {missing} | {each.total} |")
    files = display.counted(len(check.coverage), "file")
    lines = [
        f"<details><summary>Coverage: {_share(covered, total)} of {files}</summary>",
        "",
        "| File | Covered | Missing | Total |",
        "| :-- | --: | --: | --: |",
        *rows,
        "",
    ]
    if more := len(partly) - len(rows):
        lines += [f"… and {display.counted(more, 'file')} that miss less.", ""]
    if whole := len(check.coverage) - len(partly):
        lines += [f"{display.counted(whole, 'file')} covered completely.", ""]
    return "\n".join([*lines, "</details>", ""])


def _share(covered: int, total: int) -> str:
    # Rounded down: 100 % is said only of what is covered completely.
    return f"{covered * 1000 // total / 10:.1f} %" if total else "nothing to cover"


def _reproduce(run: RunResult) -> Iterator[str]:
    bad = [check.name for check in run.checks if check.verdict in {Verdict.FAILED, Verdict.ERROR}]
    if bad:
        lines = [f"llm-pipeline ci --only {name}    # or: dagger call {name}" for name in bad]
        yield f"### To reproduce it\n\n{_fenced(lines, 'sh')}\n"


def _place(path: str, line: int | None, link: Linker | None) -> str:
    text = _code(f"{display.path(path)}:{line}" if line else display.path(path))
    address = _address(path, line, link)
    return f"[{text}]({address})" if address else text


def _address(path: str, line: int | None, link: Linker | None) -> str | None:
    # A path with something masked or written out is not the file's path any more.
    if link is None or not path or "***" in path or "\\" in display.path(path):
        return None
    address = link(path, line)
    return quote(address, safe=":/?#&=%+,;@!$'*~") if address else None


def _code(text: str) -> str:
    # The tag keeps GitHub from linking mentions and issues, and works inside a table.
    return f"<code>{_text(text)}</code>" if text else ""


def _text(text: str) -> str:
    """Return text that Markdown and HTML show as it is, in one line, in a table too."""
    return _ACTIVE.sub(_escaped, display.shortened(display.one_line(text)))


def _escaped(match: re.Match[str]) -> str:
    found = match[0]
    if found == "@":
        return "@<!-- -->"  # a mention is recognised in the rendered text; this splits it
    # A backslash would not escape these in a table or a formula.
    return f"&#{ord(found[0])};{found[1:]}" if found[0] in r"&<>|\$:." else f"\\{found}"


def _fenced(lines: Iterable[str], language: str = "text") -> str:
    body = "\n".join(lines)
    longest = max(map(len, re.findall(r"`+", body)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{body}\n{fence}"
