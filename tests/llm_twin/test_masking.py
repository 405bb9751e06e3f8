"""Masking: what is masked, what is left alone, and how long it takes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_twin.masking import E_MAIL, KEY, PHONE, Masker, mask, mask_text
from tests.llm_twin.masking_texts import HARMLESS, addresses, keys, numbers


def test_harmless_texts_are_left_alone() -> None:
    """At least 95 of 100 texts that hold nothing personal come out as they went in."""
    changed = {text: mask_text(text) for text in HARMLESS if mask_text(text) != text}
    assert len(HARMLESS) >= 100
    assert len(changed) <= 0.05 * len(HARMLESS), changed


@pytest.mark.parametrize(
    ("texts", "placeholder"), [(addresses(), E_MAIL), (numbers(), PHONE), (keys(), KEY)]
)
def test_personal_data_is_masked(texts: list[tuple[str, str]], placeholder: str) -> None:
    """At least 95 of 100 of each kind are masked, with the placeholder of their kind."""
    left = [
        (text, mask_text(text))
        for text, secret in texts
        if secret in mask_text(text) or placeholder not in mask_text(text)
    ]
    assert len(texts) >= 60
    assert len(left) <= 0.05 * len(texts), left


@pytest.mark.parametrize(
    "text", [*HARMLESS, *(text for text, _ in addresses() + numbers() + keys())]
)
def test_twice_is_the_same(text: str) -> None:
    """Masking what is masked changes nothing."""
    once = mask_text(text)
    assert mask_text(once) == once


@given(st.text(alphabet="aA1 0+-.@:/=[]()\"'\nkeytokn%", max_size=200))
def test_twice_is_the_same_of_any_text(text: str) -> None:
    """Masking what is masked changes nothing, whatever it was."""
    once = mask_text(text)
    assert mask_text(once) == once


def test_what_stands_around_is_kept() -> None:
    """Names, hosts and quotes stay, so that a text can be read still."""
    assert mask_text("Write to ada@example.com, please.") == f"Write to {E_MAIL}, please."
    assert mask_text("postgres://app:hunter2@db:5432/x") == f"postgres://app:{KEY}@db:5432/x"
    assert mask_text('password = "hunter2!"') == f'password = "{KEY}"'
    assert mask_text("me at ada [at] example [dot] com") == f"me at {E_MAIL}"
    assert mask_text("a%40b.example?ada%40example.com") == f"{E_MAIL}?{E_MAIL}"


def test_values_are_masked_wherever_a_text_is() -> None:
    """Lists, dictionaries and their keys; numbers and the shape stay."""
    value = {
        "to": ["ada@example.com", ("bob@example.com", 7, None, True, 1.5)],
        "ada@example.com": 1,
        "bob@example.com": 2,
        "Password": "swordfish",
        "headers": {"authorization": "anything", "cookie": ["a=b", "c=d"]},
        "completion_tokens": 12,
    }
    assert mask(value) == {
        "to": [E_MAIL, (E_MAIL, 7, None, True, 1.5)],
        E_MAIL: 1,
        f"{E_MAIL} 2": 2,
        "Password": KEY,
        "headers": {"authorization": KEY, "cookie": [KEY, KEY]},
        "completion_tokens": 12,
    }
    assert mask(mask(value)) == mask(value)


def test_known_secrets_are_masked_in_any_form(canary: str) -> None:
    """A key of the settings is masked as it is, and as URLs and JSON write it."""
    secret = f'{canary}/"x'
    masker = Masker([secret, "abc"])
    for form in (secret, f'"{canary}/\\"x"', f"{canary}%2F%22x", f"{canary}/%22x"):
        assert canary not in masker.mask_text(f"seen {form} here")
    assert masker.mask_text("abc") == "abc"  # too short to hide anything
    assert masker.mask({f"k{secret}": [secret]}) == {f"k{KEY}": [KEY]}


def test_kinds_can_be_chosen() -> None:
    """What is not asked for is left, known secrets apart."""
    text = "ada@example.com +1 650 253 0000 password=hunter2! canary-value"
    assert Masker(kinds=["e-mail"]).mask_text(text) == text.replace("ada@example.com", E_MAIL)
    assert Masker(["canary-value"], []).mask_text(text) == text.replace("canary-value", KEY)
    assert Masker(kinds=[]).mask({"password": "x"}) == {"password": "x"}


@pytest.mark.parametrize(
    "text",
    [
        "The quick brown fox jumps over the lazy dog. " * 2000,
        "a" * 90_000,
        "1 " * 45_000,
        "12345678 " * 10_000,
        "a.b@" * 22_000,
        "token token = " * 6_000,
        "password" * 11_000,
        "://" * 30_000,
        "-----BEGIN RSA PRIVATE KEY-----" * 2_000,
        "(" * 90_000,
        "[at]" * 22_000,
        "_-." * 30_000,
        "eyJ" * 30_000,
    ],
    ids=lambda text: text[:12],
)
def test_time_grows_with_the_length_only(text: str) -> None:
    """No text makes masking slow: 90 kB take less than two seconds of a processor."""
    mask_text("key")
    start = time.process_time()
    mask_text(text)
    assert time.process_time() - start < 2
