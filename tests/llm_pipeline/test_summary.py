"""The summary, rendered as GitHub's Markdown: what it says, and that no text in it is active."""

from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from llm_pipeline.masking import Mask
from llm_pipeline.model import Control, FileCoverage, Finding, RunResult, SourceState, Verdict
from llm_pipeline.summary import LIMIT, markdown, verdict_line
from tests.llm_pipeline.results import result, run_of

OWN_HTML = ("<code>", "</code>", "<!-- -->", "<details><summary>Coverage", "</details>")
HOSTILE = [
    "a | b || c \\| d \\\\| e",
    "<script>alert(1)</script> <img src=x onerror=y> &lt; &amp; &#64;",
    "@octocat @org/team mail@example.invalid",
    "[link](https://example.invalid) ![image](https://example.invalid/x.png) [ref][1]",
    "<https://example.invalid> https://example.invalid www.example.invalid",
    "`code` ``two`` ``` *bold* _it_ __init__.py ~~gone~~ **x**",
    "# heading - list 1. number > quote + plus = line",
    "$x$ $$y$$ :tada: #123 GH-1",
    "ends with a backslash \\",
    "<!-- comment --> --> </details> </code>",
    "tab\there, two\n\n# lines",
]


def link(path: str, line: int | None) -> str:
    """Link into a made-up repository."""
    return f"https://github.example.invalid/{path}" + (f"#L{line}" if line else "")


def render(run: RunResult) -> list[Token]:
    """Return the tokens of a run's summary, inline ones too."""
    return tokens(markdown(Mask([]).run(run), link=link))


def tokens(text: str) -> list[Token]:
    """Return the tokens of a Markdown text with tables, as GitHub has them."""

    def flat(found: list[Token]) -> Iterator[Token]:
        for token in found:
            yield token
            yield from flat(token.children or [])

    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    return list(flat(parser.parse(text)))


def texts(found: list[Token]) -> str:
    """Return what a reader sees outside of code blocks."""
    return "".join(token.content for token in found if token.type == "text")


def cells(found: list[Token]) -> list[str]:
    """Return the texts of all cells of tables, in order."""
    opened = [at for at, token in enumerate(found) if token.type in {"td_open", "th_open"}]
    return [texts(found[at + 2 : at + 2 + len(found[at + 1].children or [])]) for at in opened]


def test_the_headline_and_the_table_tell_the_run() -> None:
    """Verdict, commit, and for each check its verdict, time, tool and red control."""
    run = run_of(
        result("lint", summary="no findings", seconds=0.4, tool="ruff 1", control=Control.SEEN),
        result("types", Verdict.FAILED, summary="2 findings", seconds=121, tool="mypy 2"),
        result("test", Verdict.SKIPPED, summary="not run, since types did not pass"),
        source=SourceState("0123456789abcdef" * 2, dirty=True),
        notes=("a submodule is not checked out",),
    )
    found = render(run)
    shown = texts(found)
    assert "llm-pipeline: failed: types" in shown
    assert "commit 0123456789ab, with changes that are not committed · executor host" in shown
    assert "a submodule is not checked out" in shown
    assert cells(found) == [
        *("Check", "Verdict", "Time", "Result", "Tool", "Red control"),
        *("lint", "✅ passed", "0.4 s", "no findings", "ruff 1", "seen"),
        *("types", "❌ failed", "2 min 01 s", "2 findings", "mypy 2", ""),
        *("test", "⏭️ skipped", "", "not run, since types did not pass", "", ""),
    ]


def test_findings_stand_by_file_with_links() -> None:
    """Each file once, in order, each finding with its place and a link to its line."""
    findings = (
        Finding("src/b.py", 9, "E501", "Line too long"),
        Finding("src/a b#.py", 3, "F821", "Undefined name", 5),
        Finding("src/b.py", None, "N999", "Bad module name"),
    )
    found = render(run_of(result("lint", Verdict.FAILED, findings=findings)))
    links = [token.attrs["href"] for token in found if token.type == "link_open"]
    base = "https://github.example.invalid/src"
    assert links == [
        f"{base}/a%20b#.py",
        f"{base}/a%20b#.py#L3",
        f"{base}/b.py",
        f"{base}/b.py#L9",
        f"{base}/b.py",
    ]
    shown = texts(found)
    assert shown.index("src/a b#.py") < shown.index("src/b.py")
    assert shown.count("src/b.py") == 1
    assert "line 3, column 5 F821 Undefined name" in shown
    assert "the file N999 Bad module name" in shown


