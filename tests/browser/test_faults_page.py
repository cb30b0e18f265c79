"""What the demo page shows when something goes wrong, and that nothing gets lost."""

import re

from playwright.sync_api import expect

from tests.browser.demo_page import DemoPage


def test_a_line_cut_after_sending_is_unknown_and_resent_only_on_request(page: DemoPage) -> None:
    page.contact()
    page.say("Are you there?")
    expect(page.shop_sees).to_contain_text("Are you there?")
    page.turn("The connection breaks after sending")

    answer = page.answer("Yes, here")

    expect(answer).to_contain_text("Unknown")
    expect(page.buyer_sees.get_by_text("Yes, here", exact=True)).to_have_count(1)
    page.expect_hops(page.trace("Yes, here"), 3, "doubt")

    page.turn("The connection breaks after sending")
    answer.get_by_role("button", name="Send again").click()
    expect(answer).to_contain_text("Sent")
    expect(page.buyer_sees.get_by_text("Yes, here", exact=True)).to_have_count(2)


def test_while_wechat_is_busy_an_answer_waits_and_then_arrives(page: DemoPage) -> None:
    page.contact()
    page.turn("WeChat is busy")

    answer = page.answer("Patience")

    # The third pause is of 30 s, and is counted down.
    expect(answer).to_contain_text(re.compile(r"Attempt 3 failed, the next one within 2[0-8]"))
    expect(page.last_trace).to_contain_text("busy (−1)")
    expect(page.buyer_sees).not_to_contain_text("Patience")
    page.turn("WeChat is busy")
    expect(answer).to_contain_text("Sent")
    expect(page.buyer_sees).to_contain_text("Patience")


def test_a_slow_wechat_only_takes_longer(page: DemoPage) -> None:
    page.contact()
    page.turn("WeChat is slow")

    answer = page.answer("Slowly")

    expect(answer).to_contain_text("Sent")
    expect(page.last_trace).to_contain_text("slow")


def test_a_subscriber_that_is_down_gets_everything_later_in_order(page: DemoPage) -> None:
    page.contact()
    page.turn("The merchant’s system is down")
    expect(page.page.get_by_role("switch", name="The merchant’s system is down")).to_be_checked()

    page.say("one")
    expect(page.last_trace).to_contain_text("returned 503, will retry")
    page.say("two")
    expect(page.last_trace).to_contain_text("two")
    expect(page.shop_sees.locator(".bubble")).to_have_count(0)

    page.turn("The merchant’s system is down")
    expect(page.shop_sees.locator(".bubble")).to_have_text(["one", "two"])


def test_a_killed_token_is_renewed_and_the_answer_sent(page: DemoPage) -> None:
    page.contact()

    page.page.get_by_role("button", name="Invalidate the access token").click()
    expect(page.page.get_by_text("Invalidated. The next call will refresh it.")).to_be_visible()
    answer = page.answer("With a new token")

    expect(answer).to_contain_text("Sent")
    expect(page.buyer_sees).to_contain_text("With a new token")
    expect(page.page.get_by_text("A new access token was fetched").first).to_be_visible()
