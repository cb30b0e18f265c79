"""Fault switches of the demo page: faults of WeChat, and subscribers that are down."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wechat_kf_cli.stack.clients import ReceiverClient, SimulatorClient
from wechat_kf_cli.stack.state import StackInfo

SENDS = "/cgi-bin/message/custom/"
"""Calls that the faults affect: sending and typing, not tokens or uploads."""
WECHAT_FAULTS = {"busy": "busy", "slow": "slow:3000", "cut": "cut_after"}
"""Switch → the simulator's fault."""
SUBSCRIBER_DOWN = "subscriber_down"
DOWN_STATUS = 503


class UnknownSwitchError(ValueError):
    """The switch does not exist, or its value is not true or false."""


@dataclass(slots=True)
class Switches:
    """All switches of one stack; only the page's server changes them."""

    stack: StackInfo
    _on: dict[str, bool] = field(
        default_factory=lambda: dict.fromkeys([*WECHAT_FAULTS, SUBSCRIBER_DOWN], False)
    )
    _turning: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def positions(self) -> dict[str, bool]:
        return dict(self._on)

    async def turn(self, wanted: Mapping[str, Any]) -> None:
        """Set the named switches.

        Raises:
            UnknownSwitchError: a name or value is not valid.
        """
        if not all(name in self._on and isinstance(on, bool) for name, on in wanted.items()):
            raise UnknownSwitchError(f"switches are {', '.join(self._on)}; true or false")
        async with self._turning:
            await asyncio.to_thread(self._apply, {**self._on, **wanted})
            self._on.update(wanted)

    def _apply(self, on: Mapping[str, bool]) -> None:
        wechat = SimulatorClient(self.stack.simulator_url)
        wechat.call("DELETE", "/_sim/faults")
        for name, kind in WECHAT_FAULTS.items():
            if on[name]:
                wechat.call("POST", "/_sim/faults", {"kind": kind, "match": SENDS})
        if on[SUBSCRIBER_DOWN] != self._on[SUBSCRIBER_DOWN]:
            self._set_subscribers(down=on[SUBSCRIBER_DOWN])

    def _set_subscribers(self, *, down: bool) -> None:
        receiver = ReceiverClient(self.stack.receiver_url)
        behaviour = {"status": DOWN_STATUS} if down else {}
        for hook in receiver.hooks():
            receiver.configure(hook, **behaviour)
