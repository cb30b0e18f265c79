"""Dead letters back in line: on real queues, with crashes at the worst moments."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.contracts.aws_resources import Resources
from wechat_kf.adapters.aws.broadcast_queue import BroadcastDeadLetters
from wechat_kf.adapters.aws.delivery_body import delivery_from_body, delivery_to_body
from wechat_kf.adapters.aws.inbound_queue import event_to_body
from wechat_kf.domain.clock import HOUR, MINUTE, now_ms
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.subscriptions.delivery import Delivery
from wechat_kf_cli.main import run
from wechat_kf_cli.ops.dead_letters import KINDS, RECEIVED_TOO_OFTEN, Filter
from wechat_kf_cli.ops.replay import Replay, Tally, summary

SECRET_TEXT = "我的电话是一三八"
ALL = Filter()


def delivery(event_id: str, openid: str = "buyer", **changes: Any) -> Delivery:
    facts = {"subscription": "sub_1", "type": EventType.MESSAGE_RECEIVED, "business_id": "42"}
    facts |= changes
    data = {"message": {"type": "text", "text": SECRET_TEXT}}
    event = Event(event_id, facts["type"], "wx1", facts["business_id"], openid, 1_000, data)
    return Delivery(facts["business_id"], facts["subscription"], event, queued_at=1_000)


def at_once(kind: str, sqs: Any, dead_url: str, queue_url: str, **more: Any) -> Replay:
    """A replay that waits for nothing: here all there is is there."""
    return Replay(sqs, KINDS[kind], dead_url, queue_url, wait_seconds=0, **more)


@dataclass
class House:
    """The deliveries queue, its dead letters, and the replay that joins them."""

    sqs: Any
    dead_url: str
    queue_url: str
    told: list[str] = field(default_factory=list)

    @property
    def replay(self) -> Replay:
        return self.replay_with(self.sqs)

    def replay_with(self, sqs: Any) -> Replay:
        return at_once("deliveries", sqs, self.dead_url, self.queue_url)

    def dies(self, *deliveries: Delivery, reason: str = "expired: status 503") -> None:
        for one in deliveries:
            self.sqs.send_message(
                QueueUrl=self.dead_url,
                MessageBody=delivery_to_body(one),
                MessageGroupId=one.lane,
                MessageDeduplicationId=f"{one.event.id}-{one.queued_at}",
                MessageAttributes={"reason": {"DataType": "String", "StringValue": reason}},
            )

    def run(self, wanted: Filter = ALL, **how: Any) -> Tally:
        return self.replay.run(
            wanted, progress=lambda letter, _: self.told.append(letter.facts.subject), **how
        )

    def waiting(self) -> list[Delivery]:
        """What is in the queue, taken out."""
        return [delivery_from_body(body) for body in taken(self.sqs, self.queue_url)]

    def waiting_ids(self) -> list[str]:
        return [one.event.id for one in self.waiting()]

    def dead(self) -> int:
        return self.replay.count()


def taken(sqs: Any, url: str) -> list[str]:
    bodies = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            bodies.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return bodies


@pytest.fixture
def house(sqs: Any, resources: Resources) -> House:
    dead = resources.queue("DeliveriesDeadLetterQueue")
    return House(sqs, dead, resources.queue("DeliveriesQueue"))


def test_all_go_back_in_the_order_of_their_conversation_with_new_time(house: House) -> None:
    house.dies(*(delivery(f"a{number}", "anna") for number in range(12)))
    house.dies(*(delivery(f"b{number}", "ben") for number in range(3)))

    tally = house.run()

    waiting = house.waiting()
    for openid, count in (("anna", 12), ("ben", 3)):
        ids = [one.event.id for one in waiting if one.event.openid == openid]
        assert ids == [f"{openid[0]}{number}" for number in range(count)]
    assert all(abs(now_ms() - one.queued_at) < MINUTE for one in waiting)
    assert house.dead() == 0
    assert (tally.looked_at, tally.chosen.total(), tally.behind) == (15, 15, 0)


def test_a_dry_run_tells_and_moves_nothing_and_hides_nothing(house: House) -> None:
    house.dies(delivery("e1"), delivery("e2"))

    tally = house.run(dry_run=True)

    assert house.told == ["e1", "e2"]
    assert tally.chosen == {("expired: status 503", EventType.MESSAGE_RECEIVED): 2}
    assert house.waiting() == []
    house.told.clear()
    assert house.run(dry_run=True).chosen.total() == 2  # at once: they were given back


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(reason="disabled"),
        Filter(event_type="wechat.kf.session"),
        Filter(business_id="7"),
        Filter(subscription_id="sub_2"),
    ],
)
def test_a_filter_takes_what_it_names_and_leaves_the_rest(house: House, wanted: Filter) -> None:
    house.dies(delivery("other", "anna"))
    wished = delivery(
        "wished", "ben", type=EventType.SESSION_ENTERED, business_id="7", subscription="sub_2"
    )
    house.dies(wished, reason="disabled")

    house.run(wanted)

    assert house.waiting_ids() == ["wished"]
    assert house.dead() == 1


def test_age_is_a_filter(house: House) -> None:
    before = now_ms() - HOUR
    house.dies(delivery("e1"))

    assert house.run(Filter(dead_before=before)).chosen.total() == 0
    assert house.run(Filter(dead_after=now_ms() + HOUR)).chosen.total() == 0
    assert house.run(Filter(dead_before=now_ms() + HOUR, dead_after=before)).chosen.total() == 1


def test_a_limit_stops_early_and_hides_nothing(house: House) -> None:
    house.dies(*(delivery(f"e{number}") for number in range(5)))

    assert house.run(limit=2).chosen.total() == 2
    assert house.run(limit=2).chosen.total() == 2

    assert house.waiting_ids() == ["e0", "e1", "e2", "e3"]


def test_what_stands_behind_ten_that_stay_is_counted(house: House) -> None:
    house.dies(*(delivery(f"e{number}") for number in range(13)))

    tally = house.run(Filter(reason="disabled"))

    assert (tally.looked_at, tally.behind) == (10, 3)
    assert "3 not looked at" in summary(tally, dry_run=False)


class CrashingSqs:
    """Dies instead of the first delete, and tidies nothing up."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs
        self.held: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def receive_message(self, **request: Any) -> Any:
        answer = self._sqs.receive_message(**request)
        self.held += [message["ReceiptHandle"] for message in answer["Messages"]]
        return answer

    def delete_message(self, **_: Any) -> None:
        raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "DeleteMessage")

    def change_message_visibility_batch(self, **_: Any) -> None:
        self.delete_message()


