"""Tests of the one function."""

from greeting import greeting


def test_greeting() -> None:
    """A greeting holds the name."""
    assert greeting("you") == "Hello, you"
