"""Reads JSON and JSONL exports; which fields hold what is said by the settings."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llm_twin.corpus.document import Item, NotTakenError, Skip
from llm_twin.corpus.readers.html import looks_like_html, markdown_of
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.corpus.text import decode

_DEEPEST: Final = 8
_IDS: Final = ("id", "guid", "uuid", "slug")


def read_json(data: bytes, name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read a JSON file: each object in it that has a text is a document."""
    del name
    try:
        value = json.loads(decode(data))
    except (ValueError, RecursionError) as error:
        raise NotTakenError(f"is not valid JSON: {_place(error)}") from None
    yield from _or_nothing(_numbered(_records(value, rules, 0)), rules)


def read_jsonl(data: bytes, name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read a JSON object a line; a line that is none is left out, and told."""
    del name

    def items() -> Iterator[Item | Skip]:
        for number, line in enumerate(decode(data).split("\n"), 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield Skip(f"#line {number}", f"is not valid JSON: {_place(error)}")
                continue
            found = list(_records(value, rules, 0))
            yield from found or [Skip(f"#line {number}", _no_text(rules))]

    yield from _or_nothing(_numbered(items()), rules)


def _records(value: object, rules: CorpusSettings, depth: int) -> Iterator[Item | Skip]:
    if isinstance(value, list):
        for each in value if depth < _DEEPEST else ():
            yield from _records(each, rules, depth + 1)
    elif isinstance(value, Mapping):
        text = _field(value, rules.text_fields)
        if text is not None:
            yield _item(value, text, rules)
        else:
            for each in value.values() if depth < _DEEPEST else ():
                if isinstance(each, list | Mapping):
                    yield from _records(each, rules, depth + 1)


def _item(record: Mapping[str, Any], text: str, rules: CorpusSettings) -> Item | Skip:
    name = next((f"#{record[key]}" for key in _IDS if isinstance(record.get(key), str | int)), "")
    draft = record.get("draft") is True or record.get("is_published") is False
    if draft and not rules.drafts:
        return Skip(name, "is a draft (corpus.drafts)")
    return Item(
        name=name,
        text=markdown_of(text) if looks_like_html(text) else text,
        kind="json",
        title=_field(record, rules.title_fields),
        author=_field(record, rules.author_fields),
        date=_field(record, rules.date_fields),
        url=_field(record, rules.url_fields),
    )


def _field(record: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """Return the first of the fields that holds text; `post.body` is `body` within `post`."""
    for name in names:
        value: object = record
        for part in (name,) if name in record else name.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, Mapping):
            value = value.get("name")
        if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
            value = "\n\n".join(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return value
    return None


def _numbered(items: Iterator[Item | Skip]) -> Iterator[Item | Skip]:
    """Name records that have no id of their own by their place."""
    from dataclasses import replace

    for number, item in enumerate(items, 1):
        yield item if item.name else replace(item, name=f"#{number}")


def _or_nothing(items: Iterator[Item | Skip], rules: CorpusSettings) -> Iterator[Item | Skip]:
    found = False
    for item in items:
        found = True
        yield item
    if not found:
        raise NotTakenError(_no_text(rules))


def _no_text(rules: CorpusSettings) -> str:
    return f"has none of the fields {', '.join(rules.text_fields)} (corpus.text_fields)"


def _place(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "too deep" if isinstance(error, RecursionError) else "a number is too long"
