"""The demo page in both languages, by keyboard, on narrow screens, in the dark, read aloud."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.demo_page import DemoPage

Visit = Callable[..., DemoPage]

NARROW = {"width": 320, "height": 640}


def test_the_browser_language_decides_and_a_choice_is_remembered(visit: Visit) -> None:
    page = visit(locale="zh-CN")
    expect(page.page.get_by_role("heading", name="买家的手机")).to_be_visible()
    expect(page.page.locator("html")).to_have_attribute("lang", "zh-CN")

    page.page.get_by_role("button", name="English").click()
    expect(page.page.get_by_role("heading", name="Buyer’s phone")).to_be_visible()
    expect(page.page.locator("html")).to_have_attribute("lang", "en")

    page.page.reload()
    expect(page.page.get_by_role("heading", name="Buyer’s phone")).to_be_visible()


def test_nothing_stays_untranslated_in_chinese(visit: Visit) -> None:
    page = visit(locale="zh-CN")
    page.shops.first.click()
    page.say("你好")
    expect(page.shop_sees).to_contain_text("你好")

    # The journal quotes what was written before, in whatever language.
    page.page.evaluate("document.querySelectorAll('.trace strong').forEach((one) => one.remove())")
    words = page.page.evaluate(
        "[...document.body.innerText.matchAll(/[A-Za-z][a-z’]+(?: [a-z’]+)+/g)].map(String)"
    )

    assert set(words) <= {"access token", "access token "}


def test_a_conversation_needs_no_mouse(page: DemoPage) -> None:
    keys = page.page.keyboard

    def tab_to(name: str) -> None:
        for _ in range(60):
            keys.press("Tab")
            focused = page.page.evaluate(
                "(({ariaLabel, innerText}) => ariaLabel ?? innerText)(document.activeElement)"
            )
            if name in focused:
                return
        raise AssertionError(f"Tab never reaches {name}")

    tab_to("Yunling")
    keys.press("Enter")
    expect(page.phone.get_by_role("textbox")).to_be_focused()
    keys.type("By keyboard")
    keys.press("Enter")
    expect(page.shop_sees).to_contain_text("By keyboard")
    tab_to("Reply to the buyer")
    outline = page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    keys.type("So do I")
    keys.press("Enter")
    expect(page.buyer_sees).to_contain_text("So do I")
    tab_to("Message path")
    moves = (("ArrowRight", "#subscriptions"), ("End", "#campaign"), ("ArrowRight", "#way"))
    for key, panel in moves:
        keys.press(key)
        expect(page.page.locator(panel)).to_be_visible()
    expect(page.page.locator("#campaign")).to_be_hidden()


def test_it_fits_a_narrow_screen(visit: Visit) -> None:
    page = visit(locale="en-GB", viewport=NARROW)
    page.contact()
    page.say("A rather long message from a rather narrow phone, on which nothing may stick out")
    expect(page.shop_sees).to_contain_text("nothing may stick out")
    expect(page.answer("Everything fits")).to_contain_text("Sent")

    assert page.page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
    for control in page.page.get_by_role("textbox").all():
        box = control.bounding_box()
        assert box is not None
        assert box["width"] > 100


@pytest.mark.parametrize("visitor", [{"color_scheme": "light"}, {"color_scheme": "dark"}], ids=str)
def test_axe_finds_nothing_to_object_to(visit: Visit, visitor: dict[str, Any]) -> None:
    page = visit(locale="en-GB", reduced_motion="reduce", **visitor)
    page.contact("Qinghe")
    page.say("Readable?")
    expect(page.shop_sees).to_contain_text("Readable?")
    page.turn("The connection breaks after sending")
    expect(page.answer("Perhaps")).to_contain_text("Unknown")

    for tab in ("Message path", "The merchant’s window", "A campaign"):
        page.open_tab(tab)
        page.check_accessibility()
