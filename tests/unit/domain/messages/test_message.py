"""The rules of one outbound message: ids, transitions, waits, what subscribers are told."""

from dataclasses import replace
from typing import Any

import pytest

from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.events import EventType
from wechat_kf.domain.messages.message import (
    RISKY_DELAYS,
    Failure,
    Guarantee,
    NotSent,
    OutboundMessage,
    Outcome,
    Sent,
    Status,
    Unknown,
    Wait,
    accept,
    delay_ms,
    failure_document,
    outcome_event,
    request_digest,
    request_id,
    settle,
    too_late,
)

NOW = 1_767_225_600_000  # a full minute
BUSY = Failure("system_busy", "WeChat is busy", -1, "6114dedc-7e90330d-3fb31e22")
CUT = Failure("wechat_did_not_answer", "no answer")
CLOSED = Failure("window_closed", "the window is closed", 45015)


def message(**fields: Any) -> OutboundMessage:
    known: dict[str, Any] = {
        "message_id": "m1",
        "business_id": "42",
        "openid": "buyer",
        "content": {"type": "text", "text": "您好"},
        "accepted_at": NOW,
        "expires_at": NOW + 15 * MINUTE,
        "status": Status.SENDING,
        "attempts": 1,
        "claimed_until": NOW + 35 * SECOND,
    }
    return OutboundMessage(**{**known, **fields})


def accepted(**fields: Any) -> OutboundMessage:
    known: dict[str, Any] = {
        "business_id": "42",
        "openid": "buyer",
        "content": {"type": "text", "text": "您好"},
    }
    draft = OutboundMessage(**{**known, **fields})
    return accept(draft, now=NOW, max_age_ms=15 * MINUTE)


# -- acceptance


def test_a_new_message_is_accepted_and_untried() -> None:
    new = accepted()
    assert (new.status, new.attempts, new.expires_at) == (Status.ACCEPTED, 0, NOW + 15 * MINUTE)


def test_without_a_key_every_message_is_another_one() -> None:
    assert accepted().message_id != accepted().message_id


def test_a_key_is_one_request_of_one_merchant() -> None:
    first = request_id("42", "order-7 第七号")
    assert request_id("42", "order-7 第七号") == first
    assert len(first) == len(request_id("42", None)) == 32
    assert len({first, request_id("42", "order-8"), request_id("43", "order-7 第七号")}) == 3
    assert request_id("42", None) != request_id("42", None)


def test_an_id_that_a_draft_has_is_kept() -> None:
    one = accepted(message_id="m1", accepted_at=NOW - 5)
    assert (one.message_id, one.accepted_at, one.expires_at) == ("m1", NOW - 5, NOW + 15 * MINUTE)


@pytest.mark.parametrize(
    "difference",
    [
        {"openid": "somebody"},
        {"content": {"type": "text", "text": "您好!"}},
        {"guarantee": Guarantee.AT_LEAST_ONCE},
    ],
)
def test_another_body_has_another_digest(difference: dict[str, Any]) -> None:
    assert request_digest(accepted(**difference)) != request_digest(accepted())
    assert request_digest(accepted()) == request_digest(accepted())


# -- transitions


@pytest.mark.parametrize(
    ("outcome", "guarantee", "status"),
    [
        (Sent(), Guarantee.AT_MOST_ONCE, Status.SENT),
        (NotSent(CLOSED), Guarantee.AT_MOST_ONCE, Status.FAILED),
        (NotSent(CLOSED), Guarantee.AT_LEAST_ONCE, Status.FAILED),
        (NotSent(BUSY, Wait.RISKY), Guarantee.AT_MOST_ONCE, Status.ACCEPTED),
        (NotSent(BUSY, Wait.SHORT), Guarantee.AT_MOST_ONCE, Status.ACCEPTED),
        (NotSent(BUSY, Wait.TOKEN), Guarantee.AT_MOST_ONCE, Status.ACCEPTED),
        (NotSent(BUSY, Wait.NEXT_MINUTE), Guarantee.AT_MOST_ONCE, Status.ACCEPTED),
        (NotSent(BUSY, Wait.QUOTA), Guarantee.AT_MOST_ONCE, Status.ACCEPTED),
        (Unknown(CUT), Guarantee.AT_MOST_ONCE, Status.UNKNOWN),
        (Unknown(CUT), Guarantee.AT_LEAST_ONCE, Status.ACCEPTED),
    ],
)
def test_each_outcome_leads_where_it_should(
    outcome: Outcome, guarantee: Guarantee, status: Status
) -> None:
    after = settle(message(guarantee=guarantee), outcome, now=NOW + 1)
    assert after.status is status
    assert after.settled_at == (NOW + 1 if status.settled else 0)
    assert after.claimed_until == 0