def test_a_failing_test_shows_its_last_lines() -> None:
    """They stand in a code block as they are, whatever backticks they hold."""
    detail = "\n".join(
        [*(f"line {n}" for n in range(50)), "```", "````", "</details>", "E  assert <b>"]
    )
    finding = Finding("tests/test_a.py", 2, "failed", "test_a: assert", detail=detail)
    found = render(run_of(result("test", Verdict.FAILED, findings=(finding,))))
    first, *_ = [token.content for token in found if token.type == "fence"]
    assert first == "\n".join(detail.split("\n")[-30:]) + "\n"


def test_an_error_shows_what_to_do_and_its_output() -> None:
    """The reason is in the heading; the last lines of the log follow."""
    log = "\n".join(f"line {n}" for n in range(100))
    summary = "a shallow clone; run `git fetch --unshallow`"
    found = render(run_of(result("gitleaks", Verdict.ERROR, summary=summary, log=log)))
    assert f"gitleaks: {summary}" in texts(found)
    first, *_ = [token.content for token in found if token.type == "fence"]
    assert first.split() == log.split()[-60:]
    assert "Last lines of its output (the 70 before them are in" in texts(found)


def test_what_to_run_is_named_for_each_check_that_did_not_pass() -> None:
    """On the host, and in containers."""
    run = run_of(
        result("lint", Verdict.FAILED),
        result("format"),
        result("types", Verdict.ERROR),
        result("test", Verdict.SKIPPED),
    )
    last = [token.content for token in render(run) if token.type == "fence"][-1]
    assert [line.split("    # or: ") for line in last.splitlines()] == [
        ["llm-pipeline ci --only lint", "dagger call lint"],
        ["llm-pipeline ci --only types", "dagger call types"],
    ]


def test_a_passing_run_is_short() -> None:
    """Nothing to reproduce, no sections."""
    text = markdown(run_of(result("lint")), link=None)
    assert text.startswith("## ✅ llm-pipeline: passed in 12.3 s\n")
    assert "###" not in text


def test_coverage_is_by_file_with_the_worst_first() -> None:
    """100 % is said only of what is covered whole; a file without lines is no division by zero."""
    coverage = (
        FileCoverage("whole.py", 10, 10),
        FileCoverage("most.py", 10_000, 9_999),
        FileCoverage("none.py", 3, 0),
        FileCoverage("empty.py", 0, 0),
    )
    found = render(run_of(result("test", coverage=coverage)))
    assert cells(found)[12:] == [
        *("File", "Covered", "Missing", "Total"),
        *("none.py", "0.0 %", "3", "3"),
        *("most.py", "99.9 %", "1", "10000"),
    ]
    assert "2 files covered completely" in texts(found)
    assert any("Coverage: 99.9 % of 4 files" in token.content for token in found)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_text_from_tools_is_shown_as_it_is_and_does_nothing(hostile: str) -> None:
    """No markup, link, mention or cell comes from a message, a rule, a path or a summary."""
    plain = " ".join(hostile.split())
    finding = Finding("a.py", 1, hostile, hostile)
    run = run_of(
        result("lint", Verdict.FAILED, summary=hostile, tool=hostile, findings=(finding,)),
        result("format", Verdict.ERROR, summary=hostile, log=hostile),
        result("test", findings=(), coverage=(FileCoverage(hostile, 2, 1),)),
        notes=(hostile,),
    )
    found = tokens(markdown(run, link=None))
    for token in found:
        if token.type in {"html_inline", "html_block"}:
            assert token.content.startswith(OWN_HTML), token.content
        assert token.type not in {"link_open", "image", "em_open", "s_open", "code_block"}
        if token.type == "code_inline":
            assert token.content.startswith("logs/")
    # Three checks of six cells, their head, and the coverage of one file.
    assert len(cells(found)) == 6 * 4 + 4 * 2
    assert cells(found)[9] == plain
    assert cells(found)[10] == plain
    # Summary (table, heading) of two checks, tool, rule, message, note; the path keeps its spaces.
    assert texts(found).count(plain) >= 8
    mentions = [token for token in found if token.type == "text" and "@" in token.content]
    assert all(token.content.endswith("@") for token in mentions)


