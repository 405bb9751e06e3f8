"""Keeps the values of secrets out of every log, report and line that a person sees."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

from llm_pipeline import display
from llm_pipeline.model import CheckResult, Finding, RunResult

MASKED: Final = "***"
_SHORTEST: Final = 4  # masking less would make a text unreadable and hide nothing
_SHORTEST_VARIABLE: Final = 6
_SHORTEST_LINE: Final = 8
_SHORTEST_ABRIDGED: Final = 12
_Form = tuple[str, str]
"""Letters, and a pattern of what has to follow them."""
_NAMED: Final = re.compile(
    r"TOKEN|SECRET|PASSW(OR)?D|PASSPHRASE|CREDENTIAL|(API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)KEY"
    r"|(^|_)(KEYS?|AUTH|AUTHORIZATION|DSN|PASS|PWD|CREDS?|PAT|BEARER|COOKIE|WEBHOOK)(_|\d|$)",
    re.IGNORECASE,
)
# Git's configuration by environment numbers its keys, and keys such as `safe.directory` are public.
_NOT_SECRET: Final = re.compile(r"^(GIT_CONFIG_KEY_\d+|PWD|OLDPWD)$")
_COUNT: Final = re.compile(r"TOKENS|TIMEOUT|_TTL|_SIZE|_LENGTH", re.IGNORECASE)
_WORDS: Final = frozenset({"always", "default", "disabled", "enabled", "optional", "required"})


class Mask:
    """Replaces secrets by ``***``: as they are, and as logs and reports write them.

    Written forms are each longer line of a secret with several, and the escapes of JSON, XML, URLs,
    ``repr``, shells and base64 (at each of its three alignments), and what is left of a secret
    where ``...`` stands for the rest of it, as in pytest's messages.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        values = set(_values(secrets))
        forms = {(form, "") for value in values for form in _forms(value)}
        forms.update(_abridged(values))
        self._pattern = re.compile(_pattern(sorted(forms, key=_longest_first))) if forms else None

    def text(self, text: str) -> str:
        """Return a text with all secrets masked."""
        return self._pattern.sub(MASKED, text) if self._pattern else text

    def data(self, data: bytes) -> bytes:
        """Return bytes with all secrets masked; bytes that are no UTF-8 are left as they are."""
        if not self._pattern:
            return data
        text = data.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def check(self, result: CheckResult) -> CheckResult:
        """Return a result with every text of it cleaned for showing and masked.

        Its ``files`` are left out: reports are masked by their format, in ``report.py``.
        """
        return replace(
            result,
            summary=self._line(result.summary),
            tool=self._line(result.tool) if result.tool else result.tool,
            findings=tuple(map(self._finding, result.findings)),
            log=self._lines(result.log),
            coverage=tuple(replace(each, path=self._path(each.path)) for each in result.coverage),
            files={},
            secrets=frozenset(),
        )

    def run(self, run: RunResult) -> RunResult:
        """Return a run with every text of it cleaned for showing and masked; see ``check``."""
        return replace(
            run,
            checks=tuple(map(self.check, run.checks)),
            notes=tuple(map(self._line, run.notes)),
        )

    def _finding(self, finding: Finding) -> Finding:
        return replace(
            finding,
            path=self._path(finding.path),
            rule=self._line(finding.rule),
            message=self._line(finding.message),
            detail=self._lines(finding.detail),
        )

    # Masked before cleaning, as a secret may hold what cleaning writes out, and after it, as a
    # terminal sequence may stand in the middle of a secret.
    def _line(self, text: str) -> str:
        return self.text(display.one_line(self.text(text)))

    def _lines(self, text: str) -> str:
        return self.text(display.clean(self.text(text)))

    def _path(self, text: str) -> str:
        return self.text(display.path(self.text(text)))


def named_like_secret(name: str) -> bool:
    """Tell whether a variable's name says that its value is a secret."""
    return bool(_NAMED.search(name)) and not _NOT_SECRET.match(name)