def test_a_sent_message_keeps_no_old_failure() -> None:
    assert settle(message(failure=BUSY), Sent(), now=NOW).failure is None


def test_what_waits_is_free_to_be_claimed_and_tells_why() -> None:
    after = settle(message(), NotSent(BUSY, Wait.SHORT), now=NOW)
    assert (after.claimed_until, after.failure) == (0, BUSY)


@pytest.mark.parametrize("wait", list(Wait))
def test_at_its_age_limit_it_fails_as_expired_with_wechats_last_word(wait: Wait) -> None:
    after = settle(message(), NotSent(BUSY, wait), now=NOW + 15 * MINUTE)
    assert after.status is Status.FAILED
    assert after.failure is not None
    assert (after.failure.code, after.failure.errcode) == ("expired", -1)
    assert after.failure.rid == BUSY.rid


def test_what_may_duplicate_is_tried_five_times_at_most() -> None:
    after = message()
    for _ in RISKY_DELAYS:
        after = settle(after, NotSent(BUSY, Wait.RISKY), now=NOW)
        assert after.status is Status.ACCEPTED
    last = settle(after, NotSent(BUSY, Wait.RISKY), now=NOW)
    assert (last.status, last.failure) == (Status.FAILED, BUSY)


@pytest.mark.parametrize("guarantee", list(Guarantee))
def test_a_message_whose_token_is_refused_again_and_again_fails_with_wechats_reason(
    guarantee: Guarantee,
) -> None:
    refused = Failure("credential_refused", "the access token is invalid", 40001, "6a-1b-2c")
    after = message(guarantee=guarantee)
    for number, _ in enumerate(RISKY_DELAYS):
        after = settle(after, NotSent(refused, Wait.TOKEN), now=NOW)
        assert after.status is Status.ACCEPTED
        assert delay_ms(Wait.TOKEN, after, NOW) == RISKY_DELAYS[number]
    last = settle(after, NotSent(refused, Wait.TOKEN), now=NOW)
    assert (last.status, last.failure) == (Status.FAILED, refused)


def test_at_least_once_waits_out_a_busy_wechat_until_it_is_too_old() -> None:
    after = message(guarantee=Guarantee.AT_LEAST_ONCE)
    for _ in range(3 * len(RISKY_DELAYS)):
        after = settle(after, NotSent(BUSY, Wait.RISKY), now=NOW)
        assert after.status is Status.ACCEPTED
    assert delay_ms(Wait.RISKY, after, NOW) == RISKY_DELAYS[-1]
    late = settle(after, NotSent(BUSY, Wait.RISKY), now=NOW + 15 * MINUTE)
    assert late.failure is not None
    assert (late.status, late.failure.code, late.failure.errcode) == (Status.FAILED, "expired", -1)


def test_what_was_perhaps_sent_is_not_repeated_for_as_long_as_wechat_is_busy() -> None:
    known = {"guarantee": Guarantee.AT_LEAST_ONCE, "perhaps_sent": True}
    last = message(**known, risky_attempts=len(RISKY_DELAYS))
    assert settle(last, NotSent(BUSY, Wait.RISKY), now=NOW).status is Status.UNKNOWN


def test_attempts_that_reached_nobody_take_nothing_from_the_risky_ones() -> None:
    unreachable = message(attempts=6, guarantee=Guarantee.AT_LEAST_ONCE)
    busy = settle(unreachable, NotSent(BUSY, Wait.RISKY), now=NOW)
    assert busy.status is Status.ACCEPTED
    assert delay_ms(Wait.RISKY, busy, NOW) == RISKY_DELAYS[0]
    assert settle(busy, Unknown(CUT), now=NOW).status is Status.ACCEPTED


@pytest.mark.parametrize("wait", [Wait.SHORT, Wait.NEXT_MINUTE, Wait.QUOTA])
def test_what_cannot_duplicate_is_tried_until_it_is_too_old(wait: Wait) -> None:
    after = settle(message(attempts=400), NotSent(BUSY, wait), now=NOW)
    assert after.status is Status.ACCEPTED


def test_what_was_perhaps_sent_once_never_ends_as_failed() -> None:
    doubtful = settle(message(guarantee=Guarantee.AT_LEAST_ONCE), Unknown(CUT), now=NOW)
    again = replace(doubtful, status=Status.SENDING, attempts=2)
    assert settle(again, NotSent(CLOSED), now=NOW).status is Status.UNKNOWN
    late = settle(again, NotSent(BUSY, Wait.SHORT), now=NOW + 15 * MINUTE)
    assert late.status is Status.UNKNOWN
    assert settle(again, Sent(), now=NOW).status is Status.SENT