def test_a_path_that_is_not_shown_as_it_is_has_no_link(canary: str) -> None:
    """A link to a path with a masked part, a line end or broken bytes would lead nowhere."""
    findings = tuple(
        Finding(path, 1, "R", "m") for path in (f"{canary}.py", "a\nb.py", "\udcff.py", "ok.py")
    )
    run = Mask([canary]).run(run_of(result("lint", Verdict.FAILED, findings=findings)))
    found = tokens(markdown(run, link=link))
    links = [token.attrs["href"] for token in found if token.type == "link_open"]
    there = "https://github.example.invalid/ok.py"
    assert links == [there, f"{there}#L1"]


def test_a_huge_run_stays_under_github_s_limit() -> None:
    """What does not fit is left out whole, and the end says so; the table always stays."""
    findings = tuple(
        Finding(f"tests/test_{n}.py", n, "failed", "m" * 3000, detail="\n".join(["é" * 900] * 20))
        for n in range(1, 201)
    )
    checks = [result(name, Verdict.FAILED, findings=findings) for name in ("lint", "types")]
    text = markdown(run_of(*checks), link=link)
    assert LIMIT * 0.9 < len(text.encode()) <= LIMIT
    assert "parts of this summary did not fit" in text.splitlines()[-1]
    found = tokens(text)
    assert len(cells(found)) == 18
    fences = [token for token in found if token.type == "fence" and token.info == "text"]
    assert {len(fence.content.encode()) for fence in fences} == {20 * 1801}


def test_one_endless_line_leaves_the_table_in_its_place() -> None:
    """A tool may write a megabyte without a line end, and a judge may quote it."""
    endless = "x" * 2_000_000
    finding = Finding("a.py", 1, "R", endless, detail=endless)
    checks = (
        result("lint", Verdict.FAILED, summary=endless, findings=(finding,)),
        result("types", Verdict.ERROR, summary="no output", log=endless),
    )
    found = render(run_of(*checks))
    assert len(cells(found)) == 18
    assert len([token for token in found if token.type == "fence"]) == 3


def test_many_findings_are_cut_with_their_number() -> None:
    """The rest is in the log."""
    findings = tuple(Finding("a.py", n, "R", "m") for n in range(1, 501))
    found = render(run_of(result("lint", Verdict.FAILED, findings=findings)))
    assert "… and 300 more findings, in" in texts(found)
    many = tuple(FileCoverage(f"f{n}.py", 1000, n) for n in range(150))
    found = render(run_of(result("test", coverage=many)))
    assert "… and 50 files that miss less." in texts(found)


VERDICTS = {
    "passed in 12.3 s": run_of(result("lint")),
    "passed in 12.3 s; not run: test": run_of(result("lint"), result("test", Verdict.SKIPPED)),
    "failed: lint, test": run_of(result("lint", Verdict.FAILED), result("test", Verdict.FAILED)),
    "error: gitleaks (a shallow clone)": run_of(
        result("gitleaks", Verdict.ERROR, summary="error: a shallow\nclone"), result("lint")
    ),
    "error: gitleaks (x), types (y); failed: lint": run_of(
        result("gitleaks", Verdict.ERROR, summary="x"),
        result("lint", Verdict.FAILED),
        result("types", Verdict.ERROR, summary="y"),
    ),
    "error: every check was skipped, so nothing was looked at": run_of(
        result("lint", Verdict.SKIPPED)
    ),
    "interrupted after 12.3 s: there is no verdict": run_of(
        result("lint", Verdict.FAILED), interrupted=True
    ),
}


@pytest.mark.parametrize("line", VERDICTS)
def test_the_verdict_is_one_line(line: str) -> None:
    """It names every check that failed or could not look, and what mends that."""
    assert verdict_line(VERDICTS[line]) == line
