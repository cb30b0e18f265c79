"""Play one conversation end to end: buyer → merchant's system → buyer's phone.

Starts the stack if it is down, and stops it again at Ctrl-C, or right after the walk.
"""

import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import requests

from wechat_kf_cli.stack.clients import (
    ApiClient,
    NothingFoundError,
    PushRefusedError,
    ReceiverClient,
    SimulatorClient,
    wait_until,
)
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StackInfo, StateDirectory
from wechat_kf_local import function_logs, stack
from wechat_kf_local.png import plain_png
from wechat_kf_local.stack import Progress

PATIENCE_SECONDS = 20.0
OUTCOMES = ("message.sent", "message.failed", "message.unknown")
QUESTION_XML = "你好，这件外套还有 L 码吗？🧥😊"
QUESTION_JSON = "另外，今天能发货吗？🚚"
ANSWER = "亲，L 码有货，今天下单今天发出 🎁"


class StepError(Exception):
    """A step did not see what was expected."""


FAILURES = (StepError, NothingFoundError, PushRefusedError, requests.RequestException)


ICON = base64.b64encode(plain_png(rgb=(176, 31, 54))).decode()
"""A red square."""


@dataclass(slots=True)
class Walk:
    """The steps in order, and the values that one step leaves for the next."""

    info: StackInfo
    report: Callable[[str], None]
    business_id: str = ""
    location: str = ""
    hook: str = field(default_factory=lambda: f"shop-{secrets.token_hex(4)}")
    openid: str = field(default_factory=lambda: f"o{secrets.token_hex(8)}")
    nickname: str = "山茶外套旗舰店"

    def run(self) -> None:
        """Run all steps.

        Raises:
            StackError: a step failed; the message says which and why.
        """
        steps: tuple[tuple[str, Callable[[], str]], ...] = (
            ("verify the push URL", self._verify_url),
            ("register a merchant", self._register),
            ("subscribe a webhook", self._subscribe),
            ("enter a conversation", self._enter),
            ("push an encrypted XML text", self._ask_in_xml),
            ("push an encrypted JSON text", self._ask_in_json),
            ("reply over the API", self._answer),
            ("show the reply on the phone", self._show),
            ("read the status", self._settle),
            ("refuse a wrong signature", self._refuse_wrong_signature),
            ("refuse a broken body", self._refuse_broken_body),
            ("refuse an unsigned call", self._refuse_unsigned_call),
            ("explain a bad body", self._explain_bad_body),
        )
        for name, step in steps:
            try:
                self.report(step())
            except FAILURES as error:
                raise StackError(f"step “{name}”: {error}") from None

    @property
    def _api(self) -> ApiClient:
        return ApiClient.of(self.info)

    @property
    def _buyer(self) -> SimulatorClient:
        return SimulatorClient(self.info.simulator_url)

    @property
    def _merchant(self) -> ReceiverClient:
        return ReceiverClient(self.info.receiver_url)

    def _verify_url(self) -> str:
        if not self._buyer.verify_url():
            raise StepError("the echo is not what WeChat expects")
        return "WeChat verified the push URL"

    def _register(self) -> str:
        account_name = f"shop_{secrets.token_hex(4)}"
        body = {"account_name": account_name, "nickname": self.nickname, "icon": ICON}
        merchant = _expect(self._api.post("/merchants", body), 201)
        self.business_id = merchant["business_id"]
        return f"merchant {account_name} registered with its icon: business id {self.business_id}"

    def _subscribe(self) -> str:
        target = {"type": "webhook", "url": self._merchant.hook(self.hook)}
        path = f"/merchants/{self.business_id}/subscriptions"
        subscription = _expect(self._api.post(path, {"target": target}), 201)
        self._merchant.configure(self.hook, secret=subscription["secret"])
        return "merchant's webhook subscribed; its secret is shown only once"

    def _enter(self) -> str:
        self._buyer.enter(self.openid, self.business_id, mode="secure", format="xml")
        event = self._receive("wechat.kf.session.entered")
        return f"buyer {self.openid} entered; webhook received {event['type']}"

    def _ask_in_xml(self) -> str:
        return self._ask(QUESTION_XML, "xml")

    def _ask_in_json(self) -> str:
        return self._ask(QUESTION_JSON, "json")

    def _ask(self, text: str, form: str) -> str:
        start = time.monotonic()
        self._buyer.say(self.openid, self.business_id, text, mode="secure", format=form)
        self._receive("wechat.kf.message.received", text)
        took = time.monotonic() - start
        return f"「{text}」 as encrypted {form.upper()}; webhook verified {took:.1f} s later"

    def _receive(self, event_type: str, text: str | None = None) -> dict[str, Any]:
        """Wait for the event at the webhook, its signature verified by `standardwebhooks`."""

        def find_event() -> dict[str, Any] | None:
            for request in self._merchant.received(self.hook):
                if not request["verified"]:
                    raise StepError("the webhook's signature does not verify")
                event: dict[str, Any] = json.loads(request["body"])
                if event["type"] == event_type and (text is None or _says(event, text)):
                    return event
            return None

        return wait_until(find_event, PATIENCE_SECONDS, f"{event_type} at the webhook")

    def _answer(self) -> str:
        body = {"openid": self.openid, "message": {"type": "text", "text": ANSWER}}
        key = {"Idempotency-Key": secrets.token_hex(8)}
        response = self._api.post(f"/merchants/{self.business_id}/messages", body, key)
        message = _expect(response, 202)
        self.location = response.headers["Location"]
        return f"reply accepted (SigV4, 202): message {message['message_id']}"

    def _show(self) -> str:
        def find_message() -> dict[str, Any] | None:
            phone = self._buyer.messages(self.openid)
            return next((message for message in phone if message["text"] == ANSWER), None)

        message = wait_until(find_message, PATIENCE_SECONDS, "reply on the buyer's phone")
        if message["nickname"] != self.nickname:
            raise StepError(f"the phone shows it under {message['nickname']}")
        return f"the buyer's phone shows 「{ANSWER}」 from {message['nickname']}"

    def _settle(self) -> str:
        def read_settled() -> dict[str, Any] | None:
            message = _expect(self._api.get(self.location), 200)
            return message if message["status"] in ("sent", "failed", "unknown") else None

        status = wait_until(read_settled, PATIENCE_SECONDS, "settled status")["status"]
        if status != "sent":
            raise StepError(f"the status is {status}")
        return "status: sent"

    def _refuse_wrong_signature(self) -> str:
        body = json.dumps({"ToUserName": "gh_forged", "Encrypt": "QUFBQUFBQUFBQUFBQUFBQQ=="})
        return f"push with a wrong signature: {self._push(body.encode())}, nothing queued"

    def _refuse_broken_body(self) -> str:
        return f"push with a broken body: {self._push(b'<xml><Encrypt><![CDATA[')}, nothing queued"

    def _push(self, body: bytes) -> int:
        """Send a bad push, check that it produces no event, and return its status."""
        before = self._count_pushed_events()
        query = {"timestamp": str(int(time.time())), "nonce": "1", "encrypt_type": "aes"}
        query |= {"signature": "0" * 40, "msg_signature": "0" * 40, "openid": self.openid}
        response = requests.post(self.info.push_url, params=query, data=body, timeout=10)
        if response.status_code not in (400, 403) or "Traceback" in response.text:
            raise StepError(f"answered {response.status_code}: {response.text[:200]}")
        # Order is kept: an event of the refused push would arrive before this one.
        self._ask(f"还在吗？{secrets.token_hex(4)}", "xml")
        if self._count_pushed_events() != before + 1:
            raise StepError("it produced an event")
        return response.status_code

    def _count_pushed_events(self) -> int:
        """Count the webhook's events of pushes; outcomes of sends may still arrive."""
        events = [json.loads(one["body"]) for one in self._merchant.received(self.hook)]
        return sum(not event["type"].endswith(OUTCOMES) for event in events)

    def _refuse_unsigned_call(self) -> str:
        url = f"{self.info.api_url}/merchants/{self.business_id}"
        response = requests.get(url, timeout=10)
        if response.status_code != 403:
            raise StepError(f"answered {response.status_code}")
        return "unsigned API call: 403"

    def _explain_bad_body(self) -> str:
        response = self._api.post(
            f"/merchants/{self.business_id}/messages", {"openid": self.openid}
        )
        problem = _expect(response, 400)
        media_type = response.headers["Content-Type"]
        if media_type != "application/problem+json" or problem.get("field") != "message":
            raise StepError(f"answered {media_type}: {problem}")
        return f"invalid API body: 400, problem JSON naming the field “{problem['field']}”"