def test_at_least_once_stops_repeating_what_may_be_duplicates() -> None:
    last = message(guarantee=Guarantee.AT_LEAST_ONCE, risky_attempts=len(RISKY_DELAYS))
    assert settle(last, Unknown(CUT), now=NOW).status is Status.UNKNOWN


def test_too_late_tells_whether_it_was_ever_tried() -> None:
    untried = settle(message(), too_late(message()), now=NOW)
    assert untried.failure == Failure("expired", "gave up by age, without an attempt")
    tried = message(failure=BUSY)
    failure = settle(tried, too_late(tried), now=NOW).failure
    assert failure is not None
    assert (failure.code, failure.errcode) == ("expired", -1)
    assert too_late(replace(tried, failure=failure)).failure == failure  # once said is enough


# -- waits


def test_unreachable_backs_off_to_a_minute() -> None:
    delays = [delay_ms(Wait.SHORT, message(attempts=n), NOW) // SECOND for n in range(9)]
    assert delays == [1, 1, 2, 4, 8, 16, 32, 60, 60]
    assert delay_ms(Wait.SHORT, message(attempts=100_000), NOW) == MINUTE


def test_the_pauses_begin_again_with_a_callers_retry() -> None:
    again = message(attempts=8, attempts_before=7)
    assert delay_ms(Wait.SHORT, again, NOW) == SECOND


def test_risky_attempts_are_few_and_bridge_minutes() -> None:
    tried = [message(risky_attempts=number) for number in (1, 2, 3, 4)]
    assert [delay_ms(Wait.RISKY, one, NOW) // SECOND for one in tried] == [1, 2, 30, 120]


@pytest.mark.parametrize("into_the_minute", [0, 1, 30 * SECOND, MINUTE - 1])
def test_a_minute_limit_waits_for_the_next_minute(into_the_minute: int) -> None:
    now = NOW + into_the_minute
    back = now + delay_ms(Wait.NEXT_MINUTE, message(), now)
    assert NOW + MINUTE < back <= NOW + MINUTE + 11 * SECOND


def test_conversations_do_not_all_come_back_in_the_same_second() -> None:
    buyers = [message(openid=f"buyer{n}") for n in range(50)]
    delays = {delay_ms(Wait.NEXT_MINUTE, one, NOW) // SECOND for one in buyers}
    assert len(delays) >= 5


# -- what subscribers are told


def test_the_event_names_message_state_and_reason() -> None:
    failed = settle(message(broadcast_id="b1"), NotSent(CLOSED), now=NOW + 5)
    event = outcome_event(failed, "wx0123456789abcdef")
    assert (event.type, event.business_id, event.openid) == (
        EventType.MESSAGE_FAILED,
        "42",
        "buyer",
    )
    assert event.at_ms == NOW + 5
    assert event.data == {
        "message_id": "m1",
        "business_id": "42",
        "openid": "buyer",
        "status": "failed",
        "attempts": 1,
        "broadcast_id": "b1",
        "error": {
            "code": "window_closed",
            "detail": "the window is closed",
            "errcode": 45015,
        },
    }


def test_an_event_never_holds_what_was_written() -> None:
    event = outcome_event(settle(message(), Sent(), now=NOW), "wx0123456789abcdef")
    assert "您好" not in str(event.to_cloudevent())


def test_the_same_outcome_has_the_same_event_id_and_a_later_one_another() -> None:
    failed = settle(message(), NotSent(CLOSED), now=NOW)
    ids = [
        outcome_event(one, "wx0123456789abcdef").id
        for one in (
            failed,
            replace(failed, settled_at=NOW + 7),  # told again after a crash
            replace(failed, attempts=2),  # failed again after a caller's retry
            replace(failed, expires_at=NOW + 16 * MINUTE),  # the same, too old for an attempt
            replace(failed, status=Status.SENT),
            replace(failed, message_id="m2"),
        )
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5


def test_a_failure_shows_what_support_asks_for() -> None:
    assert failure_document(BUSY) == {
        "code": "system_busy",
        "detail": "WeChat is busy",
        "errcode": -1,
        "rid": "6114dedc-7e90330d-3fb31e22",
    }
    assert failure_document(CUT) == {"code": "wechat_did_not_answer", "detail": "no answer"}
