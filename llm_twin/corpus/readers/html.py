"""Reads HTML: pages, and the posts of Medium's and Substack's exports."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from llm_twin.corpus.document import Item, Skip
from llm_twin.corpus.rules import CorpusSettings
from llm_twin.corpus.text import decode

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag
    from markdownify import MarkdownConverter

# What is no text of the page, or none of the author's: elements, roles, classes and ids.
_NOISE: Final = frozenset(
    {
        *("script", "style", "noscript", "template", "iframe", "object", "embed", "svg", "canvas"),
        *("button", "input", "select", "textarea", "nav", "aside", "dialog"),
        *("audio", "video", "map"),
    }
)
_ROLES: Final = frozenset({"navigation", "banner", "contentinfo", "search", "dialog"})
_NAMES: Final = frozenset(
    {
        *("headerlink", "linenos", "lineno", "gutter", "line-numbers-rows", "sr-only", "sidebar"),
        *("toc", "breadcrumb", "breadcrumbs", "share", "sharing", "related", "related-posts"),
        *("comments", "cookie", "cookies", "newsletter", "advertisement"),
        *("subscription-widget", "subscription-widget-wrap"),
    }
)
_BLOCKS: Final = ("table", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "pre", "blockquote")
_PARTS: Final = ("thead", "tbody", "tfoot", "tr", "td", "th", "caption")
_ANCHORS: Final = frozenset({"\u00b6", "#", "\u00a7", "\uf0c1"})  # links of headings to themselves
_FURNITURE: Final = "header, footer"
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_LANGUAGE: Final = re.compile(
    r"(?:^|\s)(?:language|lang|highlight-source|highlight|brush:?)[-\s]?(\w[\w+#.-]*)"
)
_NO_LANGUAGE: Final = {"default", "none", "notranslate", "text", "plaintext", "wrapper"}
_LONGEST_DATA: Final = 2_000_000  # characters of HTML that metadata is looked for in


def read_html(data: bytes, name: str, rules: CorpusSettings) -> Iterator[Item | Skip]:
    """Read a page: its main part as Markdown, and what its head says of it."""
    del rules, name
    page = decode(data, declared=True)
    soup = _soup(page)
    if soup.select_one("article.h-entry section.e-content") is not None:
        yield _medium(soup)
        return
    title, author, date, url = _metadata(page)
    main = _main(soup)
    heading = main.find("h1")
    yield Item(
        name="",
        text=_to_markdown(main),
        kind="html",
        title=(heading.get_text(" ", strip=True) if heading else None) or title,
        author=author,
        date=date,
        url=url,
    )


def markdown_of(fragment: str) -> str:
    """Return a piece of HTML as Markdown, without what is no text."""
    return _to_markdown(_soup(fragment))


def looks_like_html(text: str) -> bool:
    """Tell whether a field of an export holds HTML."""
    return (
        re.search(r"<(p|div|h[1-6]|ul|ol|br|pre|article|section|body)\b[^<>]*>", text) is not None
    )


def _soup(page: str) -> "BeautifulSoup":
    from bs4 import BeautifulSoup

    return BeautifulSoup(page, "lxml")


def _metadata(page: str) -> tuple[str | None, str | None, str | None, str | None]:
    from trafilatura import extract_metadata

    found = extract_metadata(page[:_LONGEST_DATA], extensive=False)
    return found.title, found.author, found.date, found.url


def _main(soup: "BeautifulSoup") -> "Tag":
    articles = soup.select("article:not(article article)")
    main = soup.select_one("main, [role=main]")
    if len(articles) == 1 and (main is None or main in articles[0].parents):
        return articles[0]
    if main is not None:
        return main
    for piece in soup.select(_FURNITURE):
        piece.decompose()
    return soup.body or soup


def _medium(soup: "BeautifulSoup") -> Item:
    """A post of Medium's export: an h-entry, whose footer names the author and the address."""
    body = soup.select_one("section.e-content")
    assert body is not None  # noqa: S101 - the caller looked for it
    name, author = soup.select_one(".p-name"), soup.select_one("a.p-author")
    published, link = soup.select_one("time.dt-published"), soup.select_one("a.p-canonical")
    title = name.get_text(" ", strip=True) if name else None
    heading = body.find(["h1", "h2", "h3", "h4"])
    # The title stands in the body once more.
    if heading is not None and title and heading.get_text(" ", strip=True) == title:
        heading.decompose()
    subtitle = soup.select_one("section.p-summary")
    text = _to_markdown(body)
    summary = subtitle.get_text(" ", strip=True) if subtitle else ""
    return Item(
        name="",
        text=f"{summary}\n\n{text}" if summary and summary[:40] not in text else text,
        kind="html",
        title=title,
        author=author.get_text(" ", strip=True) if author else None,
        date=str(published.get("datetime") or "") or None if published else None,
        url=str(link.get("href") or "") or None if link else None,
    )


