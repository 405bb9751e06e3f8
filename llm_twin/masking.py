"""Masks personal data and secrets: e-mail addresses, phone numbers, keys and passwords.

What is stored or sent goes through here first: documents on their way in, traces, logs, errors.
Masking twice changes nothing, and the same text always gives the same result.
"""

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Final, Literal
from urllib.parse import quote

from llm_twin import phones, secrets

VERSION: Final = 1
"""Goes up where a text may come out differently, so that a corpus is masked anew."""

Kind = Literal["e-mail", "phone", "key"]
KINDS: Final[tuple[Kind, ...]] = ("e-mail", "phone", "key")

E_MAIL: Final = "[e-mail]"
PHONE: Final = "[phone]"
KEY: Final = "[key]"

_SHORTEST_KNOWN: Final = 4  # masking less would make a text unreadable and hide nothing
# RFC 5321's limits of 64 and 255 characters also keep the search linear.
_ADDRESS: Final = re.compile(
    r"(?<![\w.+%'-])(?P<name>[\w.+%'-]{1,64})(?:@|%40)"
    r"(?P<domain>(?:\w(?:[\w-]{0,61}\w)?\.){1,8}[^\W\d_]{2,24})(?![\w(-]|\.\w)"
)
_SPELT_ADDRESS: Final = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}\s?[\[({<]\s?at\s?[\])}>]\s?"
    r"\w[\w-]{0,62}(?:\s?(?:\.|[\[({<]\s?dot\s?[\])}>])\s?[^\W\d_][\w-]{1,62}){1,4}",
    re.IGNORECASE,
)
_LONGEST_USER: Final = 200
_USER: Final = re.compile(r"://[^\s/@]*:$")
_RELEASE: Final = re.compile(r"v?\d+\.\d")
# Names whose values are secrets whatever they look like.
_SECRET_NAME: Final = re.compile(
    r"(^|[_\-.])(api[_-]?keys?|apikey|authorization|passw(or)?d|passphrase|secret|client[_-]?secret"
    r"|access[_-]?token|refresh[_-]?token|id[_-]?token|auth[_-]?token|private[_-]?key|secret[_-]?key"
    r"|(set-)?cookie)$",
    re.IGNORECASE,
)


class Masker:
    """Masks texts and values, with secrets that are known beside those that look like one."""

    def __init__(self, known: Iterable[str] = (), kinds: Iterable[Kind] = KINDS) -> None:
        """Make a masker.

        Args:
            known: Secrets, for example the API keys of the settings; masked wherever they stand.
            kinds: What else is masked.
        """
        values = {value.strip() for value in known}
        forms = {
            form for value in values if len(value) >= _SHORTEST_KNOWN for form in _forms(value)
        }
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None
        self._kinds = frozenset(kinds)

    def mask_text(self, text: str) -> str:
        """Return a text with a placeholder in the place of each thing that is masked."""
        if self._known:
            text = self._known.sub(KEY, text)
        if "key" in self._kinds:
            text = secrets.mask(text, KEY)
        if "e-mail" in self._kinds:
            text = _mask_addresses(text)
        if "phone" in self._kinds:
            text = phones.mask(text, PHONE)
        return text

    def mask(self, value: object) -> object:
        """Return a JSON-like value with every text in it masked, keys of dictionaries too.

        Where two keys become the same, the later ones get a number. What is under a key such as
        `password` is masked whatever it looks like.
        """
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, Mapping):
            return self._mask_mapping(value)
        if isinstance(value, list | tuple | set | frozenset):
            masked = [self.mask(item) for item in value]
            return tuple(masked) if isinstance(value, tuple) else masked
        return value

    def _mask_mapping(self, value: Mapping[object, object]) -> dict[object, object]:
        masked: dict[object, object] = {}
        for key, item in value.items():
            name = self.mask_text(key) if isinstance(key, str) else key
            number = 1
            while name in masked:
                number += 1
                name = f"{self.mask_text(str(key))} {number}"
            masked[name] = self._mask_item(key, item)
        return masked

    def _mask_item(self, key: object, item: object) -> object:
        named_secret = isinstance(key, str) and _is_secret_name(key)
        if named_secret and "key" in self._kinds and isinstance(item, str) and item.strip():
            return KEY
        if named_secret and isinstance(item, list | tuple):
            return [self._mask_item(key, each) for each in item]
        return self.mask(item)


def mask_text(text: str) -> str:
    """Return a text with e-mail addresses, phone numbers and secrets masked."""
    return _default().mask_text(text)


def mask(value: object) -> object:
    """Return a JSON-like value with every text in it masked; see `Masker.mask`."""
    return _default().mask(value)


@lru_cache(1024)
def _is_secret_name(key: str) -> bool:
    return _SECRET_NAME.search(key) is not None


@cache
def _default() -> Masker:
    return Masker()


def _mask_addresses(text: str) -> str:
    if "@" in text or "%40" in text:
        text = _ADDRESS.sub(_address, text)
    if re.search(r"[\[({<]\s?at\s?[\])}>]", text, re.IGNORECASE):
        text = _SPELT_ADDRESS.sub(E_MAIL, text)
    return text


def _address(match: re.Match[str]) -> str:
    # `git@host:owner/name` is the address of a repository, `name@1.2.0-rc.one` a release.
    repository = match["name"] == "git" and match.string[match.end() : match.end() + 1] in {
        ":",
        "/",
    }
    if repository or _RELEASE.match(match["domain"]):
        return match[0]
    # The password of an address, as in `https://user:password@host`, is the other masker's.
    before = match.string[max(0, match.start() - _LONGEST_USER) : match.start()]
    return match[0] if _USER.search(before) else E_MAIL


def _forms(secret: str) -> Iterable[str]:
    return {secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1]}
