"""Secrets: a value that is one is in no output, in none of the forms in which tools write it."""

import base64
import html
import json
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

import pytest

from tests.e2e.host import Host, Ran
from tests.e2e.repositories import clean, commit, key
from tests.e2e.running import in_a_terminal

NAMES = (
    *("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"),
    *("HF_TOKEN", "MY_TOKEN", "DB_PASSWORD", "GITHUB_TOKEN", "QDRANT_API_KEY", "SENTRY_DSN"),
    *("COMET_API_KEY", "SLACK_WEBHOOK_URL", "SSH_PRIVATE_KEY", "my_secret", "PGPASSWORD"),
)
TELL = """\
import base64
import html
import json
import os
import urllib.parse


def test_tell():
    values = [os.environ[name] for name in {names!r}]
    for value in values:
        print(value, repr(value), json.dumps(value), html.escape(value))
        print(base64.b64encode(value.encode()).decode(), urllib.parse.quote(value, safe=""))
    assert values == []


def test_raise():
    raise OSError(os.environ["MY_TOKEN"])
"""
ALL = 'checks = ["gitleaks", "lint", "format", "types", "workflows", "test"]\nkeep-going = true\n'


def value() -> str:
    """Make up a secret with every character that some format writes in its own way."""
    return f"{secrets.token_hex(8)}&<\"'>/+%=\\{secrets.token_hex(8)}"


def forms(secret: str) -> Iterator[str]:
    """Yield a secret as tools write it."""
    yield from (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], escape(secret))
    yield from (html.escape(secret), quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]
    yield secret[:16]
    yield secret[-16:]


def holding(secret: str, texts: Mapping[str, bytes]) -> list[str]:
    """Return the names of those texts that hold a secret in any form."""
    wanted = {form.encode() for form in forms(secret)}
    return [name for name, text in texts.items() if any(form in text for form in wanted)]


def outputs(ran: Ran, *more: Path) -> dict[str, bytes]:
    """Return all that a run wrote for people and programs."""
    files = {str(path): path.read_bytes() for path in more}
    return {"out": ran.out.encode(), "err": ran.err.encode(), **ran.written, **files}


def kept(host: Host, *without: str) -> dict[str, bytes]:
    """Return what the cache of this source still holds."""
    return {
        str(path): path.read_bytes()
        for path in host.cache.glob("source-*/**/*")
        if path.is_file() and not any(f"/{name}/" in str(path) for name in without)
    }


@pytest.fixture
def variables() -> dict[str, str]:
    """A canary in every variable that is named like a secret."""
    return {name: value() for name in NAMES}


def test_unseen(host: Host, source: Path, variables: dict[str, str]) -> None:
    """No check and no installation sees a variable that the settings don't name."""
    unseen = f"import os\n\n\ndef test_it():\n    assert not {set(NAMES)} & set(os.environ)\n"
    clean(source, {"tests/test_app.py": unseen})
    look = "\"! env | grep -E 'TOKEN|KEY|PASSW|SECRET|DSN|WEBHOOK'\""
    config = "".join(f"{name}.command = {look}\n" for name in ("lint", "format", "types"))
    ran = host.run(
        source,
        f'checks = ["lint", "format", "types", "test"]\nred-controls = false\n{config}',
        env=variables,
    )
    assert ran.code == 0, ran.said


@pytest.mark.parametrize("actions", [False, True])
def test_named(
    host: Host, source: Path, tmp_path: Path, variables: dict[str, str], *, actions: bool
) -> None:
    """Values of variables that checks do see, and print in every form, are masked."""
    clean(source, {"tests/test_app.py": TELL.format(names=NAMES)})
    look = '"env; env | base64 -w0; exit 1"'
    config = "".join(f"{name}.command = {look}\n" for name in ("lint", "format", "types"))
    summary = tmp_path / "summary.md"
    summary.touch()
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)} if actions else {}
    ran = host.run(source, f"env = {list(NAMES)}\n{ALL}{config}", env={**variables, **github})
    assert ran.checks == {
        **dict.fromkeys(("lint", "format", "types", "test"), "failed"),
        **dict.fromkeys(("gitleaks", "workflows"), "passed"),
    }
    assert "MY_TOKEN=***" in ran.written["logs/lint.log"].decode()
    assert b"2 failed" in ran.written["summary.md"]
    texts = outputs(ran, summary)
    assert bool(texts[str(summary)]) == actions
    texts |= kept(host)
    for name, secret in variables.items():
        assert not holding(secret, texts), name


@pytest.mark.parametrize("actions", [False, True])
def test_leaked(host: Host, source: Path, tmp_path: Path, *, actions: bool) -> None:
    """A leaked key in a line that every check prints is masked in all their outputs."""
    old, new = key(), key()
    clean(source, {"notes.txt": f"token {old}\n"})
    commit(source, {"notes.txt": "none\n"})
    commit(
        source,
        {
            "app/more.py": (
                "from typing import Final, Literal\n\n"
                f'KEY : Final = "{new}"\n'
                f'OTHER: Literal["other"] = KEY\n'
                f"print({new})\n"
            ),
            "tests/test_more.py": (
                f"from app.more import KEY\n\n\ndef test_more():\n    assert KEY == '{old}'\n"
            ),
            ".github/workflows/cd.yaml": f"on: push\njobs:\n  {new}: 1\n",
        },
    )
    summary = tmp_path / "summary.md"
    summary.touch()
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)} if actions else {}
    ran = host.run(source, ALL, env=github)
    assert set(ran.checks.values()) == {"failed"}
    assert ran.of("gitleaks")["summary"].endswith("leaks in 3 commits and the working tree")
    for name in ("format", "types", "workflows", "test"):
        assert b"***" in ran.written[f"logs/{name}.log"], name
    texts = outputs(ran, summary)
    # What is compiled from the source holds what the source holds.
    texts |= kept(host, "cache")
    for secret in (old, new):
        assert not holding(secret, texts)


def test_terminal(host: Host, source: Path, variables: dict[str, str]) -> None:
    """What a terminal shows while checks run, and at the end, is masked too."""
    clean(source, {"tests/test_app.py": TELL.format(names=NAMES)})
    arguments = host.arguments(source, f'checks = ["test"]\nenv = {list(NAMES)}\n')
    env = host.environment({**variables, "TERM": "xterm", "COLUMNS": "500"})
    code, shown = in_a_terminal(arguments, env)
    assert code == 1
    assert "test_raise" in shown
    for name, secret in variables.items():
        assert not holding(secret, {"terminal": shown.encode()}), name
