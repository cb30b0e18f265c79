"""The page with more shops than fit, and what a merchant can do for itself there."""

from __future__ import annotations

import re
import uuid
from contextlib import suppress
from typing import Any

import pytest
import requests
from playwright.sync_api import Locator, Route, expect

from tests.browser.conftest import Visit
from tests.browser.demo_page import TO_BUYER, TO_SHOP, DemoPage
from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient
from wechat_kf_cli.stack.state import StackInfo

WIDE = {"width": 1440, "height": 900}
PAUSE_TAKES_MS = 4_000
"""A worker that delivers believes what it read of a subscription for three seconds."""


def many(number: int) -> Any:
    """A handler that adds shops to what the API lists, a hundred a page."""
    added = [
        {
            "business_id": str(90_000 + one),
            "account_name": f"bulk_{one:03}",
            "nickname": f"店铺 {one:03}",
            "status": "active",
            "icon_url": "",
            "external_id": None,
        }
        for one in range(number)
    ]

    def handle(route: Route) -> None:
        found = re.search(r"cursor=added(\d+)", route.request.url)
        start = int(found[1]) if found else 0
        items = added[start : start + 100]
        if not found:
            items = [*route.fetch().json()["items"], *items]
        more = f"added{start + 100}" if start + 100 < number else None
        route.fulfill(json={"items": items, "next_cursor": more})

    return handle


@pytest.mark.parametrize("number", [120, 500])
@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_however_many_shops_there_are_the_page_stays_in_view(
    number: int, locale: str, visit: Visit
) -> None:
    page = visit(locale=locale, viewport=WIDE)
    page.page.route("**/api/merchants?limit=100*", many(number))
    page.page.reload()
    expect(page.desk.locator("#desk-shop option")).to_have_count(number + 2)

    # Then the demo's shops come first, and both halves are above the fold
    expect(page.shops.nth(0)).to_contain_text(re.compile("Yunling|Qinghe"))
    for part in (page.phone, page.desk):
        box = part.bounding_box()
        assert box
        assert box["y"] + box["height"] < WIDE["height"]

    # And any other is found by its name, its id, its account name, or by scrolling
    last = f"店铺 {number - 1:03}"
    for words in (last, str(90_000 + number - 1), f"bulk_{number - 1:03}"):
        page.page.locator("#shop-search").fill(words)
        expect(page.shops).to_have_count(1)
        expect(page.shops).to_contain_text(last)
    page.page.locator("#shop-search").fill("")
    few = page.shops.count()
    page.page.locator("#shops").evaluate("(list) => list.scrollTo(0, list.scrollHeight)")
    expect(page.shops.nth(few)).to_be_attached()

    # And nothing of it is in a screen reader's or a weak eye's way
    page.check_accessibility()


def test_a_shop_that_nobody_subscribed_says_so_and_can_be(
    page: DemoPage, simulator: SimulatorClient, stack: StackInfo
) -> None:
    name = f"未订阅{uuid.uuid4().hex[:4]}"
    wanted = {"account_name": f"page_{uuid.uuid4().hex[:8]}", "nickname": name}
    simulator.call("POST", "/_sim/merchants", wanted)
    assert ApiClient.of(stack).post("/merchants/sync", {}).ok
    page.page.reload()
    page.desk.locator("#desk-shop").select_option(label=name)

    page.desk.get_by_role("button", name="Deliver them to this page").click()
    expect(page.desk.get_by_text("has no subscription")).to_be_hidden()
    page.shops.filter(has_text=name).click()
    page.say("Does it arrive?")
    expect(page.shop_sees).to_contain_text("Does it arrive?")


def test_the_journal_survives_a_reload_and_its_times_never_run_backwards(
    page: DemoPage, visit: Visit
) -> None:
    page.contact()
    words = f"Journal {uuid.uuid4().hex[:8]}"
    page.say(words)
    expect(page.last_trace).to_contain_text(words)
    page.expect_hops(page.trace(words), TO_SHOP)
    shown = page.trace(words).locator(".hop-time").all_inner_texts()

    page.page.reload()
    second = visit(locale="en-GB")
    for one in (page, second):
        trace = one.traces.filter(has_text=words)
        expect(trace.locator(".hop.done")).to_have_count(TO_SHOP)
        assert trace.locator(".hop-time").all_inner_texts() == shown
    times = [milliseconds(text) for text in shown]
    assert times == sorted(times)
    assert times[0] == 0


def test_a_connection_that_breaks_doubles_nothing_in_the_journal(page: DemoPage) -> None:
    page.contact()
    words = f"Once {uuid.uuid4().hex[:8]}"
    page.say(words)
    expect(page.last_trace).to_contain_text(words)
    page.expect_hops(page.trace(words), TO_SHOP)

    connections = []

    def answer_and_hang_up(route: Route) -> None:
        connections.append(route)
        kept = b"retry: 100\n\n" + read_for_a_second(f"{page.url}/live")
        route.fulfill(body=kept, content_type="text/event-stream")

    page.page.route("**/live", answer_and_hang_up)
    page.page.reload()
    trace = page.traces.filter(has_text=words)
    expect(trace).to_have_count(1)
    while len(connections) < 3:
        page.page.wait_for_timeout(100)
    expect(trace).to_have_count(1)
    expect(trace.locator(".hop.done")).to_have_count(TO_SHOP)


