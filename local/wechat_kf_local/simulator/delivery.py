"""Delivering pushes: five seconds for an answer, three tries, and what can go wrong on the way."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from wechat_kf_local.simulator.pushes import Fields, PushMaker, PushRequest, Verdict
from wechat_kf_local.simulator.world import World

KEPT_BODY: Final = 2_000
"""Characters kept of an answer."""


@dataclass(frozen=True, slots=True)
class Push:
    """One push to be delivered, with the settings that differ for it alone."""

    fields: Fields
    mode: str
    format: str

    @property
    def openid(self) -> str:
        return str(self.fields["FromUserName"])

    @property
    def business_id(self) -> str:
        return str(self.fields.get("BusinessId") or "0")

    @property
    def message_id(self) -> str | None:
        return str(self.fields["MsgId"]) if "MsgId" in self.fields else None

    @property
    def is_message(self) -> bool:
        return self.fields["MsgType"] != "event"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: `status` is None and `error` says why when there was no answer in time."""

    status: int | None
    ms: int
    body: str
    error: str | None = None
    verdict: Verdict = Verdict.BAD

    def described(self) -> dict[str, Any]:
        return {"status": self.status, "ms": self.ms, "body": self.body, "error": self.error}


@dataclass(frozen=True, slots=True)
class Delivered:
    """The tries to deliver a push; the last one decides."""

    request: PushRequest
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        return self.attempts[-1].verdict if self.attempts else Verdict.BAD


class Postman:
    """Posts pushes to the configured URL."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._session: aiohttp.ClientSession | None = None
        self._held: list[asyncio.Event] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def idle(self) -> None:
        """Wait for whatever is delivered in the background."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await self.idle()
        if self._session is not None:
            await self._session.close()

    async def held_back(self) -> None:
        """Wait until another push has overtaken, within a limit."""
        overtaken = asyncio.Event()
        self._held.append(overtaken)
        try:
            async with asyncio.timeout(self._world.settings.reorder_hold_seconds):
                await overtaken.wait()
        except TimeoutError:
            # Overtaken at this very moment, it is no longer in the list.
            self._held = [event for event in self._held if event is not overtaken]

    async def deliver(self, push: Push) -> Delivered:
        """Up to three tries, one after the other; then whatever was held back may go."""
        settings = self._world.settings
        maker = PushMaker(settings, mode=push.mode, body_format=push.format)
        delivered = Delivered(self._signed(maker, push))
        for number in range(settings.push_tries):
            request = delivered.request
            if number and not settings.retry_reuses_signature:
                request = self._signed(maker, push)
            attempt = await self._attempt(maker, push, request)
            delivered.attempts.append(attempt)
            if attempt.verdict is not Verdict.BAD or not self._again(attempt):
                break
        held, self._held = self._held, []
        for overtaken in held:
            overtaken.set()
        return delivered

    async def post(
        self, body: bytes, query: dict[str, str], *, method: str, headers: dict[str, str]
    ) -> Attempt:
        """One request to the push URL, whatever it says."""
        settings = self._world.settings
        timeout = aiohttp.ClientTimeout(total=settings.push_deadline_seconds)
        started = time.perf_counter()
        status, text, error = None, "", None
        try:
            async with self._opened().request(
                method,
                settings.push_url,
                params=query,
                data=body or None,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                text = (await answer.read()).decode("utf-8", "replace")
                status = answer.status
        except TimeoutError:
            error = "timeout"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = type(failure).__name__
        return Attempt(status, round((time.perf_counter() - started) * 1000), text, error)

    def _signed(self, maker: PushMaker, push: Push) -> PushRequest:
        # The real time, not the simulated one: whoever receives it compares it with its own clock.
        timestamp = str(int(time.time()))
        nonce = str(self._world.random.randint(1, 2**31 - 1))
        return maker.make(push.fields, timestamp=timestamp, nonce=nonce)

    async def _attempt(self, maker: PushMaker, push: Push, request: PushRequest) -> Attempt:
        records = self._world.records
        facts = {
            "openid": push.openid,
            "business_id": push.business_id,
            "message_id": push.message_id,
        }
        shown = {"fields": push.fields, "request": request.described()}
        records.events.publish("push_sent", msgtype=push.fields["MsgType"], **shown, **facts)
        answer = await self.post(
            request.body,
            dict(request.query),
            method="POST",
            headers={"Content-Type": request.content_type},
        )
        verdict = Verdict.BAD
        if answer.status is not None:
            body = answer.body.encode("utf-8", "surrogatepass")
            verdict = maker.judge(answer.status, body, to_message=push.is_message)
        attempt = Attempt(answer.status, answer.ms, answer.body[:KEPT_BODY], answer.error, verdict)
        records.events.publish("push_answered", verdict=verdict, **attempt.described(), **facts)
        return attempt

    def _again(self, attempt: Attempt) -> bool:
        return self._world.settings.retry_on == "any" or attempt.error == "timeout"

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        return self._session
