"""Secrets are masked as they are, and in every form in which logs and reports write them."""

import base64
import html
import json
import os
import random
import re
import secrets
import shlex
import subprocess
import sys
import time
import xml.dom.minidom
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode
from xml.etree import ElementTree as ET

import pytest

from llm_pipeline.masking import Mask, environment_secrets, named_like_secret
from llm_pipeline.model import FileCoverage, Finding, Verdict
from tests.llm_pipeline.results import result, run_of

AWKWARD = "p\"w<&>'o\\r/d é+%"


def _element(text: str) -> str:
    element = ET.Element("a")
    element.text = text
    return ET.tostring(element, encoding="unicode")


def _attribute(text: str) -> str:
    element = xml.dom.minidom.Document().createElement("a")
    element.setAttribute("b", text)
    return element.toxml()


def _trace(text: str) -> str:
    command = ["bash", "-xc", ': "$0"', text]
    locale = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"
    environ = {"LC_ALL": locale, "PATH": os.defpath}
    return subprocess.run(command, env=environ, capture_output=True, check=True).stderr.decode()


def _lower_url(text: str) -> str:
    return re.sub("%..", lambda match: match[0].lower(), quote(text, safe=""))


WRITERS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": json.dumps,
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON as Go writes it": lambda text: (
        json.dumps(text, ensure_ascii=False)
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    ),
    "XML text": _element,
    "XML attribute": lambda text: ET.tostring(ET.Element("a", b=text), encoding="unicode"),
    "XML attribute of minidom": _attribute,
    "HTML": html.escape,
    "HTML with numbers": lambda text: (
        html.escape(text, quote=False).replace('"', "&#34;").replace("'", "&#39;")
    ),
    "URL": quote,
    "URL, whole": lambda text: quote(text, safe=""),
    "URL, lower case": _lower_url,
    "form": lambda text: urlencode({"password": text}),
    "query": quote_plus,
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "repr of JSON's kind": lambda text: repr([text, "'"]),
    "shell": shlex.quote,
    "shell's trace": _trace,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a header": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "base64 of a longer name": lambda text: base64.b64encode(f"user1:{text}\n".encode()).decode(),
    "base64 in a text": lambda text: base64.b64encode(f"token {text} end".encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(f"x{text}".encode()).decode(),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_secret_is_masked_in_whatever_form_it_is_written(write: Callable[[str], str]) -> None:
    """Real encoders write random secrets full of special characters; no long piece is left."""
    for _ in range(50):
        letters = list(AWKWARD + secrets.token_urlsafe(18))
        secrets.SystemRandom().shuffle(letters)
        secret = "A" + "".join(letters) + "Z"
        written = f"before {write(secret)} after"
        shown = Mask([secret]).text(written)
        assert shown.startswith("before ")
        assert shown.endswith(" after")
        assert "***" in shown
        # The ends of base64 hold bits of the neighbours, and are left.
        assert len(shown) <= len("before  after") + len("***") + 2 * len(write("")) + 12
        assert not any(secret[at : at + 6] in shown for at in range(len(secret) - 6))


def test_each_line_of_a_key_is_masked_but_not_its_short_lines() -> None:
    """A log shows a private key line by line, indented and with other line ends."""
    lines = [secrets.token_urlsafe(48) for _ in range(4)]
    key = "\n".join([lines[0], "-----", *lines[1:], ""])
    shown = Mask([key]).text("\r\n".join(f"    {line}" for line in key.split("\n")))
    assert not any(line in shown for line in lines)
    assert "-----" in shown


@pytest.mark.parametrize("write", [json.dumps, repr, ascii, quote, WRITERS["XML attribute"]])
def test_a_secret_with_line_ends_is_masked_in_one_line(write: Callable[[str], str]) -> None:
    """Escaped, its lines are not lines any more; here each is too short to count alone."""
    secret = "\n".join(secrets.token_hex(3) for _ in range(5))
    shown = Mask([secret]).text(f"a {write(secret)} b")
    assert not any(line in shown for line in secret.split("\n"))


@pytest.mark.parametrize("dots", ["...", "\u2026"])
def test_what_is_left_of_a_shortened_secret_is_masked(dots: str) -> None:
    """Tools, pytest among them, put dots in the place of the middle, or of one end."""
    for _ in range(50):
        secret = secrets.token_urlsafe(30)
        text = f"assert 'user:{secret}@host' == 'x'"
        left, right = sorted(secrets.SystemRandom().sample(range(len(text)), 2))
        shown = Mask([secret]).text(f"{text[:left]}{dots}{text[right:]}")
        assert not any(secret[at : at + 5] in shown for at in range(len(secret) - 4))


def test_dots_beside_other_text_hide_nothing() -> None:
    """The progress of a tool, sentences, and what merely begins like a secret."""
    secret = secrets.token_urlsafe(30)
    text = (
        f"....... [ 50%]\nLoading... done\n{secret[:4]}abc is no secret\nand so on... {secret[:3]}"
    )
    assert Mask([secret]).text(text) == text


def test_the_longest_secret_is_masked_first() -> None:
    """A secret that begins with another leaves no tail."""
    short = secrets.token_hex(8)
    long = short + secrets.token_hex(8)
    assert Mask([short, long]).text(f"{long} {short}") == "*** ***"


def test_many_secrets_with_the_same_beginning_are_all_masked() -> None:
    """Tokens of one kind share their prefix."""
    tokens = [f"sk-made-up-{secrets.token_hex(12)}" for _ in range(200)]
    shown = Mask(tokens).text("\n".join(tokens))
    assert set(shown.split("\n")) == {"***"}


@pytest.mark.parametrize("secret", ["", " ", "a", "abc", "\n\n"])
def test_too_short_a_secret_leaves_the_text_alone(secret: str) -> None:
    """Masking one letter would make everything unreadable."""
    assert Mask([secret]).text("abc a b c") == "abc a b c"


def test_no_secrets_leave_everything_alone() -> None:
    """Without secrets, text and bytes are what they were."""
    assert Mask([]).text("x") == "x"
    assert Mask([]).data(b"\xff") == b"\xff"


def test_bytes_that_are_no_utf_8_are_kept(canary: str) -> None:
    """Around a masked value, any byte stays as it is."""
    data = b"\xff\xfe" + canary.encode() + b"\xed\xa0\x80\x00"
    assert Mask([canary]).data(data) == b"\xff\xfe***\xed\xa0\x80\x00"


def test_a_secret_that_is_no_utf_8_is_masked() -> None:
    """A variable may hold any bytes; Python carries them as surrogates."""
    secret = "key-\udcff\udcfe-value"
    assert Mask([secret]).data(b"x key-\xff\xfe-value y") == b"x *** y"


def test_ten_megabytes_are_masked_quickly() -> None:
    """The time for a large log and 30 secrets is seconds, not minutes."""
    source = random.Random(0)  # noqa: S311 - words of a log
    words = ["".join(source.choices("abcdefghijkl-_0123 ", k=9)) for _ in range(10_000)]
    log = "\n".join(" ".join(source.choices(words, k=10)) for _ in range(100_000))
    known = [secrets.token_urlsafe(24) for _ in range(30)]
    started = time.process_time()
    shown = Mask(known).text(f"{log}{known[7]}")
    assert time.process_time() - started < 20
    assert shown == f"{log}***"


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "OPENAI_API_KEY",
        "GITHUB_TOKEN",
        "PGPASSWORD",
        "MYSQL_PWD",
        "DB_PASS",
        "SENTRY_DSN",
        "HTTP_AUTHORIZATION",
        "BASIC_AUTH",
        "AUTH_HEADER",
        "DOCKER_AUTH_CONFIG",
        "SLACK_WEBHOOK",
        "GOOGLE_CREDENTIALS",
        "SSH_PRIVATE_KEY",
        "GPG_PASSPHRASE",
        "openai_apikey",
        "Hf_Token",
        "ZENML_STORE_API_KEY",
        "DISCORD_WEBHOOK_URL",
        "KEY_1",
        "SESSION_COOKIE",
        "DB_PASSWD",
        "GH_PAT",
        "SECRETS",
        "OPIK_API_KEY",
        "COMET_KEY",
        "SECRET_KEY_BASE",
        "MYTOKEN2",
    ],
)
def test_variables_named_like_secrets_are_known(name: str) -> None:
    """The value of a variable with such a name is masked."""
    value = secrets.token_urlsafe(16)
    assert environment_secrets({name: value}) == {value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/usr/bin:/bin"),
        ("PWD", "/home/somebody/project"),
        ("OLDPWD", "/home/somebody/other"),
        ("GIT_AUTHOR_NAME", "Some Body"),
        ("MONKEYS", "gorillas"),
        ("KEYBOARD_LAYOUT", "german-nodeadkeys"),
        ("COMPASS_DIRECTION", "north-east"),
        ("PATTERN", "tests/*.py"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("MAX_TOKENS", "100000"),
        ("TOKENIZERS_PARALLELISM", "false"),
        ("AUTH", "disabled"),
        ("KEY", "short"),
        ("API_KEY", ""),
    ],
)
def test_other_variables_are_no_secrets(name: str, value: str) -> None:
    """Masking a harmless word would make reports unreadable."""
    assert environment_secrets({name: value}) == frozenset()


