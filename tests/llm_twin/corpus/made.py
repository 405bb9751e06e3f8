"""Files for the tests of the corpus, made as the programs that export them make them."""

import io
import zipfile
from collections.abc import Mapping, Sequence

PARAGRAPH = (
    "Every release goes to staging first, where the checks run against a copy of the data. "
    "Whoever is on call looks at the graphs for ten minutes and then decides whether it may go on. "
    "If something looks odd we stop, write down what we saw and go back to the last release."
)


def pdf(*pages: Sequence[str], title: str | None = None, outline: Mapping[str, int] = {}) -> bytes:
    """Return a PDF with lines of text on its pages.

    Args:
        pages: The lines of each page.
        title: The title of its metadata.
        outline: Titles of the outline, and on which page each is.
    """
    from pypdf import PdfReader, PdfWriter

    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for number, lines in enumerate(pages):
        shown = "".join(f"({_escaped(line)}) Tj 0 -14 Td " for line in lines)
        stream = f"BT /F1 12 Tf 72 720 Td {shown}ET".encode("latin-1")
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
    whole = _file(objects)
    if not title and not outline:
        return whole
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(whole)))
    if title:
        writer.add_metadata({"/Title": title, "/Author": "Ada Lovelace"})
    for entry, page in outline.items():
        writer.add_outline_item(title=entry, page_number=page)
    return _written(writer)


def encrypted_pdf() -> bytes:
    """Return a PDF that can't be read without its password."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(["secret"]))))
    writer.encrypt("swordfish", algorithm="RC4-128")
    return _written(writer)


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """Return a zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return made.getvalue()


def medium() -> bytes:
    """Return an export of Medium's, as its pages describe it."""
    post = """<!DOCTYPE html><html><head><title>How we ship</title><style>p{}</style></head><body>
    <article class="h-entry"><header><h1 class="p-name">How we ship</h1></header>
    <section data-field="subtitle" class="p-summary">Small steps, often.</section>
    <section data-field="body" class="e-content"><section name="a1" class="section"><div><div>
    <h3 name="b1" class="graf graf--h3 graf--title">How we ship</h3>
    <p class="graf graf--p">Write to ada@example.com. {paragraph}</p>
    <h4 class="graf graf--h4">The command</h4>
    <pre data-code-block-lang="python" class="graf graf--pre graf--preV2"><span>def ship():<br/>
    return 1</span></pre></div></div></section></section>
    <footer><p>By <a href="https://medium.com/@ada" class="p-author h-card">Ada Lovelace</a> on
    <a href="https://medium.com/p/1"><time class="dt-published"
    datetime="2023-05-04T10:00:00.000Z">May 4, 2023</time></a>.</p>
    <p><a href="https://medium.com/@ada/how-we-ship-1" class="p-canonical">Canonical link</a></p>
    </footer></article></body></html>""".replace("{paragraph}", PARAGRAPH)
    return archive(
        {
            "README.html": "<p>Your export</p>",
            "posts/2023-05-04_How-we-ship-1.html": post,
            "posts/draft_Not-yet-2.html": post.replace("How we ship", "Not yet"),
            "bookmarks/bookmarks-0001.html": "<ul><li>what others wrote</li></ul>",
            "profile/profile.html": "<p>ada@example.com</p>",
        }
    )


def substack() -> bytes:
    """Return an export of Substack's: a list of posts, the posts, and lists of readers."""
    posts = (
        "post_id,post_date,is_published,email_sent_at,type,audience,title,subtitle,podcast_url\n"
        '101.first-letter,2022-02-03T09:00:00.000Z,true,,newsletter,everyone,"First, a letter",'
        "About beginnings,\n"
        "102.second-letter,,false,,newsletter,everyone,Second letter,,\n"
    )
    return archive(
        {
            "posts.csv": posts,
            "posts/101.first-letter.html": f"<h2>Why</h2><p>{PARAGRAPH}</p>"
            '<div class="subscription-widget-wrap"><p>Thanks for reading! Subscribe.</p></div>',
            "posts/102.second-letter.html": "<p>Not sent yet.</p>",
            "posts/101.opens.csv": "reader@example.com,1\n",
            "email_list.ada.csv": "reader@example.com\n",
        }
    )


RSS = f"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"><channel>
<title>Ada's blog</title><link>https://ada.example</link>
<item><title>On engines &amp; looms</title><link>https://ada.example/engines</link>
<guid>https://ada.example/engines</guid><author>ada@example.com (Ada Lovelace)</author>
<pubDate>Thu, 04 May 2023 10:00:00 GMT</pubDate>
<content:encoded><![CDATA[<h2>Looms</h2><p>{PARAGRAPH}</p><script>alert(1)</script>
<pre><code class="language-python">weave(1)

weave(2)</code></pre>]]></content:encoded></item>
<item><title>Short</title><link>https://ada.example/short</link>
<description>Only a line of text.</description></item>
</channel></rss>"""

ATOM = f"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Ada</title><author><name>Ada</name></author>
<entry><title>Atoms</title><id>urn:uuid:1</id><updated>2024-01-02T03:04:05Z</updated>
<link href="https://ada.example/atoms"/>
<content type="html">&lt;p&gt;{PARAGRAPH}&lt;/p&gt;</content></entry></feed>"""


def _escaped(line: str) -> str:
    return line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _file(objects: Sequence[bytes]) -> bytes:
    made = bytearray(b"%PDF-1.4\n")
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(made)
    made += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    made += b"".join(b"%010d 00000 n \n" % place for place in places)
    made += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        start,
    )
    return bytes(made)


def _written(writer: object) -> bytes:
    from pypdf import PdfWriter

    assert isinstance(writer, PdfWriter)
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()
