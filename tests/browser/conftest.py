"""A real browser, Debian's Chromium, in front of the deployed stack's demo page.

Without a Chromium these tests are skipped, and the end of the run says so in so many words;
with REQUIRE_BROWSER=1 (as `make test-browser` and CI set it) they fail instead.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import NO_CHROMIUM, chromium_path, open_browser
from tests.browser.demo_page import DemoPage
from wechat_kf_cli.stack.clients import SimulatorClient
from wechat_kf_cli.stack.state import StackInfo, StateDirectory
from wechat_kf_local import stack as local_stack

Visit = Callable[..., DemoPage]

TEST_DIRECTORY = ".local/test"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if chromium_path() is None and not os.environ.get("REQUIRE_BROWSER"):
        here = Path(__file__).parent
        for item in items:
            if here in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if chromium_path() is None:
        terminalreporter.section("THE DEMO PAGE WAS NOT TESTED", red=True)
        terminalreporter.line(NO_CHROMIUM, red=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[StackInfo]:
    """The same one as for the end-to-end tests, brought up if it is not."""
    state = StateDirectory.from_environment({"LOCAL_DIR": TEST_DIRECTORY})
    found_up = local_stack.is_up(state)
    info = local_stack.up(state, local_stack.Progress())
    yield info
    if not found_up:
        local_stack.down(state)


# Not for the session: while Playwright runs, no other test of its process could use asyncio.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def visit(stack: StackInfo, browser: Browser) -> Iterator[Visit]:
    """Opens the page as a new visitor; in the end no fault is left on, and no script had failed."""
    visited: list[DemoPage] = []

    def open_page(**visitor: Any) -> DemoPage:
        visited.append(DemoPage.open(browser, stack, **visitor))
        return visited[-1]

    yield open_page
    for page in visited:
        page.turn_all_off()
        page.close()


@pytest.fixture
def page(visit: Visit) -> DemoPage:
    """The page as a visitor from Britain sees it."""
    return visit(locale="en-GB")


@pytest.fixture
def simulator(stack: StackInfo) -> SimulatorClient:
    return SimulatorClient(stack.simulator_url)