def environment_secrets(environ: Mapping[str, str]) -> frozenset[str]:
    """Return the values of variables named like secrets, and the passwords inside URLs.

    Values that are no secrets in spite of the name are left out: short ones, words such as
    ``disabled``, counts (``MAX_TOKENS=100000``), and paths of existing files (``SSH_AUTH_SOCK``).
    """
    found: set[str] = set()
    for name, value in environ.items():
        if named_like_secret(name) and not _harmless(name, value.strip()):
            found.add(value.strip())
        if "://" in value:
            found.update(_in_url(value))
    return frozenset(found)


def _harmless(name: str, value: str) -> bool:
    if len(value) < _SHORTEST_VARIABLE or value.lower() in _WORDS:
        return True
    if value.isdigit() and _COUNT.search(name):
        return True
    try:
        return value.startswith(("/", "~", "./")) and Path(value).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _in_url(value: str) -> Iterator[str]:
    try:
        password = urlsplit(value).password
    except ValueError:
        return
    if password and len(password) >= _SHORTEST_VARIABLE:
        yield from (password, unquote(password))


def _values(secrets: Iterable[str]) -> Iterator[str]:
    """Yield what must not be shown: each secret, and each of its lines that says something."""
    for secret in secrets:
        lines = secret.strip().splitlines()
        if len(secret.strip()) >= _SHORTEST:
            yield secret.strip()
        if len(lines) > 1:
            yield from (line.strip() for line in lines if len(line.strip()) >= _SHORTEST_LINE)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as logs and reports may write it."""
    yield secret
    data = secret.encode("utf-8", "surrogateescape")
    written = json.dumps(secret)[1:-1]
    # Go's encoder, so gitleaks' reports, also escapes what is active in HTML.
    go = json.dumps(secret, ensure_ascii=False)[1:-1]
    for character in "<>&":
        go = go.replace(character, f"\\u{ord(character):04x}")
    yield from (written, written.replace("/", "\\/"), json.dumps(secret, ensure_ascii=False)[1:-1])
    yield go
    for text in (repr(secret)[1:-1], ascii(secret)[1:-1], repr(data)[2:-1]):
        yield from (text, text.replace("'", "\\'"), text.replace('"', '\\"'))
    yield from (secret.replace("'", quoted) for quoted in ("'\\''", "'\"'\"'"))  # a shell's -x
    xml = html.escape(secret, quote=False)
    quoted = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#09;"}
    attribute = "".join(quoted.get(character, character) for character in xml)
    yield from (xml, attribute, html.escape(secret), attribute.replace("'", "&apos;"))
    yield xml.replace('"', "&#34;").replace("'", "&#39;")
    for url in (quote(data), quote(data, safe=""), quote_plus(data)):
        yield url
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), url)
    yield from _base64(data)


def _base64(data: bytes) -> Iterator[str]:
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + data).decode()
        # Only characters that hold nothing but bits of the secret are the same everywhere.
        first, last = -(-offset * 8 // 6), (offset + len(data)) * 8 // 6
        piece = encoded[first:last]
        if len(piece) >= _SHORTEST_VARIABLE:
            yield from (piece, piece.replace("+", "-").replace("/", "_"))


def _abridged(values: Iterable[str]) -> Iterator[_Form]:
    """Yield patterns of secrets' two ends around the dots that stand for their middle."""
    long = [value for value in values if len(value) >= _SHORTEST_ABRIDGED]
    for value in long:
        yield value[:4], r"\S{0,200}?(?=\.{3}(?!\.)|…)"
    if long:
        ends = "|".join(sorted({re.escape(value[-4:]) for value in long}))
        # Four dots or more are the progress of some tool.
        yield "...", rf"(?<!\.{{4}})(?!\.)\S{{0,200}}?(?:{ends})"
        yield "…", rf"\S{{0,200}}?(?:{ends})"


def _longest_first(form: _Form) -> tuple[int, _Form]:
    return -len(form[0]), form


def _pattern(forms: list[_Form], depth: int = 3) -> str:
    """Return a pattern of all forms, longest first; a tree by their first letters, to fail fast."""
    if depth == 0 or len(forms) == 1:
        return "|".join(re.escape(letters) + then for letters, then in forms)
    by_first: dict[str, list[_Form]] = {}
    for letters, then in forms:
        by_first.setdefault(letters[:1], []).append((letters[1:], then))
    branches = (
        f"{re.escape(first)}(?:{_pattern(rest, depth - 1)})" for first, rest in by_first.items()
    )
    return "|".join(branches)
