"""A visitor plays buyer and shop on the demo page."""

import uuid

from playwright.sync_api import expect

from tests.browser.demo_page import TO_BUYER, TO_BUYER_BY_PROGRAM, TO_SHOP, DemoPage
from wechat_kf_cli.stack.clients import ApiClient
from wechat_kf_cli.stack.state import StackInfo


def test_a_conversation_goes_both_ways(page: DemoPage) -> None:
    # Given a buyer who contacts a shop
    page.contact()

    # When both write
    page.say("Is the spring tea there? 🍵")
    expect(page.shop_sees).to_contain_text("Is the spring tea there? 🍵")
    answer = page.answer("Yes, since this morning")

    # Then each sees the other's words, and the shop sees that its answer was sent
    expect(page.buyer_sees).to_contain_text("Yes, since this morning")
    expect(answer).to_contain_text("Sent")
    expect(page.phone.locator("#window")).to_contain_text("can still send 4 of 5")


def test_the_path_of_both_messages_is_shown_with_times(page: DemoPage) -> None:
    page.contact()
    page.say("Which way?")
    expect(page.last_trace).to_contain_text("Which way?")
    question = page.trace("Which way?")
    page.expect_hops(question, TO_SHOP)
    expect(question).to_contain_text("signature verified")

    page.answer("This way")

    expect(page.last_trace).to_contain_text("This way")
    answer = page.trace("This way")
    page.expect_hops(answer, TO_BUYER)
    for time in answer.locator(".hop-time").all():
        assert time.inner_text().startswith("+")


def test_the_answer_of_a_program_is_followed_too(page: DemoPage, stack: StackInfo) -> None:
    page.contact()
    page.say("Is anybody there?")
    expect(page.shop_sees).to_contain_text("Is anybody there?")
    shop = page.desk.locator("#desk-shop").input_value()
    openid = page.phone.locator("#buyer").input_value()

    words = f"A robot is {uuid.uuid4().hex[:8]}"
    answer = {"openid": openid, "message": {"type": "text", "text": words}}
    ApiClient.of(stack).post(f"/merchants/{shop}/messages", answer).raise_for_status()

    expect(page.buyer_sees).to_contain_text(words)
    trace = page.trace(words)
    expect(trace.locator(".hop")).to_have_count(TO_BUYER_BY_PROGRAM)
    page.expect_hops(trace, TO_BUYER_BY_PROGRAM)


def test_the_buyer_sees_that_the_shop_is_typing(page: DemoPage) -> None:
    page.contact()
    page.say("Hello?")
    expect(page.shop_sees).to_contain_text("Hello?")

    page.desk.get_by_role("textbox").press_sequentially("Hm")

    expect(page.phone.get_by_text("typing …")).to_be_visible()


def test_pictures_and_a_card_arrive(page: DemoPage) -> None:
    page.contact()

    page.phone.get_by_role("button", name="Picture").click()
    page.page.get_by_role("dialog").get_by_role("button", name="Parcel").click()
    from_buyer = page.shop_sees.get_by_role("img", name="Picture from Buyer")
    expect(from_buyer).to_have_js_property("naturalWidth", 480)  # through the API's GET /media

    page.phone.get_by_role("button", name="Product card").click()
    expect(page.shop_sees).to_contain_text("Spring tea, 50 g tin")

    page.desk.get_by_role("button", name="Picture").click()
    page.page.get_by_role("dialog").get_by_role("button", name="Tea").click()
    from_shop = page.buyer_sees.get_by_role("img", name="Yunling")
    expect(from_shop).to_have_js_property("naturalWidth", 480)


def test_an_answer_beyond_the_window_fails_and_says_why(page: DemoPage) -> None:
    # Given a buyer who only entered: WeChat allows two messages
    page.contact("Qinghe")
    for text in ("first", "second"):
        expect(page.answer(text)).to_contain_text("Sent")
    expect(page.phone.locator("#window")).to_contain_text("has used up its messages")

    # When the shop sends a third
    third = page.answer("third")

    # Then it failed with WeChat's code, and the buyer never saw it
    expect(third).to_contain_text("Failed")
    expect(third).to_contain_text("(45047)")
    expect(page.buyer_sees).not_to_contain_text("third")


def test_the_conversation_is_still_there_after_a_reload(page: DemoPage) -> None:
    page.contact()
    page.say("Do you remember me?")
    expect(page.shop_sees).to_contain_text("Do you remember me?")
    expect(page.answer("Of course")).to_contain_text("Sent")

    page.page.reload()
    page.desk.locator("#buyers button").first.click()

    texts = page.shop_sees.locator(".bubble")
    expect(texts).to_have_text(["Do you remember me?", "Of course"])
    page.shops.filter(has_text="Yunling").click()
    expect(page.buyer_sees.locator(".bubble")).to_have_text(["Do you remember me?", "Of course"])


def test_several_buyers_are_kept_apart(page: DemoPage) -> None:
    page.contact()
    page.say("I am the first")
    expect(page.shop_sees).to_contain_text("I am the first")

    page.phone.get_by_role("button", name="Another buyer").click()
    page.shops.filter(has_text="Yunling").click()
    page.say("I am the second")

    unread = page.desk.locator("#buyers button").filter(has_text="I am the second")
    expect(unread).to_contain_text("1 unread")
    expect(page.shop_sees).not_to_contain_text("I am the second")
    unread.click()
    expect(page.shop_sees).to_contain_text("I am the second")
