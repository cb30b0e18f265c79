"""The push receiver against the simulator: what is pushed opens, what is answered is judged."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from tests.contracts.simulator_process import APP_ID, running_simulator
from wechat_kf.wechat.crypto import BodyFormat, FrameCipher, Seal, seal_reply
from wechat_kf.wechat.push import Push, PushKeys, PushMode, PushOpener, PushRefusedError, Refusal

TOKEN = "pushtoken"
AES_KEY = "0123456789012345678901234567890123456789012"
BUYER = "oBuyer-of-the-push-tests"
AWKWARD_TEXT = "]]> <b>&amp; 👩‍👩‍👧 \\u4f60\n换行"


@dataclass
class Receiver:
    """Our push URL. `answers` are given in order, the last one from then on."""

    answers: list[tuple[int, bytes]] = field(default_factory=lambda: [(200, b"success")])
    requests: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def opened(self, mode: str, number: int = -1) -> Push:
        body, query = self.requests[number]
        keys = [PushKeys(TOKEN, AES_KEY)]
        return PushOpener(app_id=APP_ID, mode=PushMode(mode), keys=keys).open(body, query)


class _Handler(BaseHTTPRequestHandler):
    receiver: Receiver

    def do_GET(self) -> None:
        keys = [PushKeys(TOKEN, AES_KEY)]
        opener = PushOpener(app_id=APP_ID, mode=PushMode.SECURE, keys=keys)
        self._answer(200, opener.verify_url(self._query()).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.requests.append((body, self._query()))
        answers = self.receiver.answers
        self._answer(*(answers.pop(0) if len(answers) > 1 else answers[0]))

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def _query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.path).query))

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    handler = type("Handler", (_Handler,), {"receiver": receiver})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/push"
        yield receiver
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def simulator_url() -> Iterator[str]:
    with running_simulator("--push-token", TOKEN, "--encoding-aes-key", AES_KEY) as url:
        yield url


@dataclass(frozen=True)
class Buyer:
    """The buyer, with one sub-merchant to talk to."""

    url: str

    def control(self, method: str, path: str, document: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/_sim/{path}", json=document, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def does(self, act: str, business_id: str = "1", **order: Any) -> Any:
        return self.control("POST", f"buyers/{BUYER}/{act}", {"business_id": business_id, **order})

    def phone(self) -> list[tuple[str, str]]:
        items = self.control("GET", f"buyers/{BUYER}/messages")["items"]
        return [(item["sender"], item["text"]) for item in items]


@pytest.fixture
def buyer(simulator_url: str, receiver: Receiver) -> Buyer:
    buyer = Buyer(simulator_url)
    buyer.control("POST", "reset", {"settings": True})
    buyer.control("PUT", "config", {"push_url": receiver.url})
    buyer.control("POST", "merchants", {"account_name": "apple_shop", "nickname": "苹果旗舰店"})
    return buyer


@pytest.mark.parametrize("body_format", ["xml", "json"])
@pytest.mark.parametrize("mode", ["plain", "compatible", "secure"])
class TestEveryModeAndFormat:
    def test_a_text_arrives_unchanged(
        self, buyer: Buyer, receiver: Receiver, mode: str, body_format: str
    ) -> None:
        told = buyer.does("text", content=AWKWARD_TEXT, mode=mode, format=body_format)

        push = receiver.opened(mode)
        assert (push.openid, push.business_id, push.format) == (BUYER, "1", body_format)
        assert push.content["content"] == AWKWARD_TEXT
        assert push.message_id == told["msg_id"]
        assert int(told["msg_id"]) > 2**53
        assert told["accepted"]

    def test_a_picture_and_a_card_are_of_known_kinds(
        self, buyer: Buyer, receiver: Receiver, mode: str, body_format: str
    ) -> None:
        buyer.does("image", mode=mode, format=body_format)
        buyer.does("card", title="新款", page_path="pages/a?b=1", mode=mode, format=body_format)

        picture, card = receiver.opened(mode, 0), receiver.opened(mode, 1)
        assert requests.get(picture.content["picture_url"], timeout=5).content[1:4] == b"PNG"
        assert (card.content["title"], card.content["page_path"]) == ("新款", "pages/a?b=1")
        assert card.content["app_id"] == APP_ID

    def test_entering_tells_where_from_and_has_no_message_id(
        self, buyer: Buyer, receiver: Receiver, mode: str, body_format: str
    ) -> None:
        buyer.does("enter", session_from="商品页", mode=mode, format=body_format)

        push = receiver.opened(mode)
        assert (push.event, push.message_id) == ("user_enter_tempsession", None)
        assert push.content["session_from"] == "商品页"

    def test_the_main_account_is_zero(
        self, buyer: Buyer, receiver: Receiver, mode: str, body_format: str
    ) -> None:
        for spelling in ("absent", "zero", "empty"):
            buyer.control("PUT", "config", {"main_account_business_id": spelling})
            buyer.does("text", "0", content="在吗", mode=mode, format=body_format)

            assert receiver.opened(mode).business_id == "0"


def test_a_plain_push_is_refused_where_secure_ones_are_expected(
    buyer: Buyer, receiver: Receiver
) -> None:
    buyer.does("text", content="在吗", mode="plain")

    with pytest.raises(PushRefusedError) as refused:
        receiver.opened("secure")
    assert refused.value.refusal is Refusal.NOT_ENCRYPTED


def test_the_push_url_is_verified(buyer: Buyer) -> None:
    assert buyer.control("POST", "verify-url")["verified"] is True


def test_the_empty_body_is_as_good_as_success(buyer: Buyer, receiver: Receiver) -> None:
    receiver.answers = [(200, b"")]

    assert buyer.does("text", content="在吗")["accepted"] is True


@pytest.mark.parametrize("answer", [(500, b""), (200, b"ok"), (200, b'"success"')])
def test_after_three_bad_answers_the_phone_says_so(
    buyer: Buyer, receiver: Receiver, answer: tuple[int, bytes]
) -> None:
    receiver.answers = [answer]

    told = buyer.does("text", content="在吗")

    assert told["accepted"] is False
    assert len(told["attempts"]) == len(receiver.requests) == 3
    assert [sender for sender, _ in buyer.phone()] == ["buyer", "notice"]


def test_a_repeated_push_has_the_key_of_the_first(buyer: Buyer, receiver: Receiver) -> None:
    receiver.answers = [(500, b""), (200, b"success")]

    told = buyer.does("text", content="在吗")

    assert [attempt["status"] for attempt in told["attempts"]] == [500, 200]
    first, second = receiver.opened("secure", 0), receiver.opened("secure", 1)
    assert first.deduplication_key == second.deduplication_key
    assert buyer.phone() == [("buyer", "在吗")]


def test_a_doubled_push_has_one_key(buyer: Buyer, receiver: Receiver) -> None:
    buyer.control("POST", "faults", {"kind": "duplicate", "times": 1})

    buyer.does("text", content="在吗")
    buyer.control("POST", "idle")

    assert len(receiver.requests) == 2
    keys = {receiver.opened("secure", number).deduplication_key for number in (0, 1)}
    assert len(keys) == 1


def test_a_reordered_push_comes_after_its_successor(buyer: Buyer, receiver: Receiver) -> None:
    buyer.control("POST", "faults", {"kind": "reorder", "times": 1})

    assert buyer.does("text", content="一")["held"] is True
    buyer.does("text", content="二")
    buyer.control("POST", "idle")

    texts = [receiver.opened("secure", number).content["content"] for number in (0, 1)]
    assert texts == ["二", "一"]


@pytest.mark.parametrize("body_format", list(BodyFormat))
def test_our_sealed_transfer_is_understood(
    buyer: Buyer, receiver: Receiver, body_format: BodyFormat
) -> None:
    receiver.answers = [(200, _sealed_transfer(body_format))]

    first = buyer.does("text", content="转人工", format=body_format.value)
    second = buyer.does("text", content="还在吗", format=body_format.value)

    assert first["verdict"] == "transfer"
    # The agent has the conversation: nothing is pushed any more.
    assert second["transferred"] is True
    assert len(receiver.requests) == 1


def test_an_unsealed_transfer_is_bad_in_secure_mode(buyer: Buyer, receiver: Receiver) -> None:
    receiver.answers = [(200, _transfer(BodyFormat.JSON))]

    assert buyer.does("text", content="转人工", mode="secure")["accepted"] is False
    assert buyer.does("text", content="转人工", mode="plain")["accepted"] is True


def _transfer(body_format: BodyFormat) -> bytes:
    if body_format is BodyFormat.JSON:
        return b'{"MsgType":"transfer_customer_service"}'
    return b"<xml><MsgType><![CDATA[transfer_customer_service]]></MsgType></xml>"


def _sealed_transfer(body_format: BodyFormat) -> bytes:
    sealed = seal_reply(
        Seal(TOKEN, FrameCipher(AES_KEY, APP_ID)),
        _transfer(body_format).decode(),
        timestamp=1713424427,
        nonce="415670741",
        format=body_format,
    )
    return sealed.encode()
