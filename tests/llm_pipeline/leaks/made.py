"""What every maker of secrets needs: the form of a made-up secret, alphabets, encodings."""

import base64
import string
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

LOWER_DIGITS = string.ascii_lowercase + string.digits
UPPER_DIGITS = string.ascii_uppercase + string.digits
ALNUM = string.ascii_letters + string.digits
BASE32 = string.ascii_uppercase + "234567"
HEX = string.digits + "abcdef"
URLSAFE = ALNUM + "-_"
BASE64 = ALNUM + "+/"


@dataclass(frozen=True)
class Made:
    """A made-up secret.

    Attributes:
        name: Variable that a program would read it from.
        text: What is written, for instance a whole URL.
        secret: The part of `text` that must be found.
        told_by_name: Nothing but its name tells it from any other random text.
        snippets: Lines that it leaks in, in place of the usual contexts.
    """

    name: str
    text: str
    secret: str
    told_by_name: bool = False
    snippets: tuple[str, ...] = ()


Maker = Callable[[Random], Made]


def chars(rng: Random, alphabet: str, count: int) -> str:
    """Return `count` random characters of `alphabet`."""
    return "".join(rng.choices(alphabet, k=count))


def to_base64(data: bytes) -> str:
    """Return `data` in base64."""
    return base64.b64encode(data).decode()


def to_urlsafe(data: bytes) -> str:
    """Return `data` in the base64 of URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