def test_a_crash_between_send_and_delete_loses_none_and_doubles_none(house: House) -> None:
    house.dies(delivery("e1"), delivery("e2"))
    crashed = CrashingSqs(house.sqs)
    with pytest.raises(ClientError):
        house.replay_with(crashed).run(ALL)
    reveal(house, crashed.held)

    house.run()

    assert house.waiting_ids() == ["e1", "e2"]
    assert house.dead() == 0


def reveal(house: House, handles: list[str]) -> None:
    """Stands in for the time after which what a killed run held is seen again."""
    for handle in handles:
        house.sqs.change_message_visibility(
            QueueUrl=house.dead_url, ReceiptHandle=handle, VisibilityTimeout=0
        )


def test_a_queue_that_takes_nothing_costs_nothing(house: House) -> None:
    house.dies(delivery("e1"), delivery("e2"))
    broken = at_once("deliveries", house.sqs, house.dead_url, house.queue_url + "-gone.fifo")
    with pytest.raises(ClientError):
        broken.run(ALL)
    house.run()  # at once: what could not be moved was given back
    assert house.waiting_ids() == ["e1", "e2"]


class EarlierSqs:
    """Its run began a minute before what is in the queue died."""

    def __init__(self, sqs: Any) -> None:
        self._sqs = sqs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sqs, name)

    def get_queue_attributes(self, **request: Any) -> Any:
        answer = self._sqs.get_queue_attributes(**request)
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        earlier = parsedate_to_datetime(headers["date"]) - timedelta(minutes=1)
        headers["date"] = format_datetime(earlier, usegmt=True)
        return answer


def test_what_dies_again_during_the_run_is_left_for_the_next(house: House) -> None:
    """Else a subscriber that is gone would keep the command busy for ever."""
    house.dies(delivery("e1"))
    early = house.replay_with(EarlierSqs(house.sqs))
    assert early.run(ALL).chosen.total() == 0
    assert house.dead() == 1


@pytest.mark.parametrize("minutes_off", [-90, 90])
def test_the_operators_clock_does_not_matter(house: House, minutes_off: int) -> None:
    house.dies(delivery("e1"))
    replay = at_once(
        "deliveries",
        house.sqs,
        house.dead_url,
        house.queue_url,
        clock=lambda: now_ms() + minutes_off * MINUTE,
    )
    assert replay.run(ALL).chosen.total() == 1
    (waiting,) = house.waiting()
    assert abs(waiting.queued_at - now_ms()) < MINUTE


def test_what_is_none_of_ours_stays(house: House) -> None:
    house.sqs.send_message(
        QueueUrl=house.dead_url,
        MessageBody="not ours",
        MessageGroupId="g",
        MessageDeduplicationId="d",
    )
    tally = house.run()
    assert (tally.unreadable, tally.chosen.total(), house.dead()) == (1, 0, 1)


def test_what_is_discarded_is_gone_and_the_rest_stays(house: House) -> None:
    house.dies(delivery("e1", "anna"), reason="disabled")
    house.dies(delivery("e2", "ben"))

    assert house.run(Filter(reason="disabled"), discard=True, dry_run=True).chosen.total() == 1
    assert house.dead() == 2
    tally = house.run(Filter(reason="disabled"), discard=True)

    assert tally.chosen == {("disabled", EventType.MESSAGE_RECEIVED): 1}
    assert house.waiting() == []
    assert house.run(ALL, dry_run=True).chosen.total() == 1


