"""The settings of the corpus."""

from pydantic import BaseModel

from llm_twin.masking import KINDS
from llm_twin.values import Count, Flag, Kinds, Names, Share


class CorpusSettings(BaseModel, frozen=True):
    """What `llm-twin ingest` takes; fields are those of JSON exports, the first one counts.

    Attributes:
        authors: Names or e-mail addresses of whose documents and commits are taken; empty: every
            document, and the commits of git's `user.email`.
        mask: What is masked on the way in.
        drafts: Whether unpublished posts are taken.
        near_duplicates: Share of three-word sequences that two documents have in common, from
            which on the shorter one is left out; 1 keeps all but exact ones.
        max_file_mb: Files above it are skipped, and an archive may unpack to ten times as much.
        max_seconds: How long one document may take to be read.
    """

    authors: Names = ()
    mask: Kinds = KINDS
    drafts: Flag = False
    near_duplicates: Share = 0.85
    max_file_mb: Count = 100
    max_seconds: Count = 120
    text_fields: Names = (
        "text",
        "content",
        "body",
        "body_html",
        "body_markdown",
        "html",
        "message",
    )
    title_fields: Names = ("title", "name", "subject", "headline")
    author_fields: Names = ("author", "author_name", "by", "creator")
    date_fields: Names = ("date", "published_at", "created_at", "post_date", "timestamp", "created")
    url_fields: Names = ("url", "link", "canonical_url", "permalink")
