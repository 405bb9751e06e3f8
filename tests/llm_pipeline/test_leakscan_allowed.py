"""What a source allows is no finding: inline, by fingerprint, by baseline, by its own rules."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llm_pipeline import gitleaks
from llm_pipeline.config import LeakSettings
from llm_pipeline.model import Control, Verdict
from tests.llm_pipeline.scanning import RULES, Git, Scan, commit, made_up, repository

ALLOW = "gitleaks" + ":allow"


@pytest.fixture
def source(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit and no leak."""
    return repository(git, tmp_path / "source")


def test_comment_on_the_line(source: Path, tmp_path: Path, git: Git) -> None:
    """A comment allows its own line, committed or not, and no other one."""
    other = made_up()
    commit(git, source, {"key.py": f"A = '{made_up()}'  # {ALLOW}\n"}, "allowed")
    (source / "new.py").write_text(f"A = '{made_up()}'  # {ALLOW}\nB = '{other}'\n")
    result = Scan(source, tmp_path).run()
    assert [(finding.path, finding.line) for finding in result.findings] == [("new.py", 2)]
    assert result.secrets == {other}


def test_fingerprints_that_the_findings_name(source: Path, tmp_path: Path, git: Git) -> None:
    """What a finding's message says to put into .gitleaksignore is what lets it pass."""
    message = f"Use {made_up()}"
    commit(git, source, {"key.py": f"A = '{made_up()}'\n"}, message)
    commit(git, source, {"key.py": f"# moved\n{(source / 'key.py').read_text()}# end\n"}, "move")
    scan = Scan(source, tmp_path)
    found = scan.run()
    assert [finding.path for finding in found.findings] == [".git/COMMIT_EDITMSG", "key.py"]
    lines = [finding.message.rpartition(".gitleaksignore: ")[2] for finding in found.findings]
    assert all(lines)
    (source / ".gitleaksignore").write_text("# known\n" + "\n".join(lines).replace(" ", "\n"))
    assert scan.run().verdict is Verdict.PASSED


def report(source: Path, tmp_path: Path, *options: str) -> bytes:
    """Return the report that gitleaks itself makes of a history, as users make a baseline."""
    rules, written = tmp_path / "rules.toml", tmp_path / "report.json"
    rules.write_text(RULES)
    command = [str(gitleaks.binary(Path(sys.prefix))), "git", f"--config={rules}", *options]
    command += ["--no-banner", f"--report-path={written}", str(source)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 1
    return written.read_bytes()


@pytest.mark.parametrize("options", [(), ("--redact",)])
def test_baseline(source: Path, tmp_path: Path, git: Git, options: tuple[str, ...]) -> None:
    """Leaks in a baseline are known, redacted or not; the baseline itself is none; new ones are."""
    commit(git, source, {"key.py": f"A = '{made_up()}'\n"}, "known")
    baseline = source / "ci" / "known leaks.json"
    baseline.parent.mkdir()
    baseline.write_bytes(report(source, tmp_path, *options))
    settings = LeakSettings(baseline="ci/known leaks.json")
    scan = Scan(source, tmp_path, settings=settings)
    assert scan.run().verdict is Verdict.PASSED
    git("add", "--all", cwd=source)
    git("commit", "--quiet", "--message", "baseline", cwd=source)
    assert scan.run().verdict is Verdict.PASSED
    commit(git, source, {"other.py": f"B = '{made_up()}'\n"}, "new")
    assert [finding.path for finding in scan.run().findings] == ["other.py"]


def test_our_own_sarif_is_no_baseline(source: Path, tmp_path: Path) -> None:
    """Another format is an error, and says which one is wanted."""
    (source / "known.json").write_text(json.dumps({"runs": []}))
    result = Scan(source, tmp_path, settings=LeakSettings(baseline="known.json")).run()
    assert result.verdict is Verdict.ERROR
    assert "--report-format=json" in result.summary


def test_rules_of_the_source(source: Path, tmp_path: Path, git: Git) -> None:
    """Its .gitleaks.toml is used in place of ours; the settings can name another file."""
    ours, theirs = made_up(), "own_" + made_up().removeprefix("leak_")
    commit(git, source, {"a.py": ours, "b.py": theirs}, "leaks")
    rules = RULES.replace("leak_", "own_").replace("made-up", "theirs")
    (source / ".gitleaks.toml").write_text(rules)
    result = Scan(source, tmp_path).run()
    assert result.secrets == {theirs}
    assert "with the source's own .gitleaks.toml" in result.summary
    (source / "ci.toml").write_text(RULES)
    result = Scan(source, tmp_path, settings=LeakSettings(rules="ci.toml")).run()
    assert result.secrets == {ours}
    assert "with the source's own ci.toml" in result.summary


class TestRedControl:
    """The planted defect goes through the same process as the rest."""

    def test_seen_and_cheap(self, source: Path, tmp_path: Path) -> None:
        """With the package's own rules the defect is found, for less than a third of the scan."""
        result = Scan(source, tmp_path, rules=None).run(red_controls=True)
        assert result.verdict is Verdict.PASSED, result.log
        assert result.control is Control.SEEN
        assert result.findings == ()
        start, scanned, end = map(float, (tmp_path / "out" / "seconds").read_text().split())
        assert end - scanned < (scanned - start) / 3

    def test_not_seen(self, source: Path, tmp_path: Path) -> None:
        """Rules that know nothing of the defect are blind to it."""
        result = Scan(source, tmp_path).run(red_controls=True)
        assert result.control is Control.BLIND
        assert result.verdict is Verdict.ERROR

    def test_other_files_than_were_scanned(self, source: Path, tmp_path: Path) -> None:
        """What the scan found in a planted file counts only for that very file."""
        scan = Scan(source, tmp_path, rules=None)
        scan.run(red_controls=True)
        data, red = tmp_path / "data", tmp_path / "out" / "red"
        (planted,) = (line.split(" ", 1)[1] for line in (red / "planted").read_text().splitlines())
        (tmp_path / "copy" / planted).write_text("x = 1\n")
        command = ["sh", str(data / "leakscan.sh"), "control", str(red), "rules.toml", planted]
        done = subprocess.run(command, cwd=tmp_path / "copy", check=False, capture_output=True)
        assert done.returncode == 3
        assert b"not those that were scanned" in done.stdout
