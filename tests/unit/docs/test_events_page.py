"""docs/events.md is true: its examples are valid events, and its Python verifies webhooks."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from wechat_kf.api.merchant_models import MerchantResponse
from wechat_kf.domain.clock import HOUR, MINUTE, SECOND
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.backlog import DEAD_KEPT_MS, PATIENCE_MS
from wechat_kf.domain.subscriptions.circuit import (
    GONE_AFTER_MS,
    HOPELESS_AFTER_MS,
    LONGEST_COOL_DOWN_MS,
    LONGEST_RETRY_AFTER_MS,
    TRIP_AFTER,
)
from wechat_kf.domain.subscriptions.delivery import LONGEST_BACKOFF_MS, RETENTION_MS
from wechat_kf.domain.subscriptions.drain import REFUSED_FOR_MS
from wechat_kf.domain.subscriptions.management import SECRET_OVERLAP_MS, create_secret

PAGE = (Path(__file__).parents[3] / "docs" / "events.md").read_text(encoding="utf-8")


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


EVENTS: list[dict[str, Any]] = [json.loads(text) for text in examples("json")]


def test_every_type_has_an_example_and_a_heading() -> None:
    assert {event["type"] for event in EVENTS} == set(EventType)
    headings = "\n".join(line for line in PAGE.splitlines() if line.startswith("### "))
    assert all(f"`{event_type}`" in headings for event_type in EventType)


@pytest.mark.parametrize("document", EVENTS, ids=lambda document: document["type"])
def test_an_example_is_an_event_of_ours(document: dict[str, Any]) -> None:
    assert Event.from_cloudevent(document).to_cloudevent() == document


def test_a_changed_merchant_is_shown_as_the_api_shows_it() -> None:
    (changed,) = (one for one in EVENTS if one["type"] == EventType.MERCHANT_CHANGED)
    assert set(changed["data"]) == set(MerchantResponse.model_fields)


def test_the_python_verifies_what_it_should() -> None:
    secret, queued = create_secret(), list[Any]()

    class Queue:
        put = staticmethod(queued.append)

    names: dict[str, Any] = {"SECRET": secret, "queue": Queue}
    (code,) = examples("python")
    exec(code, names)  # noqa: S102 - our own page

    body = json.dumps(EVENTS[0])
    assert names["handle"](body, signed(secret, body)) == 204
    assert names["handle"](body + " ", signed(secret, body)) == 401
    assert names["handle"](body, signed(create_secret(), body)) == 401
    assert queued == [EVENTS[0]]


def signed(secret: str, body: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": "1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("1", now, body),
    }


def test_the_figures_are_those_of_the_code() -> None:
    assert HOUR * 24 == RETENTION_MS == HOPELESS_AFTER_MS == SECRET_OVERLAP_MS
    assert MINUTE * 10 == LONGEST_BACKOFF_MS
    assert MINUTE * 30 == LONGEST_RETRY_AFTER_MS
    assert MINUTE == PATIENCE_MS == GONE_AFTER_MS
    assert HOUR == REFUSED_FOR_MS
    assert HOUR * 24 * 14 == DEAD_KEPT_MS
    assert SECOND * 40 == LONGEST_COOL_DOWN_MS
    assert TRIP_AFTER == 5