def test_a_path_of_an_existing_file_is_no_secret_but_what_looks_like_one_is(tmp_path: Path) -> None:
    """`GOOGLE_APPLICATION_CREDENTIALS` names a file; an AWS key may begin with a slash."""
    file = tmp_path / "credentials.json"
    file.touch()
    like_path = f"/{secrets.token_urlsafe(30)}"
    environ = {"GOOGLE_APPLICATION_CREDENTIALS": str(file), "AWS_SECRET_ACCESS_KEY": like_path}
    assert environment_secrets(environ) == {like_path}


@pytest.mark.parametrize("value", ["~nobody-of-that-name/x", "/" + "x" * 5000, "/a\0bcdef"])
def test_what_can_be_no_path_is_a_secret(value: str) -> None:
    """A home of nobody, too long a name, a null byte: asking for the file fails."""
    assert environment_secrets({"API_KEY": value}) == {value}


def test_the_password_in_a_url_is_a_secret_whatever_the_variable_is_called() -> None:
    """A package index, a proxy or a database is often given with its password."""
    password = f"p@{secrets.token_hex(8)}"
    found = environment_secrets(
        {
            "DATABASE_URL": f"postgres://someone:{quote(password)}@db.example.invalid/x",
            "HTTPS_PROXY": "http://proxy.example.invalid:3128",
            "BROKEN_URL": "http://[::1",
        }
    )
    assert found == {password, quote(password)}


