"""Page object of the demo page, by what a visitor can see and name."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import requests
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient
from wechat_kf_cli.stack.state import StackInfo

PATIENCE_MS = 45_000
"""A cold function on a busy machine takes seconds."""
LOGGED_AFTER_MS = 5_000
"""After this long without a function's line, others talk to have it handed over."""
NUDGES = 5
TO_SHOP, TO_BUYER, TO_BUYER_BY_PROGRAM = 6, 7, 5
"""How many hops a message has; no page sees the request of a program."""
SWITCHES = ("busy", "slow", "cut", "subscriber_down")

expect.set_options(timeout=PATIENCE_MS)


@dataclass(slots=True)
class DemoPage:
    """One open page. `problems` collects what its console said."""

    page: Page
    context: BrowserContext
    stack: StackInfo
    problems: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, browser: Browser, stack: StackInfo, **visitor: Any) -> "DemoPage":
        """`visitor`: locale, viewport, color_scheme … of a browser used for the first time."""
        context = browser.new_context(**visitor)
        context.set_default_timeout(PATIENCE_MS)
        opened = cls(context.new_page(), context, stack)
        opened.page.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.page.on("console", lambda message: opened.hear(message.type, message.text))
        opened.page.goto(stack.page_url)
        expect(opened.shops).not_to_have_count(0)
        return opened

    def hear(self, kind: str, text: str) -> None:
        """What the console said. Refused requests are logged too: those are the tests' doing."""
        if kind == "error" and "Failed to load resource" not in text:
            self.problems.append(text)

    @property
    def url(self) -> str:
        return self.stack.page_url

    def close(self) -> None:
        """Raises AssertionError when a script failed or the content policy was broken."""
        self.context.close()
        assert self.problems == []

    def check_accessibility(self) -> None:
        """Raises AssertionError, with axe's report, when it objects to what is shown."""
        found = Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()

    def turn_all_off(self) -> None:
        positions = dict.fromkeys(SWITCHES, False)
        requests.put(f"{self.url}/demo/switches", json=positions, timeout=60).raise_for_status()

    @property
    def phone(self) -> Locator:
        return self.page.locator("#phone")

    @property
    def desk(self) -> Locator:
        return self.page.locator("#desk")

    @property
    def shops(self) -> Locator:
        return self.page.locator("#shops button")

    @property
    def buyer_sees(self) -> Locator:
        return self.phone.get_by_role("log")

    @property
    def shop_sees(self) -> Locator:
        return self.desk.get_by_role("log")

    @property
    def traces(self) -> Locator:
        return self.page.locator("#traces > .trace")

    @property
    def last_trace(self) -> Locator:
        return self.traces.first

    def trace(self, words: str) -> Locator:
        """The newest one of a message with these words."""
        return self.traces.filter(has_text=words).first

    def expect_hops(self, trace: Locator, number: int, state: str = "done") -> None:
        """Wait until so many hops of a message have this state.

        Some are lines that a function logged. The emulator waits 5 ms for another line when an
        invocation has ended; on a busy machine the rest comes with the function's next one.
        """
        hops = trace.locator(f".hop.{state}")
        for _ in range(NUDGES):
            with suppress(AssertionError):
                expect(hops).to_have_count(number, timeout=LOGGED_AFTER_MS)
                return
            self._talk_aside()
        expect(hops).to_have_count(number)

    def _talk_aside(self) -> None:
        """Invoke what a message passes, by another one in a conversation of its own."""
        shop, buyer = self.desk.locator("#desk-shop").input_value(), "o-aside"
        SimulatorClient(self.stack.simulator_url).say(buyer, shop, "By the way")
        answer = {"openid": buyer, "message": {"type": "text", "text": "Quite so"}}
        ApiClient.of(self.stack).post(f"/merchants/{shop}/messages", answer).raise_for_status()

    def contact(self, shop: str = "Yunling") -> None:
        """Open a shop's conversation as the buyer, and wait until the desk shows it."""
        self.shops.filter(has_text=shop).click()
        expect(self.shop_sees).to_contain_text("opened the conversation")

    def say(self, text: str) -> None:
        self.phone.get_by_role("textbox").fill(text)
        self.phone.get_by_role("textbox").press("Enter")

    def answer(self, text: str) -> Locator:
        """Send it from the desk; returns the message there, with its outcome."""
        self.desk.get_by_role("textbox").fill(text)
        self.desk.get_by_role("textbox").press("Enter")
        return self.shop_sees.locator(".message").filter(has_text=text).last

    def open_tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()

    def turn(self, name: str) -> None:
        self.page.get_by_role("switch", name=name).click()
