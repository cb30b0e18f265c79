"""WeChat in process: the simulator's rules without its HTTP server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from tests.chaos.timeline import Timeline
from tests.chaos.weather import Crash, Weather
from wechat_kf.adapters.wechat.push_receiver import SUCCESS, PushReceiver
from wechat_kf.app_errors import UnavailableError
from wechat_kf.domain.clock import SECOND
from wechat_kf.wechat.encoding import encode_json
from wechat_kf.wechat.errors import TransportError
from wechat_kf.wechat.push import PushRefusedError
from wechat_kf.wechat.transport import Call, HttpReply, Transport
from wechat_kf_local.simulator.api.calls import Call as SimulatorCall
from wechat_kf_local.simulator.api.endpoints import Api
from wechat_kf_local.simulator.pushes import Fields, PushMaker, PushRequest
from wechat_kf_local.simulator.rules.conversations import Shown
from wechat_kf_local.simulator.world import World

SEND_PATHS = "/cgi-bin/message/custom/"
PUSH_TRIES = 3
TRY_AGAIN_MS = 5 * SECOND

FAULTS: tuple[Mapping[str, Any], ...] = (
    {"kind": "busy", "probability": 0.02},
    {"kind": "cut_before", "probability": 0.01},
    {"kind": "cut_after", "probability": 0.01},
    {"kind": "slow:6000", "probability": 0.001},
    {"kind": "http_500", "probability": 0.005},
    {"kind": "html", "probability": 0.005},
    {"kind": "wrong_content_type", "probability": 0.01},
    {"kind": "errcode:45011", "probability": 0.001},
)


class InProcessTransport(Transport):
    """A `Transport` that ends at the simulator's rules, with the faults ordered there."""

    def __init__(self, world: World, weather: Weather, pause: Callable[[int], None]) -> None:
        self._world = world
        self._weather = weather
        self._pause = pause
        self._api = Api(world)

    def send(self, call: Call) -> HttpReply:
        """One call, in which the worker may also die: before it left, or before its answer came."""
        return self._weather.step(
            lambda: self._exchange(call),
            lambda: TransportError(call.operation, sent="perhaps", reason="ReadTimeout"),
        )

    def _exchange(self, call: Call) -> HttpReply:
        operation = call.operation
        request = SimulatorCall(
            method=operation.method,
            path=operation.path,
            query=call.query,
            url=operation.path,
            body=encode_json(call.document or {}),
            client_ip="127.0.0.1",
            base_url="http://wechat.test",
        )
        faults = self._world.faults
        fault = faults.for_call(request.path, request.openid, request.business_id)
        kind = fault.kind if fault else ""
        if fault and kind in ("busy", "errcode"):
            reply = self._api.refuse(request, fault.value or 0, fault=kind)
            return HttpReply(reply.status, reply.body)
        if kind == "cut_before":
            raise TransportError(operation, sent="perhaps", reason="ConnectionError")
        if kind == "http_500":
            return HttpReply(500, b"")
        if kind == "html":
            return HttpReply(200, b"<html></html>")
        reply = self._api.answer(request, fault=kind or None)
        if fault and kind == "slow":
            self._pause(fault.value or 0)
        if kind in ("slow", "cut_after"):
            raise TransportError(operation, sent="perhaps", reason="ReadTimeout")
        return HttpReply(reply.status, reply.body)


@dataclass(slots=True)
class PushOrder:
    """One push of the script. `held_ms`: WeChat lets later ones overtake it for so long.

    `copies`: so many milliseconds after the first one, the very same request comes again.
    """

    business_id: str
    openid: str
    number: int
    event: bool = False
    held_ms: int = 0
    copies: tuple[int, ...] = ()
    event_id: str = ""
    acknowledged: bool = False
    at_first_try: bool = False