def test_what_is_none_of_ours_can_be_discarded(sqs: Any) -> None:
    """Broken broadcasts are dead-lettered as they came: nothing else gets rid of them."""
    dead, queue = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("b-dead", "b"))
    BroadcastDeadLetters(sqs, dead).put("not JSON", "invalid_request: not JSON")
    replay = at_once("broadcasts", sqs, dead, queue)

    assert replay.run(Filter(business_id="7", unreadable=True), discard=True).unreadable == 1
    tally = replay.run(Filter(reason="invalid_request", unreadable=True), discard=True)

    assert (tally.chosen.total(), tally.unreadable, replay.count()) == (1, 0, 0)


@pytest.mark.parametrize(
    ("options", "typed", "exit_code_and_left"),
    [
        ([], "", (130, 2)),
        ([], "yes\n", (130, 2)),
        ([], "deliveries\n", (0, 1)),
        (["--yes"], "", (0, 1)),
        (["--dry-run"], "", (0, 2)),
    ],
)
def test_the_command_asks_before_it_discards(
    house: House,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    typed: str,
    exit_code_and_left: tuple[int, int],
) -> None:
    house.dies(delivery("e1"), reason="disabled")
    house.dies(delivery("e2", "ben"))
    replay = at_once("deliveries", house.sqs, house.dead_url, house.queue_url)
    monkeypatch.setattr("wechat_kf_cli.ops.replay.find_target", lambda options: None)
    monkeypatch.setattr("wechat_kf_cli.ops.replay.replays", lambda *_: [replay])
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    exit_code = run(["replay", "deliveries", "--discard", "--reason", "disabled", *options])

    assert (exit_code, house.dead()) == exit_code_and_left


def test_no_queue_is_discarded_by_leaving_its_name_out() -> None:
    assert run(["replay", "--discard"]) == 2


def test_inbound_and_outbound_go_back_as_they_were(sqs: Any, resources: Resources) -> None:
    event = event_to_body(delivery("e1").event)
    order = json.dumps({"business_id": "42", "message_id": "m1"})
    for name, body in (("inbound", event), ("outbound", order)):
        dead = resources.queue(f"{name.capitalize()}DeadLetterQueue")
        queue = resources.queue(f"{name.capitalize()}Queue")
        sqs.send_message(
            QueueUrl=dead, MessageBody=body, MessageGroupId="g", MessageDeduplicationId="d"
        )

        tally = at_once(name, sqs, dead, queue).run(ALL)

        assert taken(sqs, queue) == [body]
        assert [reason for reason, _ in tally.chosen] == [RECEIVED_TOO_OFTEN]


def test_a_broadcast_keeps_the_key_it_was_known_by(sqs: Any) -> None:
    """A message of another id would be another broadcast, and buyers would get it twice."""
    dead, queue = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("b-dead", "b"))
    submission = {"business_id": "42", "openids": ["o1"]}
    sent = sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(submission))

    at_once("broadcasts", sqs, dead, queue).run(ALL)

    (body,) = taken(sqs, queue)
    assert json.loads(body) == {**submission, "idempotency_key": f"queue:{sent['MessageId']}"}


@pytest.mark.parametrize(
    "body",
    [
        {"business_id": "42", "broadcast_id": "b1"},
        {"business_id": "42", "openids": ["o1"], "idempotency_key": "mine"},
        {"detail-type": "SendMessages", "id": "e1", "detail": {"business_id": "42"}},
    ],
)
def test_a_broadcast_that_has_a_key_goes_as_it_is(sqs: Any, body: dict[str, Any]) -> None:
    dead, queue = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("b-dead", "b"))
    sqs.send_message(QueueUrl=dead, MessageBody=json.dumps(body))

    at_once("broadcasts", sqs, dead, queue).run(ALL)

    assert [json.loads(text) for text in taken(sqs, queue)] == [body]


def test_the_command_lists_and_replays_and_shows_no_text(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    house.dies(delivery("e1"), delivery("e2", type=EventType.SESSION_ENTERED))
    replay = at_once("deliveries", house.sqs, house.dead_url, house.queue_url)
    monkeypatch.setattr("wechat_kf_cli.ops.replay.find_target", lambda options: None)
    monkeypatch.setattr("wechat_kf_cli.ops.replay.replays", lambda *_: [replay])

    assert run(["replay"]) == 0
    assert run(["replay", "deliveries", "--dry-run"]) == 0
    assert run(["replay", "deliveries", "--type", "wechat.kf.message", "--newer-than", "1h"]) == 0

    shown = "".join(capsys.readouterr())
    assert "deliveries              2" in shown
    assert "2 of 2 would be replayed" in shown
    assert "1 of 2 replayed" in shown
    assert SECRET_TEXT not in shown
    assert SECRET_TEXT.encode("unicode_escape").decode() not in shown
    assert house.waiting_ids() == ["e1"]
