"""Finds phone numbers in text, and leaves dates, versions, addresses and sums alone."""

import re
from typing import Final

_FEWEST, _MOST = 7, 15  # digits; E.164 allows 15
_FEWEST_NATIONAL: Final = 9
_CANDIDATE: Final = re.compile(
    r"(?<![\w.+/=#$€£-])(?<!\d:)(?P<number>(?:\+ ?|00|\()?"
    r"\d(?:[ \u00a0]?[-\u2013.()/ \u00a0]?[ \u00a0]?\d){6,16})"
    r"(?!\w|[-.:/]\d|%)"
)
_CUE: Final = re.compile(
    r"(?:\b(?:(?:tele)?phones?|tel|call|mobile|cell|fax|whatsapp|sms|text|ring|dial|reach|hotline"
    r"|telefon|handy|mobil|num[eé]ro|tlf|contact)\b\.?\W{0,3}(?:\w+\W{1,3}){0,4}|tel:)$",
    re.IGNORECASE,
)
_CUE_REACHES: Final = 48  # characters before the number
_NORTH_AMERICAN: Final = re.compile(r"(?:\+?1[-. ]?)?(?:\(\d{3}\) ?|\d{3}[-.])\d{3}[-. ]\d{4}")
_DATE: Final = re.compile(
    r"(?:19|20)\d{2}([-./ ]?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?:\D|\d{2}|\d{4}|\d{6}|$)"
    r"|(?:0?[1-9]|[12]\d|3[01])([-./])(?:0?[1-9]|1[0-2])\2(?:19|20)\d{2}"
    r"|(?:0?[1-9]|1[0-2])([-./])(?:0?[1-9]|[12]\d|3[01])\3(?:19|20)\d{2}"
    r"|(?:19|20)\d{2} ?[-\u2013/] ?(?:19|20)\d{2}(?:\D|$)"
)
_DOTTED: Final = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}|\d+\.\d+|\d{1,3}(?:[ .]\d{3})+|\d+\.\d+(?: \d+\.?\d*)+"
)
_POSTAL: Final = re.compile(r"\d{5}-\d{4}")  # of the United States, as in licences
_OTHER: Final = re.compile(r"\b(?:ISBN(?:-1[03])?|ISSN|DOI)\W{1,3}$", re.IGNORECASE)
# National numbers are told from other numbers where writers of many countries live.
_REGIONS: Final = (
    "GB",
    "DE",
    "FR",
    "IT",
    "NL",
    "AT",
    "CH",
    "BE",
    "SE",
    "AU",
    "NZ",
    "JP",
    "IN",
    "ZA",
)


def mask(text: str, placeholder: str) -> str:
    """Return a text with each phone number replaced."""
    return _CANDIDATE.sub(lambda match: placeholder if _is_number(match) else match[0], text)


def _is_number(match: re.Match[str]) -> bool:
    number = match["number"]
    digits = re.sub(r"\D", "", number)
    if not _FEWEST <= len(digits) <= _MOST or number.count("(") != number.count(")"):
        return False
    if number.startswith(("+", "00")):
        return _possible(number)
    if _NORTH_AMERICAN.fullmatch(number):
        return True
    before = match.string[max(0, match.start() - _CUE_REACHES) : match.start()]
    if _DATE.match(number) or _DOTTED.fullmatch(number) or _OTHER.search(before):
        return False
    return _CUE.search(before.rpartition("\n")[2]) is not None or _national(number, digits)


def _national(number: str, digits: str) -> bool:
    if re.fullmatch(r"\d{3} \d{3} \d{4}", number):
        return _valid(number, "US")
    if len(digits) == len(number) or not digits.startswith("0") or len(digits) < _FEWEST_NATIONAL:
        return False
    if _POSTAL.fullmatch(number):
        return False
    return any(_valid(number, region) for region in _REGIONS)


def _possible(number: str) -> bool:
    import phonenumbers

    written = re.sub(r"^00", "+", number).replace("(0)", "")
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(written, None))
    except phonenumbers.NumberParseException:
        return False


def _valid(number: str, region: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
