"""Drives Chromium over the chat page."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

_PATIENCE: Final = 30.0  # seconds


class Page:
    """The chat page in a browser."""

    def __init__(self, chrome: Chrome, url: str) -> None:
        """Open the page.

        Args:
            chrome: The browser.
            url: The service.
        """
        self.chrome = chrome
        self.url = url
        chrome.get(url)

    def all(self, selector: str) -> list[WebElement]:
        """Return the elements of a CSS selector that are seen."""
        found = self.chrome.find_elements(By.CSS_SELECTOR, selector)
        return [each for each in found if each.is_displayed()]

    def one(self, selector: str) -> WebElement:
        """Wait for an element to be seen, and return the last one."""
        self.until(lambda: bool(self.all(selector)), selector)
        return self.all(selector)[-1]

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(self.one(selector).text)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until something holds.

        Raises:
            TimeoutError: It didn't.
        """
        until = time.monotonic() + _PATIENCE
        while not holds():
            if time.monotonic() > until:
                raise TimeoutError(f"{what}: {self.chrome.find_element(By.TAG_NAME, 'body').text}")
            time.sleep(0.02)

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.chrome.switch_to.active_element.send_keys(text)

    def ask(self, text: str) -> None:
        """Type a question, send it and wait for the whole answer."""
        before = len(self.all(".answered .tools"))
        self.one("#question").send_keys(text, Keys.ENTER)
        self.until(lambda: len(self.all(".answered .tools")) > before, "an answer")

    def click(self, selector: str) -> None:
        """Click an element, in the middle of the window."""
        element = self.one(selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - what the script returns
        """Run a script in the page, as the browser's own console does."""
        return self.chrome.execute_script(script, *arguments)

    def appear(self, *, width: int = 1100, height: int = 800, scheme: str = "light") -> None:
        """Give the page the size of a window or phone, and light or dark colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def complaints(self) -> list[str]:
        """Return what the browser wrote to its console since the last time."""
        return self._log("browser")

    def requested(self) -> list[str]:
        """Return the addresses that the page asked for since the last time."""
        messages = [json.loads(each) for each in self._log("performance")]
        return [
            each["message"]["params"]["request"]["url"]
            for each in messages
            if each["message"]["method"] == "Network.requestWillBeSent"
        ]

    def _log(self, name: str) -> list[str]:
        entries = self.chrome.execute("getLog", {"type": name})["value"]
        return [str(each["message"]) for each in entries]


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Run a browser as long as the `with` block; skip the test where there is none."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("no Chromium here: install Debian's packages chromium and chromium-driver")
    options = ChromeOptions()
    options.binary_location = browser
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=Driver(driver))
    try:
        yield chrome
    finally:
        chrome.quit()