def _to_markdown(element: "Tag") -> str:
    for piece in element.find_all(_is_noise):
        if not piece.decomposed:
            piece.decompose()
    for line_end in element.find_all("br"):
        if line_end.find_parent("pre") is not None:
            line_end.replace_with("\n")
    for picture in element.find_all("img"):
        picture.replace_with(str(picture.get("alt") or ""))
    for link in element.find_all("a"):
        if link.get_text(strip=True) in _ANCHORS:
            link.decompose()
        elif not str(link.get("href") or "").startswith(("https://", "http://")):
            link.unwrap()  # it leads nowhere outside of its site
    _unfold_layout(element)
    return str(_converter().convert_soup(element))


def _unfold_layout(element: "Tag") -> None:
    """Make tables that place things on a page, rather than list values, what they stand for."""
    for table in element.find_all("table"):
        if table.get("role") == "presentation" or table.find(_BLOCKS) is not None:
            own = [cell for cell in table.find_all(_PARTS) if cell.find_parent("table") is table]
            for piece in (table, *own):
                piece.name = "div"


def _is_noise(piece: "Tag") -> bool:
    if piece.name in _NOISE:
        return True
    attributes = piece.attrs
    if not attributes:
        return False
    named = {str(attributes.get("id") or ""), *_classes(piece)}
    hidden = "hidden" in attributes or attributes.get("aria-hidden") == "true"
    style = str(attributes.get("style") or "")
    return (
        hidden
        or attributes.get("role") in _ROLES
        or not named.isdisjoint(_NAMES)
        or _HIDDEN.search(style) is not None
    )


def _classes(piece: "Tag") -> list[str]:
    value: str | list[str] = piece.get("class") or ""
    return value.split() if isinstance(value, str) else list(value)


def _converter() -> "MarkdownConverter":
    from markdownify import ATX, MarkdownConverter

    class Converter(MarkdownConverter):
        """Fences that are longer than any in the code."""

        def convert_pre(self, el: "Tag", text: str, parent_tags: set[str]) -> str:
            del text, parent_tags
            code = el.get_text().strip("\n")
            ticks = max((len(run) for run in re.findall(r"`{3,}", code)), default=2) + 1
            fence = "`" * ticks
            return f"\n\n{fence}{_language(el)}\n{code}\n{fence}\n\n" if code else ""

    return Converter(
        heading_style=ATX, bullets="-", escape_asterisks=False, escape_underscores=False
    )


def _language(pre: "Tag") -> str:
    code = pre.find("code")
    for element in (code, pre, pre.parent, pre.parent.parent if pre.parent else None):
        if element is None or not hasattr(element, "get"):
            continue
        for attribute in ("data-code-block-lang", "data-lang", "data-language", "class"):
            value = element.get(attribute)
            words = " ".join(value) if isinstance(value, list) else str(value or "")
            match = (
                _LANGUAGE.search(words)
                if attribute == "class"
                else re.match(r"(\w[\w+#.-]*)", words)
            )
            if match and match[1].lower() not in _NO_LANGUAGE:
                return match[1].lower()
    return ""
