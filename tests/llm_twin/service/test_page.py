"""The chat page in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from tests.llm_server import LlmServer
from tests.llm_twin.service.browser import Page, chromium
from tests.llm_twin.service.conftest import ANSWER
from tests.llm_twin.service.running import Service, running

pytestmark = pytest.mark.browser

QUESTION = "At how many degrees is the kiln fired?"
KEY = "a-key-of-a-caller-0123456789"
# What the page itself never does; each line is stopped by the policy.
INJECTED = """
window.ran = 0;
window.stopped = [];
document.addEventListener("securitypolicyviolation", (e) => stopped.push(e.effectiveDirective));
try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='ran = 1'>"); } catch {}
new Image().src = "https://elsewhere.invalid/";
fetch("https://elsewhere.invalid/").catch(() => null);
document.body.setAttribute("style", "display: none");
"""
# Contrast after WCAG 2, of everything that has a text of its own.
CONTRASTS = """
const parse = (text) => text.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
  .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
  .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (node) => {
  for (let at = node; at; at = at.parentElement) {
    const colour = parse(getComputedStyle(at).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
};
const found = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  if (!own || !node.checkVisibility() || node.matches(".hidden, .skip, :disabled")) continue;
  const [a, b] = [light(parse(getComputedStyle(node).color)), light(behind(node))];
  found.push([node.className || node.tagName, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
}
return found;
"""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    """One browser for all tests; each opens the page anew."""
    with chromium() as made:
        yield made


@pytest.fixture
def page(chrome: Chrome, service: Service) -> Page:
    """The page of a service that asks for no key, in a window of a usual size."""
    opened = Page(chrome, service.url)
    opened.appear()
    opened.complaints()
    opened.requested()
    return opened


def test_streamed_answer_with_its_source(page: Page, llm: LlmServer) -> None:
    """Typed and sent with the keyboard; the answer grows, and ends with its source."""
    llm.pause = 0.15
    page.type(QUESTION)
    page.type(Keys.ENTER)
    assert page.text(".asked .text") == QUESTION
    seen = set()

    def complete() -> bool:
        seen.add(page.text(".answered .text"))
        return bool(page.all(".answered .tools"))

    page.until(complete, "the whole answer")
    assert page.text(".answered .text") == ANSWER.replace("[1]", "1")
    assert len(seen) >= 3
    assert "kiln.md" in page.text(".sources summary")
    assert not page.all(".sources blockquote")
    page.click(".answered button.mark")
    assert "1240 degrees" in page.text(".sources blockquote")
    page.type(Keys.ENTER)  # the source has the focus, so the keyboard closes it again
    page.until(lambda: not page.all(".sources blockquote"), "a closed source")
    assert page.complaints() == []


@pytest.mark.parametrize(("button", "value"), [("up", 1.0), ("down", 0.0)])
def test_feedback(page: Page, service: Service, button: str, value: float) -> None:
    """A thumb and a comment are kept as a score of the answer's trace."""
    page.ask(QUESTION)
    page.click(f".tool.{button}")
    page.until(lambda: bool(page.all(".comment textarea")), "a place for a comment")
    assert page.one(f".tool.{button}").get_attribute("aria-pressed") == "true"
    page.type(f"A comment on the thumb {button}.")
    page.type(Keys.CONTROL + Keys.ENTER)
    page.until(lambda: "comment" in page.text(".said"), "thanks")
    assert not page.all(".comment")
    scores = [score for trace in service.traces() for score in trace["scores"]]
    (score,) = [each for each in scores if each.get("reason", "").endswith(f"thumb {button}.")]
    assert score["value"] == value


def test_lines_and_stopping(page: Page, llm: LlmServer) -> None:
    """Shift and Enter begin a line; Escape ends the answer and the model's work."""
    llm.behaviour = "hang after a token"
    page.type(f"{QUESTION}{Keys.SHIFT}{Keys.ENTER}{Keys.NULL}In Celsius.")
    page.type(Keys.ENTER)
    assert page.text(".asked .text") == f"{QUESTION}\nIn Celsius."
    llm.wait_for(lambda server: server.running == 1)
    page.type(Keys.ESCAPE)
    assert page.text(".failed .text") == "Stopped."
    llm.wait_for(lambda server: server.left == 1)
    llm.reset(ANSWER)
    page.click(".failed .again")
    page.one(".answered .tools")
    assert not page.all(".failed")


def test_conversation_goes_on_and_begins_anew(page: Page, llm: LlmServer) -> None:
    """A second question comes with the first; a new chat forgets both."""
    page.ask(QUESTION)
    page.ask("And how long does that take?")
    assert len(page.all(".asked")) == 2
    assert page.text(".answered .text")
    page.click("#new")
    assert not page.all(".asked")
    page.one("#welcome")
    page.ask("How much honey does a colony need?")
    assert len(page.all(".asked")) == 1
    assert llm.asked


def test_error_is_told_and_tried_again(page: Page, llm: LlmServer, service: Service) -> None:
    """What the service refuses is told in words, and can be tried again."""
    page.run("document.getElementById('question').value = 'x'.repeat(60000)")
    page.type(" ")
    page.type(Keys.ENTER)
    assert "at most 50000 characters" in page.text(".failed .text")
    page.one(".failed .again")
    page.click("#new")
    page.ask(QUESTION)
    assert service.process.poll() is None
    assert llm.asked


def test_nothing_of_a_source_or_an_answer_runs(page: Page, llm: LlmServer) -> None:
    """Scripts and tags of documents and answers are text; the policy would stop them besides."""
    llm.says = lambda _messages: (
        'The kiln is fired at 1240 degrees [1].<img src="x" onerror="document.title = 1">'
        '<script>document.title = 2</script><a href="javascript:document.title = 3">here</a>'
    )
    page.ask("What does the kiln's script do? At how many degrees is it fired?")
    for summary in page.all(".sources summary"):
        summary.click()
    assert page.chrome.title == "LLM twin"
    assert page.run("return document.querySelectorAll('main script, main img, iframe').length") == 0
    assert page.run("return document.querySelectorAll('a[href^=javascript]').length") == 0
    assert page.complaints() == []
    page.run(INJECTED)
    page.until(lambda: len(page.run("return window.stopped")) >= 4, "what the policy stopped")
    assert page.run("return window.ran") == 0
    stopped = {"require-trusted-types-for", "img-src", "connect-src", "style-src-attr"}
    assert set(page.run("return window.stopped")) == stopped


def test_nothing_comes_from_elsewhere(page: Page, service: Service) -> None:
    """Every address that the page asks for is the service's own."""
    page.chrome.refresh()
    page.ask(QUESTION)
    page.click(".tool.up")
    asked = page.requested()
    assert {f"{service.url}/static/chat.js", f"{service.url}/v1/chat/completions"} <= set(asked)
    assert [each for each in asked if not each.startswith(f"{service.url}/")] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_read(page: Page, scheme: str) -> None:
    """In light and in dark every text has the contrast that WCAG asks for."""
    page.appear(scheme=scheme)
    page.ask(QUESTION)
    page.click(".answered button.mark")
    page.click(".tool.down")
    contrasts = page.run(CONTRASTS)
    assert len(contrasts) > 10
    assert [each for each in contrasts if each[1] < 4.5] == []
    dark = page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(23, 24, 26)"
    assert dark == (scheme == "dark")


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_windows(page: Page, width: int) -> None:
    """On a phone nothing is cut off to the side, and what is touched is large enough."""
    page.appear(width=width, height=700)
    page.ask(f"{QUESTION} {'long' * 40}")
    page.click(".answered button.mark")
    page.click(".tool.up")
    assert page.run("return document.documentElement.scrollWidth") <= width
    small = page.run(
        "return [...document.querySelectorAll('button:not(.mark), summary')]"
        ".filter((each) => each.checkVisibility())"
        ".filter((each) => each.getBoundingClientRect().height < 36).map((each) => each.className)"
    )
    assert small == []
    question = page.one("#question").rect
    assert 0 <= question["x"] < question["x"] + question["width"] <= width


def test_everything_has_a_name_and_can_be_reached(page: Page) -> None:
    """With the keyboard alone one gets to every control, and each has a name."""
    page.ask(QUESTION)
    page.run("document.querySelector('.skip').focus()")
    names = []
    while (element := page.chrome.switch_to.active_element).tag_name != "body":
        names.append(element.accessible_name)
        page.type(Keys.TAB)
        assert len(names) < 30
    assert "" not in names
    assert {"Skip to the question", "New chat", "Source 1", "Good answer", "Bad answer"} <= set(
        names
    )
    assert {"Your question", "Copy the answer"} <= set(names)


def test_key(
    chrome: Chrome,
    corpus: Path,
    llm: LlmServer,
    tmp_path: Path,
) -> None:
    """Where keys are needed the page asks for one, again where it is wrong, and keeps it."""
    with running(
        corpus, tmp_path, LLM_TWIN_MODEL_URL=llm.url, LLM_TWIN_SERVICE_API_KEYS=KEY
    ) as service:
        page = Page(chrome, service.url)
        page.one("#question").send_keys(QUESTION, Keys.ENTER)
        for key in ("a-wrong-key", KEY):
            page.one("#key").send_keys(key, Keys.ENTER)
            page.until(lambda: not page.all("#key") or not page.text("#key"), "the key is taken")
        page.one(".answered .tools")
        page.ask("And the glaze?")
        page.chrome.refresh()
        page.ask("How much honey does a colony need?")
        assert page.run("return [localStorage.length, document.cookie, location.href]") == [
            0,
            "",
            f"{service.url}/",
        ]