def _expect(response: requests.Response, status: int) -> dict[str, Any]:
    if response.status_code != status:
        raise StepError(f"answered {response.status_code}, not {status}: {response.text[:300]}")
    body: dict[str, Any] = response.json()
    return body


def _says(event: dict[str, Any], text: str) -> bool:
    return text in event["data"].get("message", {}).values()


def run(*, once: bool) -> int:
    """Bring the stack up, walk, and stay until Ctrl-C, or end at `once`; return the exit status."""
    return stack.run_command(StateDirectory.from_environment(), partial(_run, once=once))


def _run(state: StateDirectory, *, once: bool) -> int:
    progress = Progress()
    was_up = stack.is_up(state)
    info = stack.up(state, progress)
    try:
        Walk(info, progress).run()
        if not once:
            stack.print_status(state)
            print(f"demo page: {info.page_url}")
            print("the stack runs until you press Ctrl-C", flush=True)
            _wait_while_up(state)
    except StackError:
        if stack.is_up(state):
            function_logs.save(state, info)  # they would be lost with the stack
        raise
    finally:
        if not was_up:
            stack.down(state)
    return 0


def _wait_while_up(state: StateDirectory) -> None:
    try:
        while stack.is_up(state):
            time.sleep(1)
    except KeyboardInterrupt:
        return
    raise StackError("a part of the stack has stopped")