def test_names_are_told_apart_without_their_values() -> None:
    """The executors ask by name alone."""
    assert named_like_secret("X_TOKEN")
    assert not named_like_secret("HOME")


def test_every_text_of_a_run_is_masked(canary: str) -> None:
    """No field of a result, and none of a run, keeps the value."""
    finding = Finding(f"{canary}.py", 1, canary, f"a {canary}", 2, detail=f"x\n{canary}\n")
    check = result(
        "lint",
        Verdict.FAILED,
        summary=f"found {canary}",
        tool=f"ruff {canary}",
        findings=(finding,),
        log=f"{canary}\n{canary}\n",
        coverage=(FileCoverage(f"src/{canary}.py", 2, 1),),
        files={"ruff.sarif": canary.encode()},
        secrets=frozenset({canary}),
    )
    run = run_of(check, notes=(f"note {canary}",))
    shown = Mask([canary]).run(run)
    assert canary not in repr(shown)
    assert repr(shown).count("***") == 10


def test_a_secret_with_a_colour_in_its_middle_is_masked(canary: str) -> None:
    """Taking terminal sequences away must not put a secret together."""
    split = f"{canary[:9]}\x1b[1;31m{canary[9:]}"
    check = result("lint", log=f"{split}\n", summary=split)
    shown = Mask([canary]).check(check)
    assert shown.log == "***\n"
    assert shown.summary == "***"


def test_what_is_shown_holds_nothing_hidden_or_active() -> None:
    """Terminal sequences go; characters that hide or turn text are written out."""
    finding = Finding(
        "we\nird\t\udcff\u202e.py",
        1,
        "R1",
        "two\nlines \x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b[2J",
        detail="a\r\nb\rc\x00\x08\u200b\x9b31m\ufffe\x1bM|\x1b]0;open",
    )
    shown = Mask([]).check(result("lint", Verdict.FAILED, findings=(finding,))).findings[0]
    assert shown.path == r"we\nird\t\xff\u202e.py"
    assert shown.message == "two lines link"
    assert shown.detail == "a\nb\nc\\x00\\x08\\u200b\\ufffe|0;open"