def read_for_a_second(url: str) -> bytes:
    """Read what a stream has at once; it is silent afterwards."""
    got = b""
    with suppress(requests.ConnectionError), requests.get(url, stream=True, timeout=1) as answer:
        for piece in answer.iter_content(None):
            got += piece
    return got


def milliseconds(text: str) -> float:
    found = re.fullmatch(r"\+([\d.]+) (ms|s)", text)
    assert found, text
    return float(found[1]) * (1 if found[2] == "ms" else 1000)


def test_a_hop_shows_the_thing_itself(page: DemoPage) -> None:
    page.contact()
    page.say("What moves?")
    expect(page.last_trace).to_contain_text("What moves?")
    question = page.trace("What moves?")
    page.expect_hops(question, TO_SHOP)

    def shown(trace: Locator, hop: str) -> str:
        trace.get_by_role("button", name=hop).click()
        text = page.page.locator("#thing").inner_text()
        page.page.keyboard.press("Escape")
        return text

    pushed = shown(question, "Push")
    assert "msg_signature=" in pushed
    assert "<Encrypt>" in pushed
    assert "What moves?" in pushed
    delivered = shown(question, "Delivered")
    assert "webhook-signature" in delivered
    assert "wechat.kf.message.received" in delivered

    expect(page.answer("This does")).to_contain_text("Sent")
    expect(page.last_trace).to_contain_text("This does")
    answer = page.trace("This does")
    page.expect_hops(answer, TO_BUYER)
    call = shown(answer, "Desk")
    assert "wechat-kf sign POST /merchants/" in call
    assert "Idempotency-Key" in call
    exchange = shown(answer, "WeChat answered")
    assert "access_token=" not in exchange.replace("access_token=…", "")
    assert "POST /cgi-bin/message/custom/business/send?access_token=…" in exchange
    assert "This does" in exchange
    assert '"errcode":0' in exchange
    assert "attempt begun" in shown(answer, "Claimed")


def test_a_merchant_helps_itself(page: DemoPage) -> None:
    page.contact("Qinghe")
    page.open_tab("The merchant’s window")
    window = page.page.locator("#subscriptions")
    state = window.locator(".facts")
    expect(state).to_contain_text("active")

    # When the merchant pauses, a message waits; when it resumes, it arrives
    window.get_by_role("button", name="Pause").click()
    expect(state).to_contain_text("paused")
    page.page.wait_for_timeout(PAUSE_TAKES_MS)
    page.say("Anybody?")
    expect(page.last_trace).to_contain_text("Anybody?")
    expect(page.shop_sees).not_to_contain_text("Anybody?")
    window.get_by_role("button", name="Resume").click()
    expect(page.shop_sees).to_contain_text("Anybody?")

    # And a test event, the attempts and a new secret are a click away
    window.get_by_role("combobox").select_option("wechat.kf.message.failed")
    window.get_by_role("button", name="Send a test event").click()
    window.get_by_role("button", name="Failed attempts").click()
    expect(page.page.locator("#thing")).to_contain_text("Failed attempts")
    page.page.keyboard.press("Escape")
    expect(page.page.locator("#trouble")).to_be_hidden()


def test_a_campaign_goes_to_all_while_a_conversation_goes_on(page: DemoPage) -> None:
    page.contact()
    page.open_tab("A campaign")
    page.page.get_by_label("Message to all of them").fill("Spring tea is here")
    page.page.locator("#campaign-start").click()
    page.say("And now?")
    expect(page.shop_sees).to_contain_text("And now?")
    expect(page.answer("Here I am")).to_contain_text("Sent")

    expect(page.page.locator("#campaign-said")).to_contain_text("10 of 10 settled")
    expect(page.page.locator("#campaign-said")).to_contain_text("10 sent")
    expect(page.page.locator("#campaign-recipients li[data-status=sent]")).to_have_count(10)


def test_question_and_answer_show_their_rows(page: DemoPage) -> None:
    page.contact()
    page.say("Is it stored?")
    expect(page.shop_sees).to_contain_text("Is it stored?")
    question = page.trace("Is it stored?")
    page.expect_hops(question, TO_SHOP)
    question.get_by_role("button", name="Delivered").click()
    expect(page.page.locator("#thing")).to_contain_text("The row as DynamoDB stores it")
    page.page.keyboard.press("Escape")
    expect(page.answer("It is")).to_contain_text("Sent")
    expect(page.last_trace).to_contain_text("It is")
    page.last_trace.get_by_role("button", name="API answered").click()
    expect(page.page.locator("#thing")).to_contain_text("The row as DynamoDB stores it")
    expect(page.page.locator("#thing")).to_contain_text("It is")


def test_on_a_phone_question_and_answer_are_in_view_together(visit: Visit) -> None:
    page = visit(locale="en-GB", viewport={"width": 390, "height": 844})
    page.contact()
    page.say("Both in view?")
    expect(page.shop_sees).to_contain_text("Both in view?")
    answer = page.answer("Both")
    expect(answer).to_contain_text("Sent")

    page.phone.evaluate("(phone) => phone.scrollIntoView()")
    for bubble in (page.buyer_sees.get_by_text("Both in view?"), answer):
        box = bubble.bounding_box()
        assert box
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 844
