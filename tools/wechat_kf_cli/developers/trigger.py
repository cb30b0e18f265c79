"""The command `trigger`: make an event of a merchant happen, or send a test event of its type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import requests
import typer

from wechat_kf.domain.events import ANY_MERCHANT, MAIN_ACCOUNT, EventType
from wechat_kf_cli.options import Merchant, Profile, Region, StackName
from wechat_kf_cli.stack.clients import (
    ApiClient,
    NothingFoundError,
    PushRefusedError,
    SimulatorClient,
    content_of,
)
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StateDirectory
from wechat_kf_cli.stack.target import StackOptions, find_target

PREFIX = "wechat.kf."
SEND_PATH = "/cgi-bin/message/custom/"
BUYER = "oWechatKfTriggerBuyer0000001"
"""An OpenID that no buyer has: they are random."""

ShortType = StrEnum("ShortType", {one.name: one.removeprefix(PREFIX) for one in EventType})  # type: ignore[misc]


def trigger(  # noqa: PLR0913, PLR0917 - the options of the command
    event_type: Annotated[ShortType, typer.Argument(metavar="EVENT_TYPE", show_default=False)],
    merchant: Merchant,
    text: Annotated[str, typer.Option(help="What is written.")] = "你好，请问有货吗？",
    openid: Annotated[str, typer.Option(help="OpenID of the buyer.")] = BUYER,
    stack_name: StackName = None,
    region: Region = None,
    profile: Profile = None,
) -> int:
    """Make an event happen.

    On the local stack it happens: a buyer of the simulator writes or enters, by a signed and
    encrypted push, or an answer is sent that WeChat takes, refuses or loses. On a deployed stack,
    and for merchant.changed and subscription.…, each of the merchant's active subscriptions gets a
    test event of that type.
    """
    full_type = PREFIX + event_type
    target = find_target(StackOptions(stack_name, region, profile))
    api = target.api()
    try:
        if merchant not in (ANY_MERCHANT, MAIN_ACCOUNT):
            content_of(api.get(f"/merchants/{merchant}"))
        if target.emulated:
            simulator = SimulatorClient(StateDirectory.from_environment().read().simulator_url)
            cause = Cause(api, simulator, merchant, openid, text).of(full_type)
            if cause:
                print(cause())
                return 0
        print(_send_tests(api, merchant, full_type))
    except PushRefusedError as error:
        raise StackError(f"the stack did not take the push: {error.statuses}") from error
    except (requests.RequestException, NothingFoundError) as error:
        raise StackError(str(error)) from error
    return 0


@dataclass(frozen=True, slots=True)
class Cause:
    """What makes events happen on the local stack."""

    api: ApiClient
    simulator: SimulatorClient
    merchant: str
    openid: str
    text: str

    def of(self, event_type: str) -> Callable[[], str] | None:
        """Return what causes an event of that type; None when only a test event can be sent."""
        return {
            EventType.MESSAGE_RECEIVED: self._write,
            EventType.SESSION_ENTERED: self._enter,
            EventType.PUSH_UNKNOWN: self._push_unknown,
            EventType.MESSAGE_SENT: self._answer,
            EventType.MESSAGE_FAILED: lambda: self._answer("errcode:45047"),
            EventType.MESSAGE_UNKNOWN: lambda: self._answer("cut_after"),
        }.get(EventType(event_type))

    def _write(self) -> str:
        self.simulator.say(self.openid, self.merchant, self.text)
        return f"buyer {self.openid} wrote to merchant {self.merchant}"

    def _enter(self) -> str:
        self.simulator.enter(self.openid, self.merchant)
        return f"buyer {self.openid} entered the conversation with merchant {self.merchant}"

    def _push_unknown(self) -> str:
        fields = {"MsgType": "event", "Event": "wechat_kf_trigger"}
        order = {"business_id": self.merchant, "fields": fields}
        self.simulator.call("POST", f"/_sim/buyers/{self.openid}/other", order)
        return "WeChat pushed an event of an unknown type"

    def _answer(self, fault: str | None = None) -> str:
        """Answer the buyer, who has to enter first; `fault` is what WeChat makes of it."""
        self.simulator.say(self.openid, self.merchant, self.text)
        self.api.wait_for_conversation(self.merchant, self.openid)
        if fault:
            order = {"kind": fault, "match": SEND_PATH, "openid": self.openid, "times": 1}
            self.simulator.call("POST", "/_sim/faults", order)
        body = {"openid": self.openid, "message": {"type": "text", "text": self.text}}
        content_of(self.api.post(f"/merchants/{self.merchant}/messages", body))
        return f"merchant {self.merchant} answered buyer {self.openid}"


def _send_tests(api: ApiClient, merchant: str, event_type: str) -> str:
    path = f"/merchants/{merchant}/subscriptions"
    active = [one for one in content_of(api.get(path))["items"] if one["status"] == "active"]
    if not active:
        raise StackError(f"merchant {merchant} has no active subscription")
    for one in active:
        content_of(api.post(f"{path}/{one['subscription_id']}/test", {"event_type": event_type}))
    return f"a test event of type {event_type} for {len(active)} subscriptions"
