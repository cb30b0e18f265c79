"""The webhook receiver accepts nothing unsigned and fails as requested."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from standardwebhooks import Webhook

from wechat_kf_local.webhook_receiver import Receiver

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BODY = '{"id": "1"}'
Client = TestClient[web.Request, web.Application]


def with_receiver(scene: Callable[[Client], Awaitable[Any]]) -> Any:
    async def play() -> Any:
        async with TestClient(TestServer(Receiver().application())) as client:
            return await scene(client)

    return asyncio.run(play())


def signature(body: str = BODY) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("1", now, body),
    }


def test_a_signed_request_is_accepted_and_recorded_as_verified() -> None:
    async def scene(client: Client) -> Any:
        await client.put("/hooks/shop", json={"secret": SECRET})
        answer = await client.post("/hooks/shop", data=BODY, headers=signature())
        received = await (await client.get("/received", params={"hook": "shop"})).json()
        return answer.status, received["items"]

    status, [request] = with_receiver(scene)

    assert status == 204
    assert (request["verified"], request["body"], request["answered"]) == (True, BODY, 204)


def test_a_forged_request_is_refused_and_recorded_as_unverified() -> None:
    async def scene(client: Client) -> Any:
        await client.put("/hooks/shop", json={"secret": SECRET})
        answer = await client.post("/hooks/shop", data=BODY, headers=signature("another body"))
        return answer.status, (await (await client.get("/received")).json())["items"]

    status, [request] = with_receiver(scene)

    assert (status, request["verified"]) == (401, False)


def test_watchers_hear_of_requests_as_they_come_in() -> None:
    async def scene(client: Client) -> Any:
        stream = await client.get("/events")
        await stream.content.readuntil(b": listening\n\n")
        await client.put("/hooks/shop", json={"secret": SECRET, "status": 503})
        await client.post("/hooks/shop", data=BODY, headers=signature())
        line = await stream.content.readline()
        stream.close()
        return json.loads(line.removeprefix(b"data: "))

    event = with_receiver(scene)

    assert (event["hook"], event["verified"], event["answered"]) == ("shop", True, 503)
    assert event["body"] == BODY
    assert event["headers"]["webhook-id"] == signature()["webhook-id"]


def test_a_behaviour_holds_for_the_given_number_of_requests() -> None:
    async def scene(client: Client) -> Any:
        busy = {"status": 429, "headers": {"Retry-After": "7"}, "times": 2, "secret": SECRET}
        await client.put("/hooks/shop", json=busy)
        answers = [
            await client.post("/hooks/shop", data=BODY, headers=signature()) for _ in range(3)
        ]
        return [(answer.status, answer.headers.get("Retry-After")) for answer in answers]

    assert with_receiver(scene) == [(429, "7"), (429, "7"), (204, None)]


def test_an_unknown_setting_is_refused() -> None:
    async def scene(client: Client) -> int:
        return (await client.put("/hooks/shop", json={"statsu": 500})).status

    assert with_receiver(scene) == 400
