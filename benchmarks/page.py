"""Measure the demo page in a browser: what it loads, and when it can be used."""

from __future__ import annotations

from statistics import median

from playwright.sync_api import Browser, Page

from benchmarks.bench_stack import adopt_merchants
from benchmarks.measure import Section
from tests.browser.chromium import NO_CHROMIUM, chromium_path, open_browser
from wechat_kf_cli.stack.clients import ApiClient
from wechat_kf_cli.stack.state import StackInfo

MERCHANTS = (10, 121, 500)
ROUNDS = 5
WAIT_MS = 60_000

TITLE = "The demo page"
NOTE = (
    "The page of the local stack in Chromium, opened by a new visitor: what it loads until all "
    "shops are listed, when the first shop can be opened, and when all are there. Milliseconds "
    f"since the navigation began, medians of {ROUNDS} visits."
)
HEADER = ["merchants", "requests", "loaded", "first shop", "all shops"]

_LOADED = """() => {
  const all = ["navigation", "resource"].flatMap((type) => performance.getEntriesByType(type));
  return [performance.now(), all.length, all.reduce((sum, one) => sum + one.transferSize, 0)];
}"""


def measure_page(stack: StackInfo) -> Section:
    """Measure the page with few and with many merchants, which are added to the stack."""
    if chromium_path() is None:
        return Section(TITLE, f"Not measured: {NO_CHROMIUM}.", HEADER, [])
    rows = []
    with open_browser() as browser:
        for number in MERCHANTS:
            _add_merchants(stack, number)
            rows.append(_measure(browser, stack, number))
    return Section(TITLE, NOTE, HEADER, rows)


def _add_merchants(stack: StackInfo, number: int) -> None:
    """Register merchants with WeChat and adopt them until there are `number`."""
    api = ApiClient.of(stack)
    new = range(_count(api), number)
    names = [{"account_name": f"page_{one}", "nickname": f"店铺{one}"} for one in new]
    adopt_merchants(stack, names)
    found = _count(api)
    assert found == number, f"{found} merchants instead of {number}"


def _count(api: ApiClient) -> int:
    count, cursor = 0, ""
    while True:
        page = api.get(f"/merchants?limit=100{cursor}").json()
        count += len(page["items"])
        if not page["next_cursor"]:
            return count
        cursor = f"&cursor={page['next_cursor']}"


def _measure(browser: Browser, stack: StackInfo, number: int) -> list[str]:
    visits = [_visit(browser.new_page(), stack.page_url, number) for _ in range(ROUNDS)]
    first, all_there, requests, loaded = (median(column) for column in zip(*visits, strict=True))
    return [
        f"{number:,}",
        f"{requests:.0f}",
        f"{loaded / 1000:,.0f} kB",
        f"{first:,.0f} ms",
        f"{all_there:,.0f} ms",
    ]


def _visit(page: Page, url: str, number: int) -> tuple[float, float, float, float]:
    """Return the milliseconds until the first and until all shops; requests and bytes so far."""
    page.goto(url, wait_until="commit")
    page.locator("#shops button").first.wait_for(timeout=WAIT_MS)
    first: float = page.evaluate("performance.now()")
    page.locator("#desk-shop option").nth(number - 1).wait_for(state="attached", timeout=WAIT_MS)
    all_there, requests, loaded = page.evaluate(_LOADED)
    page.close()
    return first, all_there, requests, loaded
