"""Our rules find what this stack leaks, and nothing that only looks like it."""

import subprocess
import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

from .contexts import Leak, plant
from .lookalikes import lookalikes
from .scan import RULES, Finding, scan
from .secrets import KINDS

# The rules were tuned on seeds below 1000; these are others.
SEED = 1000
EACH = 10
# At least 215 of 220 must be found.
SHARE = 215 / 220


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Take two seeds, or twenty where the long counts are asked for."""
    if "seed" in metafunc.fixturenames:
        many = metafunc.config.getoption("--acceptance")
        metafunc.parametrize("seed", range(SEED, SEED + (20 if many else 2)))


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write `files`, path to content, under `folder`."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def texts(planted: Mapping[str, Leak]) -> dict[str, str]:
    """Return the content of each planted file."""
    return {path: leak.text for path, leak in planted.items()}


def missed(planted: Mapping[str, Leak], findings: list[Finding]) -> dict[str, Leak]:
    """Return the planted files whose secret is in no finding."""
    by_file = defaultdict(list)
    for finding in findings:
        by_file[finding.file].append(finding)
    return {
        path: leak
        for path, leak in planted.items()
        if not any(finding.shows(leak.secret) for finding in by_file[path])
    }


def commit(folder: Path, message: str) -> None:
    """Commit everything in `folder`, which becomes a repository if it was none."""
    who = [
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.com",
        "-c",
        "commit.gpgsign=false",
    ]
    for arguments in (
        ["init", "--quiet"],
        ["add", "--all", "--force"],
        ["commit", "--quiet", "-m", message],
    ):
        subprocess.run(["git", *who, *arguments], cwd=folder, check=True)


def test_secrets_are_found_in_files(tmp_path: Path, seed: int) -> None:
    """Of ten made-up secrets of every kind, nearly all are found, and of no kind two are missed."""
    planted = plant(seed, EACH)
    write(tmp_path, texts(planted))

    lost = missed(planted, scan("dir", tmp_path))

    assert len(KINDS) >= 22
    assert len(planted) - len(lost) >= SHARE * len(planted), lost
    assert all(count == 1 for count in Counter(leak.kind for leak in lost.values()).values()), lost


def test_secrets_are_found_in_the_history(tmp_path: Path) -> None:
    """A secret whose file is gone is found in the commit that brought it."""
    planted = plant(SEED, EACH)
    write(tmp_path, texts(planted))
    commit(tmp_path, "Add")
    for path in planted:
        (tmp_path / path).unlink()
    commit(tmp_path, "Remove")

    findings = scan("git", tmp_path)

    first = subprocess.run(
        ["git", "rev-list", "--max-parents=0", "HEAD"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert {finding.commit for finding in findings} == {first}
    assert len(missed(planted, findings)) <= (1 - SHARE) * len(planted)


def test_lookalikes_are_no_findings(tmp_path: Path, seed: int) -> None:
    """Placeholders, documented examples, references, hashes and identifiers are no findings."""
    files = lookalikes(seed)
    write(tmp_path, files)
    commit(tmp_path, "Add")

    assert len(set(files.values())) == len(files) >= 200
    assert scan("dir", tmp_path) == []
    assert scan("git", tmp_path) == []


def test_a_placeholder_beside_a_secret_hides_nothing(tmp_path: Path) -> None:
    """A file that has every placeholder and one secret is found out."""
    planted = plant(SEED, 1)
    clean = "\n".join(text for path, text in lookalikes(1).items() if "placeholder" in path)
    around = {
        path: Leak(leak.kind, leak.secret, f"{clean}\n{leak.text}")
        for path, leak in planted.items()
        if not path.endswith((".ipynb", ".json"))
    }
    write(tmp_path, texts(around))

    assert missed(around, scan("dir", tmp_path)) == {}


def test_the_defaults_alone_miss_them(tmp_path: Path) -> None:
    """Without our rules many of the planted secrets are missed, so the tests above can fail."""
    planted = plant(SEED, EACH)
    write(tmp_path, texts(planted))

    lost = Counter(
        leak.kind for leak in missed(planted, scan("dir", tmp_path, rules=None)).values()
    )

    assert lost.total() > len(planted) / 3
    for kind in ("postgresql URL", "mongodb URL", "redis URL", "discord webhook"):
        assert lost[kind] == EACH


def test_every_rule_of_ours_finds_something(tmp_path: Path) -> None:
    """There is a planted secret for each of our rules: none is dead."""
    write(tmp_path, texts(plant(SEED, EACH)))
    rules = {rule["id"] for rule in tomllib.loads(RULES.read_text())["rules"]}

    assert rules - {finding.rule for finding in scan("dir", tmp_path)} == set()


def test_the_generator_and_the_rules_are_clean(tmp_path: Path) -> None:
    """The files of these tests can be committed: none scans as a leak."""
    files = [*Path(__file__).parent.glob("*.py"), RULES]
    # Under another name: gitleaks passes over files named gitleaks.toml.
    write(tmp_path, {f"{path.stem}.txt": path.read_text() for path in files})

    assert len(files) > 5
    assert scan("dir", tmp_path) == []
