"""What msgspec complains of, in the words of TOML: which key is wrong, and what it may be.

The messages of msgspec name Python's types, a dictionary's keys not at all, and no choices.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

_WORDS: Final = {
    "array": "a list",
    "object": "a table",
    "str": "text",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
}


def explain(problem: str, tables: object, root: type[msgspec.Struct]) -> str:
    """Return one sentence for a message of `msgspec.ValidationError`.

    Args:
        problem: The message.
        tables: What was converted.
        root: The type that it was to be converted to.
    """
    what, _, at = problem.partition(" - at `")
    keys, kind, value = _place(at.rstrip("`"), tables, root)
    key = "".join(keys).removeprefix(".")
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", what):
        allowed = sorted(_bare(kind).__struct_encode_fields__)
        full = f"{key}.{unknown[1]}".removeprefix(".")
        hint = _close(unknown[1], allowed)
        return f"unknown key `{full}`.{hint} Allowed here: {', '.join(allowed)}."
    if missing := re.fullmatch(r"Object missing required field `(.*)`", what):
        return f"`{key}` lacks `{missing[1]}`, which is needed."
    choices = _choices(kind)
    allowed_text = f"{_close(value, choices)} Allowed: {', '.join(choices)}." if choices else ""
    return f"`{key}`: " * bool(key) + f"should be {_expected(what, value)}.{allowed_text}"


def _expected(what: str, value: object) -> str:
    match = re.fullmatch(r"Expected `(.*?)`(?:, got `(.*)`|( of length >= 1)| (.*))", what)
    if not match:
        return f"one of those known, not {value!r}"
    words = [_WORDS.get(word, word) for word in match[1].split(" | ") if word != "null"]
    wanted = " or ".join(words)
    if match[2]:
        quotes = " without quotes" if "str" in match[1] and match[2] in {"int", "float"} else ""
        return f"{wanted}, but it is {_WORDS.get(match[2], f'a {match[2]}')}{quotes}"
    return f"{wanted} that is not empty" if match[3] else f"{wanted} {match[4]}, not {value!r}"


def _place(at: str, tables: object, root: object) -> tuple[list[str], Any, Any]:
    """Return the keys of a place as texts, the type of its value, and the value itself."""
    keys: list[str] = []
    kind, node = root, cast("Any", tables)
    for name, index in re.findall(r"\.([^.\[\]]+)|\[(.*?)\]", at):
        kind = _bare(kind)
        found: Any
        if name:
            kind = get_type_hints(kind, include_extras=True)[name.replace("-", "_")]
            found = name
        elif index == "...":
            kind = get_args(kind)[-1]
            found = next(key for key, value in node.items() if not _fits(value, kind))
        else:
            # Of a union with a text, only the list has items.
            kind = get_args(kind)[0]
            found = int(index)
        plain = isinstance(found, str) and re.fullmatch(r"[\w-]+", found)
        keys.append(f".{found}" if plain else f"[{found!r}]")
        node = node[found]
    return keys, kind, node


def _members(kind: object) -> Iterator[object]:
    """The types of a union, annotated as they are; the type itself where it is none."""
    if get_origin(kind) in {Union, UnionType}:
        for member in get_args(kind):
            yield from _members(member)
    else:
        yield kind


def _bare(kind: object) -> Any:  # noqa: ANN401 - a type of any kind
    """Return the first type of a union, without its annotations."""
    first = next(_members(kind))
    return get_args(first)[0] if get_origin(first) is Annotated else first


def _fits(value: object, kind: Any) -> bool:  # noqa: ANN401 - a type, a union or an annotated one
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _close(word: object, allowed: Sequence[str]) -> str:
    close = difflib.get_close_matches(str(word), allowed, n=1)
    return f" Did you mean `{close[0]}`?" if close else ""


def _choices(kind: object) -> list[str]:
    bare = _bare(kind)
    if get_origin(bare) is list:
        return _choices(get_args(bare)[0])
    return list(get_args(bare)) if get_origin(bare) is Literal else []