class Pushes:
    """WeChat's side of the pushes: three tries each, five seconds apart, until `success`."""

    def __init__(
        self, world: World, timeline: Timeline, receiver: Callable[[], PushReceiver], random: Random
    ) -> None:
        self._world = world
        self._timeline = timeline
        self._new_receiver = receiver
        self._receiver = receiver()
        self._random = random
        self._makers = [
            PushMaker(world.settings, mode="secure", body_format=name) for name in ("xml", "json")
        ]
        self._message_id = 22_923_519_871_373_703
        self.tries = 0
        self.refused: list[str] = []

    def push(self, order: PushOrder) -> None:
        """The buyer does it now; its pushes follow."""
        fields = self._fields(order)
        order.event_id = event_id_of(fields)
        self._open_window(order, fields)
        now_seconds = str(self._timeline.clock() // SECOND)
        nonce = str(self._random.getrandbits(31))
        request = self._random.choice(self._makers).make(fields, timestamp=now_seconds, nonce=nonce)
        first = partial(self._attempt, order, request, 1)
        if order.held_ms:
            self._timeline.after(order.held_ms, first)
        else:
            first()
        for delay_ms in order.copies:
            self._timeline.after(delay_ms, partial(self._attempt, order, request, PUSH_TRIES))

    def _attempt(self, order: PushOrder, request: PushRequest, number: int) -> None:
        self.tries += 1
        if self._answered(order, request):
            order.acknowledged = True
            order.at_first_try = order.at_first_try or number == 1
        elif number < PUSH_TRIES:
            self._timeline.after(TRY_AGAIN_MS, partial(self._attempt, order, request, number + 1))

    def _answered(self, order: PushOrder, request: PushRequest) -> bool:
        try:
            return self._receiver.receive(request.body, request.query).answer == SUCCESS
        except Crash:
            self._receiver = self._new_receiver()
        except UnavailableError:
            pass
        except PushRefusedError as error:
            self.refused.append(f"{order.event_id} {error.refusal}")
        return False

    def _fields(self, order: PushOrder) -> Fields:
        settings = self._world.settings
        fields: Fields = {
            "ToUserName": settings.original_id,
            "FromUserName": order.openid,
            "CreateTime": self._timeline.clock() // SECOND,
        }
        if order.event:
            fields |= {"MsgType": "event", "Event": "user_enter_tempsession", "SessionFrom": ""}
        else:
            self._message_id += self._random.randint(1, 1_000)
            text = f"{order.openid} 第{order.number}条 👍"
            fields |= {"MsgType": "text", "Content": text, "MsgId": self._message_id}
        return fields | ({"BusinessId": int(order.business_id)} if order.business_id != "0" else {})

    def _open_window(self, order: PushOrder, fields: Fields) -> None:
        conversations, business_id = self._world.conversations, int(order.business_id)
        if order.event:
            conversations.enter(order.openid, business_id)
            return
        shown = Shown(str(fields["MsgId"]), self._world.clock.now(), "buyer", "text", {})
        conversations.say(order.openid, business_id, shown)


def event_id_of(fields: Fields) -> str:
    """The documented id of what a push becomes (docs/architecture.md, "Keys and ids")."""
    what = fields.get("MsgId")
    if what is None:
        names = [
            fields["CreateTime"],
            "event",
            fields["Event"],
            str(fields.get("BusinessId", 0)),
            None,
        ]
        what = json.dumps([*names, {"session_from": ""}], sort_keys=True)
    text = f"{fields['ToUserName']}|{fields['FromUserName']}|{what}"
    return hashlib.sha256(text.encode()).hexdigest()


def merchants(world: World, count: int) -> list[str]:
    """Register so many; their business ids."""
    found = []
    for number in range(count):
        icon = world.media.add("image", b"\x89PNG\r\n\x1a\n")
        name = f"chaos_{number}"
        created = world.accounts.register(name, f"风暴{number}号店", icon.media_id)
        found.append(str(created.business_id))
    return found
