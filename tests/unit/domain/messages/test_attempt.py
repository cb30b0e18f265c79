"""Accept, attempt, retry: against the store in memory and a WeChat that does as it is told."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes import (
    FakeClock,
    InMemoryMessages,
    RecordingEvents,
    RecordingOutbound,
    ignore_report,
    make_message_id,
)
from wechat_kf.app_errors import (
    AppError,
    ConflictError,
    IdempotencyKeyReusedError,
    NotFoundError,
    RetryLater,
    UnavailableError,
)
from wechat_kf.domain.clock import MINUTE, SECOND
from wechat_kf.domain.messages.acceptance import Acceptance, AcceptanceUncertainError
from wechat_kf.domain.messages.attempt import CLAIM_MS, Attempt
from wechat_kf.domain.messages.message import (
    Failure,
    Guarantee,
    NotSent,
    OutboundMessage,
    Outcome,
    Sent,
    Status,
    Unknown,
    Wait,
    request_id,
)
from wechat_kf.domain.messages.sweeper import Sweeper
from wechat_kf.domain.messages.windows import (
    MOST_UNSETTLED,
    ConversationFullError,
    NoConversationError,
)

APP_ID = "wx0123456789abcdef"
CLOSED = NotSent(Failure("window_closed", "closed", 45015))
BUSY = NotSent(Failure("system_busy", "busy", -1), Wait.RISKY)
UNREACHABLE = NotSent(Failure("wechat_unreachable", "no connection"), Wait.SHORT)
MINUTE_LIMIT = NotSent(Failure("called_too_often", "limit", 45011), Wait.NEXT_MINUTE)
QUOTA = NotSent(Failure("daily_quota_used_up", "quota", 45009), Wait.QUOTA)
CUT = Unknown(Failure("wechat_did_not_answer", "no answer"))


class WorkerKilled(BaseException):
    """The process ends here; nothing after it runs."""


@dataclass
class ScriptedWeChat:
    """`MessageSender`: answers as scripted (then always Sent); an exception ends the worker."""

    script: list[Outcome | BaseException] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    def send(self, message: OutboundMessage) -> Outcome:
        self.calls.append(message.message_id)
        answer = self.script.pop(0) if self.script else Sent()
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class Desk:
    """Everything around a message, in memory."""

    clock: FakeClock = field(default_factory=FakeClock)
    events: RecordingEvents = field(default_factory=RecordingEvents)
    queue: RecordingOutbound = field(default_factory=RecordingOutbound)
    wechat: ScriptedWeChat = field(default_factory=ScriptedWeChat)
    retention_days: int = 30

    def __post_init__(self) -> None:
        self.store = InMemoryMessages(self.retention_days, self.clock)
        self.reports: list[Status] = []
        self.unqueued: list[Exception] = []
        self.errors: list[Exception] = []
        self.acceptance = Acceptance(
            self.store,
            self.queue,
            self.clock,
            15 * MINUTE,
            report_not_queued=lambda _, error: self.unqueued.append(error),
        )
        self.worker = self.new_worker()
        self.sweeper = Sweeper(
            self.store,
            self.queue,
            self.events,
            self.clock,
            APP_ID,
            report=lambda message, _: self.reports.append(message.status),
            report_error=lambda _, error: self.errors.append(error),
        )

    def new_worker(self) -> Attempt:
        return Attempt(
            self.store,
            self.wechat,
            self.events,
            self.clock,
            APP_ID,
            report=lambda message, _: self.reports.append(message.status),
        )

    def accept(
        self, idempotency_key: str | None = None, refusal: AppError | None = None, **fields: Any
    ) -> OutboundMessage:
        known: dict[str, Any] = {
            "business_id": "42",
            "openid": "buyer",
            "content": {"type": "text", "text": "您好"},
        }
        return self.acceptance.accept(
            OutboundMessage(**{**known, **fields}), idempotency_key, refusal
        )

    def attempt(self, message: OutboundMessage) -> int | None:
        """One hand-out of the queue; the delay until the next one, None when it is done."""
        try:
            self.worker.attempt(message.business_id, message.message_id)
        except RetryLater as later:
            return later.delay_ms
        return None

    def now(self, message: OutboundMessage) -> OutboundMessage:
        return self.acceptance.get(message.business_id, message.message_id)

    @property
    def told(self) -> list[str]:
        return [str(event.data["status"]) for event in self.events.events.values()]


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- acceptance


def test_accepted_means_stored_and_in_line(desk: Desk) -> None:
    message = desk.accept()
    assert message.status is Status.ACCEPTED
    assert desk.now(message) == message
    assert desk.queue.messages == [("42", message.message_id)]


def test_the_same_key_and_body_answer_with_the_same_message_once_in_line(desk: Desk) -> None:
    first = desk.accept(idempotency_key="k")
    assert desk.accept(idempotency_key="k") == first
    assert len(desk.queue.messages) == 1


def test_the_same_key_with_another_body_is_refused(desk: Desk) -> None:
    desk.accept(idempotency_key="k")
    with pytest.raises(IdempotencyKeyReusedError):
        desk.accept(idempotency_key="k", openid="somebody")


def test_when_the_queue_is_down_the_message_is_accepted_all_the_same(desk: Desk) -> None:
    desk.queue.down = True
    message = desk.accept(idempotency_key="k")
    assert message.status is Status.ACCEPTED
    assert [type(error) for error in desk.unqueued] == [UnavailableError]
    desk.queue.down = False
    assert desk.accept(idempotency_key="k") == message
    assert desk.queue.messages == [("42", message.message_id)]


def test_a_repeat_after_a_minute_leaves_the_queue_to_the_sweeper(desk: Desk) -> None:
    desk.queue.down = True
    desk.accept(idempotency_key="k")
    desk.queue.down = False
    desk.clock.advance(MINUTE)
    desk.accept(idempotency_key="k")
    assert desk.queue.messages == []


def test_a_key_whose_message_was_not_stored_is_completed_in_its_place(desk: Desk) -> None:
    with patch.object(desk.store, "add", side_effect=WorkerKilled), pytest.raises(WorkerKilled):
        desk.accept(idempotency_key="k")
    began = desk.clock()
    desk.clock.advance(MINUTE)
    message = desk.accept(idempotency_key="k")
    assert (message.accepted_at, message.expires_at) == (began, desk.clock() + 15 * MINUTE)
    assert desk.now(message) == message
    assert desk.queue.messages == [("42", message.message_id)]


def test_a_write_that_was_done_and_answered_with_a_fault_is_accepted(desk: Desk) -> None:
    add = desk.store.add

    def lose_the_answer(message: OutboundMessage) -> OutboundMessage:
        add(message)
        raise UnavailableError("no answer")

    with patch.object(desk.store, "add", side_effect=lose_the_answer):
        message = desk.accept()
    assert desk.queue.messages == [("42", message.message_id)]


def test_a_write_that_was_not_done_is_refused_and_may_be_repeated(desk: Desk) -> None:
    fault = UnavailableError("no answer")
    with patch.object(desk.store, "add", side_effect=fault), pytest.raises(UnavailableError) as e:
        desk.accept()
    assert e.value is fault
    assert desk.queue.messages == []


def test_a_write_of_which_nothing_is_known_names_its_message(desk: Desk) -> None:
    fault = UnavailableError("no answer")
    with (
        patch.object(desk.store, "add", side_effect=fault),
        patch.object(desk.store, "get", side_effect=fault),
        pytest.raises(AcceptanceUncertainError) as caught,
    ):
        desk.accept()
    with pytest.raises(NotFoundError):  # it was not stored, as the caller finds with the id
        desk.acceptance.get("42", str(caught.value.members["message_id"]))


def test_a_refusal_stores_nothing(desk: Desk) -> None:
    for key in (None, "k"):
        with pytest.raises(NoConversationError):
            desk.accept(key, refusal=NoConversationError())
    assert desk.queue.messages == []
    assert desk.store.find_key("42", request_id("42", "k")) is None
    assert desk.accept("k").status is Status.ACCEPTED


def test_what_was_accepted_before_is_answered_in_spite_of_a_refusal(desk: Desk) -> None:
    message = desk.accept("k")
    assert desk.accept("k", refusal=ConversationFullError()) == message
    with pytest.raises(IdempotencyKeyReusedError):
        desk.accept("k", refusal=ConversationFullError(), openid="somebody")


# -- attempts


def test_a_send_is_one_call_one_event_and_done(desk: Desk) -> None:
    message = desk.accept()
    assert desk.attempt(message) is None
    assert desk.now(message).status is Status.SENT
    assert desk.now(message).attempts == 1
    assert (desk.wechat.calls, desk.told, desk.reports) == (
        [message.message_id],
        ["sent"],
        [Status.SENT],
    )


def test_a_settled_message_that_comes_again_is_not_sent_again(desk: Desk) -> None:
    message = desk.accept()
    desk.attempt(message)
    assert desk.attempt(message) is None
    assert len(desk.wechat.calls) == 1
    assert desk.told == ["sent"]  # told again under the same id


def test_an_event_lost_in_a_crash_is_told_when_the_message_comes_again(desk: Desk) -> None:
    message = desk.accept()
    desk.events.down = True
    with pytest.raises(UnavailableError):
        desk.attempt(message)
    desk.events.down = False
    assert desk.attempt(message) is None
    assert (desk.told, len(desk.wechat.calls)) == (["sent"], 1)


def test_nothing_is_sent_for_a_message_that_does_not_exist(desk: Desk) -> None:
    desk.worker.attempt("42", make_message_id("nobody"))
    assert desk.wechat.calls == []


def test_a_refusal_for_good_fails_with_wechats_reason(desk: Desk) -> None:
    desk.wechat.script = [CLOSED]
    message = desk.accept()
    assert desk.attempt(message) is None
    assert desk.now(message).failure == CLOSED.failure
    assert desk.told == ["failed"]


def test_a_transient_refusal_waits_and_is_tried_again(desk: Desk) -> None:
    desk.wechat.script = [UNREACHABLE, UNREACHABLE]
    message = desk.accept()
    assert desk.attempt(message) == SECOND
    assert desk.now(message).status is Status.ACCEPTED
    assert desk.told == []
    assert desk.attempt(message) == 2 * SECOND
    assert desk.attempt(message) is None
    assert (desk.now(message).status, desk.now(message).attempts) == (Status.SENT, 3)


def test_a_wait_never_reaches_beyond_the_age_limit(desk: Desk) -> None:
    desk.wechat.script = [QUOTA]
    message = desk.accept()
    desk.clock.advance(15 * MINUTE - 20 * SECOND)
    assert desk.attempt(message) == 20 * SECOND


def test_too_old_in_line_fails_without_a_call(desk: Desk) -> None:
    message = desk.accept()
    desk.clock.advance(15 * MINUTE)
    assert desk.attempt(message) is None
    failure = desk.now(message).failure
    assert failure is not None
    assert (failure.code, desk.wechat.calls, desk.told) == ("expired", [], ["failed"])
    assert desk.now(message).attempts == 0


def test_an_unknown_outcome_is_never_sent_again_silently(desk: Desk) -> None:
    desk.wechat.script = [CUT]
    message = desk.accept()
    assert desk.attempt(message) is None
    assert desk.attempt(message) is None
    assert (desk.now(message).status, len(desk.wechat.calls)) == (Status.UNKNOWN, 1)
    assert desk.told == ["unknown"]


def test_at_least_once_prefers_the_duplicate(desk: Desk) -> None:
    desk.wechat.script = [CUT]
    message = desk.accept(guarantee=Guarantee.AT_LEAST_ONCE)
    assert desk.attempt(message) == SECOND
    assert desk.attempt(message) is None
    assert (desk.now(message).status, len(desk.wechat.calls)) == (Status.SENT, 2)


def test_two_workers_with_the_same_message_send_once(desk: Desk) -> None:
    message = desk.accept()
    desk.store.claim("42", message.message_id, now=desk.clock(), until=desk.clock() + CLAIM_MS)
    assert desk.attempt(message) == CLAIM_MS
    assert desk.wechat.calls == []


def test_a_worker_killed_while_sending_leaves_unknown(desk: Desk) -> None:
    desk.wechat.script = [WorkerKilled()]
    message = desk.accept()
    with pytest.raises(WorkerKilled):
        desk.attempt(message)
    assert desk.now(message).status is Status.SENDING
    assert desk.now(message).claimed_until == desk.clock() + 35 * SECOND  # a worker lives for 30
    desk.clock.advance(CLAIM_MS)
    assert desk.attempt(message) is None
    assert (desk.now(message).status, len(desk.wechat.calls)) == (Status.UNKNOWN, 1)
    assert desk.told == ["unknown"]


def test_a_worker_killed_while_sending_at_least_once_is_followed_by_another(desk: Desk) -> None:
    desk.wechat.script = [WorkerKilled()]
    message = desk.accept(guarantee=Guarantee.AT_LEAST_ONCE)
    with pytest.raises(WorkerKilled):
        desk.attempt(message)
    desk.clock.advance(CLAIM_MS)
    delay = desk.attempt(message)
    assert delay == SECOND
    assert desk.attempt(message) is None
    assert (desk.now(message).status, len(desk.wechat.calls)) == (Status.SENT, 2)


def test_a_worker_slower_than_its_claim_leaves_the_word_to_its_successor(desk: Desk) -> None:
    message = desk.accept()

    @dataclass
    class SlowWeChat:
        def send(self, _: OutboundMessage) -> Outcome:
            desk.clock.advance(CLAIM_MS)
            desk.attempt(message)  # another worker takes over meanwhile
            return Sent()

    slow = Attempt(desk.store, SlowWeChat(), desk.events, desk.clock, APP_ID, ignore_report)
    with pytest.raises(RetryLater):
        slow.attempt("42", message.message_id)
    assert desk.now(message).status is Status.UNKNOWN
    assert desk.told == ["unknown"]


# -- order


def accept_two(desk: Desk) -> tuple[OutboundMessage, OutboundMessage]:
    """One that the queue did not take, and one after it."""
    desk.queue.down = True
    first = desk.accept()
    desk.queue.down = False
    desk.clock.advance(1)
    return first, desk.accept()


def test_a_message_that_was_not_queued_is_sent_before_those_after_it(desk: Desk) -> None:
    first, second = accept_two(desk)
    assert desk.attempt(second) == SECOND
    assert desk.attempt(second) is None
    assert desk.wechat.calls == [first.message_id, second.message_id]
    assert desk.told == ["sent", "sent"]
    assert list(desk.store.list_due(now=desk.clock() + 60 * MINUTE)) == []


def test_while_the_one_before_waits_those_after_it_wait(desk: Desk) -> None:
    first, second = accept_two(desk)
    desk.wechat.script = [QUOTA]
    delay = desk.attempt(second)
    assert delay is not None
    assert delay >= 2 * MINUTE
    assert desk.now(second).attempts == 0
    assert desk.wechat.calls == [first.message_id]


def test_a_list_that_is_behind_holds_up_nobody(desk: Desk) -> None:
    first = desk.accept()
    desk.attempt(first)
    desk.clock.advance(1)
    second = desk.accept()
    listed = [first.message_id, second.message_id]
    with patch.object(desk.store, "list_unsettled", return_value=listed):
        assert desk.attempt(second) is None
    assert desk.now(second).status is Status.SENT


def test_an_unreadable_message_holds_up_nobody(desk: Desk) -> None:
    _, second = accept_two(desk)
    with patch.object(desk.store, "get", side_effect=KeyError("another version")):
        assert desk.attempt(second) is None


def test_a_broadcast_holds_up_no_answer(desk: Desk) -> None:
    desk.accept(broadcast_id="b1")
    desk.clock.advance(1)
    answer = desk.accept()
    assert desk.attempt(answer) is None
    assert desk.wechat.calls == [answer.message_id]


def test_within_a_millisecond_the_queue_keeps_the_order(desk: Desk) -> None:
    """The ids of such messages are in no order: whichever comes first from the queue is sent."""
    one, other = sorted((desk.accept(), desk.accept()), key=lambda message: message.message_id)
    assert one.accepted_at == other.accepted_at
    assert desk.attempt(other) is None
    assert desk.wechat.calls == [other.message_id]


def test_other_conversations_hold_up_nobody(desk: Desk) -> None:
    desk.accept(openid="somebody")
    desk.accept(business_id="43")
    desk.clock.advance(1)
    assert desk.attempt(desk.accept()) is None


# -- limits of the whole account


def test_the_main_accounts_limit_is_its_own(desk: Desk) -> None:
    desk.wechat.script = [QUOTA]
    merchants, main = desk.accept(), desk.accept(business_id="0")
    assert desk.attempt(merchants) is not None
    assert desk.attempt(main) is None
    assert desk.now(main).status is Status.SENT


@pytest.mark.parametrize(("limit", "length"), [(MINUTE_LIMIT, 61 * SECOND), (QUOTA, 2 * MINUTE)])
def test_a_limit_stops_the_workers_other_calls_until_it_is_over(
    desk: Desk, limit: NotSent, length: int
) -> None:
    desk.wechat.script = [limit]
    first, second = desk.accept(openid="one"), desk.accept(openid="two")
    assert desk.attempt(first) is not None
    assert desk.attempt(second) == length
    assert desk.now(second).attempts == 0  # not even claimed: no write was spent
    assert len(desk.wechat.calls) == 1
    desk.clock.advance(length)
    assert desk.attempt(second) is None
    assert desk.now(second).status is Status.SENT


def test_a_limit_holds_no_message_beyond_its_age(desk: Desk) -> None:
    first, second = desk.accept(openid="one"), desk.accept(openid="two")
    desk.clock.advance(15 * MINUTE - 30 * SECOND)
    desk.wechat.script = [QUOTA]
    assert desk.attempt(first) == 30 * SECOND
    assert desk.attempt(second) == 30 * SECOND
    desk.clock.advance(30 * SECOND)
    assert desk.attempt(second) is None
    assert (desk.now(second).status, len(desk.wechat.calls)) == (Status.FAILED, 1)


def test_a_limit_holds_nothing_that_needs_no_call(desk: Desk) -> None:
    first, second = desk.accept(openid="one"), desk.accept(openid="two")
    desk.attempt(second)
    desk.wechat.script = [QUOTA]
    desk.attempt(first)
    assert desk.attempt(second) is None  # settled: published again
    desk.worker.attempt("42", make_message_id("nobody"))


def test_an_ordinary_refusal_stops_nobody_else(desk: Desk) -> None:
    desk.wechat.script = [BUSY]
    first, second = desk.accept(openid="one"), desk.accept(openid="two")
    desk.attempt(first)
    assert desk.attempt(second) is None


def test_messages_grow_too_old_while_the_quota_is_used_up(desk: Desk) -> None:
    desk.wechat.script = [QUOTA] * 100
    message = desk.accept()
    while (delay := desk.attempt(message)) is not None:
        desk.clock.advance(delay)
    failure = desk.now(message).failure
    assert failure is not None
    assert (failure.code, failure.errcode) == ("expired", 45009)
    assert len(desk.wechat.calls) <= 8


# -- a caller's retry


@pytest.mark.parametrize("outcome", [CLOSED, CUT])
def test_a_failed_or_unknown_message_is_sent_again_on_request(desk: Desk, outcome: Outcome) -> None:
    desk.wechat.script = [outcome]
    message = desk.accept()
    desk.attempt(message)
    desk.clock.advance(20 * MINUTE)
    again = desk.acceptance.retry("42", message.message_id)
    assert (again.status, again.attempts) == (Status.ACCEPTED, 1)
    assert again.expires_at == desk.clock() + 15 * MINUTE
    assert desk.queue.messages == [("42", message.message_id)] * 2
    assert desk.attempt(message) is None
    assert (desk.now(message).status, desk.now(message).attempts) == (Status.SENT, 2)
    assert desk.told[-1] == "sent"


def test_a_retry_begins_a_new_round(desk: Desk) -> None:
    desk.wechat.script = [BUSY, CLOSED]
    message = desk.accept()
    desk.attempt(message)
    desk.attempt(message)
    settled = desk.now(message)
    again = desk.acceptance.retry("42", message.message_id)
    assert again == desk.now(message)
    assert again == replace(
        settled,
        status=Status.ACCEPTED,
        settled_at=0,
        risky_attempts=0,
        attempts_before=2,
        expires_at=settled.expires_at + 1,  # in the same millisecond, and yet another round
    )
    assert settled.risky_attempts == 1


def test_a_full_conversation_takes_no_retry(desk: Desk) -> None:
    desk.wechat.script = [CLOSED]
    message = desk.accept()
    desk.attempt(message)
    for _ in range(MOST_UNSETTLED):
        desk.accept()
    with pytest.raises(ConversationFullError):
        desk.acceptance.retry("42", message.message_id)
    assert desk.now(message).status is Status.FAILED


def test_the_second_failure_is_another_event(desk: Desk) -> None:
    desk.wechat.script = [CLOSED, CLOSED]
    message = desk.accept()
    desk.attempt(message)
    desk.acceptance.retry("42", message.message_id)
    desk.attempt(message)
    assert desk.told == ["failed", "failed"]


def test_what_was_unknown_is_not_called_failed_after_a_retry(desk: Desk) -> None:
    desk.wechat.script = [CUT, CLOSED]
    message = desk.accept()
    desk.attempt(message)
    desk.acceptance.retry("42", message.message_id)
    desk.attempt(message)
    assert desk.now(message).status is Status.UNKNOWN


def test_only_failed_and_unknown_messages_are_retried(desk: Desk) -> None:
    message = desk.accept()
    with pytest.raises(ConflictError):
        desk.acceptance.retry("42", message.message_id)
    desk.attempt(message)
    with pytest.raises(ConflictError):
        desk.acceptance.retry("42", message.message_id)
    with pytest.raises(NotFoundError):
        desk.acceptance.retry("42", make_message_id("nobody"))


def test_a_retry_that_was_not_queued_can_be_repeated(desk: Desk) -> None:
    desk.wechat.script = [CLOSED]
    message = desk.accept()
    desk.attempt(message)
    desk.queue.down = True
    desk.acceptance.retry("42", message.message_id)
    desk.queue.down = False
    assert desk.acceptance.retry("42", message.message_id).status is Status.ACCEPTED
    assert len(desk.queue.messages) == 2


def test_a_message_whose_text_is_not_kept_cannot_be_retried() -> None:
    desk = Desk(retention_days=0, wechat=ScriptedWeChat([CLOSED]))
    message = desk.accept()
    desk.attempt(message)
    with pytest.raises(ConflictError, match="no longer kept"):
        desk.acceptance.retry("42", message.message_id)


# -- the sweeper


def test_the_sweeper_queues_what_was_accepted_and_forgotten(desk: Desk) -> None:
    desk.queue.down = True
    desk.accept()
    desk.queue.down = False
    assert desk.sweeper.sweep() == {}  # it may still be in somebody's hands
    desk.clock.advance(MINUTE)
    assert desk.sweeper.sweep() == {"accepted": 1}
    assert len(desk.queue.messages) == 1
    assert desk.sweeper.sweep() == {}


def test_the_sweeper_marks_an_abandoned_claim_as_unknown_and_says_so(desk: Desk) -> None:
    message = desk.accept()
    desk.store.claim("42", message.message_id, now=desk.clock(), until=desk.clock() + CLAIM_MS)
    desk.clock.advance(MINUTE - 1)
    assert desk.sweeper.sweep() == {}
    desk.clock.advance(1)
    assert desk.sweeper.sweep() == {"sending": 1}
    assert desk.now(message).status is Status.UNKNOWN
    assert (desk.told, desk.reports) == (["unknown"], [Status.UNKNOWN])
    assert desk.sweeper.sweep() == {}


def test_the_sweeper_takes_a_claim_over_when_it_has_run_out_and_not_before(desk: Desk) -> None:
    message = desk.accept()
    desk.clock.advance(MINUTE)
    until = desk.clock() + 5
    desk.store.claim("42", message.message_id, now=desk.clock(), until=until)
    desk.clock.now = until - 1
    assert desk.sweeper.sweep() == {}
    desk.clock.now = until
    assert desk.sweeper.sweep() == {"sending": 1}


def test_the_sweeper_gives_an_abandoned_at_least_once_message_back(desk: Desk) -> None:
    message = desk.accept(guarantee=Guarantee.AT_LEAST_ONCE)
    desk.store.claim("42", message.message_id, now=desk.clock(), until=desk.clock() + CLAIM_MS)
    desk.clock.advance(MINUTE)
    assert desk.sweeper.sweep() == {"sending": 1}
    assert desk.now(message).status is Status.ACCEPTED
    assert desk.sweeper.sweep() == {}  # in line again, wherever its copy is
    assert desk.attempt(message) is None
    assert desk.now(message).status is Status.SENT


def test_the_sweeper_fails_what_lost_its_place_in_the_queue(desk: Desk) -> None:
    message = desk.accept()
    desk.clock.advance(15 * MINUTE)
    assert desk.sweeper.sweep() == {"accepted": 1}
    failure = desk.now(message).failure
    assert failure is not None
    assert (failure.code, desk.now(message).attempts, desk.told) == ("expired", 0, ["failed"])
    assert desk.sweeper.sweep() == {}


def test_the_sweeper_queues_a_waiting_message_once(desk: Desk) -> None:
    desk.wechat.script = [QUOTA]
    message = desk.accept()
    desk.attempt(message)
    desk.clock.advance(MINUTE)
    assert desk.sweeper.sweep() == {}  # it waits as it should: nothing was stuck
    desk.clock.advance(10 * MINUTE)
    with patch.object(desk.store, "postpone", side_effect=AssertionError):
        desk.sweeper.sweep()
    assert desk.errors == []  # once was enough
    assert desk.sweeper.sweep() == {}
    assert desk.queue.messages == [("42", message.message_id)]  # the same, dropped as a repeat


def test_the_sweeper_leaves_a_message_that_is_being_sent(desk: Desk) -> None:
    message = desk.accept()
    desk.clock.advance(MINUTE)
    desk.store.claim("42", message.message_id, now=desk.clock(), until=desk.clock() + CLAIM_MS)
    assert desk.sweeper.sweep() == {}
    assert desk.now(message).status is Status.SENDING


def test_what_the_sweeper_settles_is_published_when_the_queue_is_back(desk: Desk) -> None:
    message = desk.accept()
    desk.clock.advance(15 * MINUTE)
    desk.events.down = True
    desk.sweeper.sweep()
    assert desk.now(message).status is Status.FAILED
    assert (desk.told, len(desk.errors)) == ([], 1)
    desk.events.down = False
    assert desk.sweeper.sweep() == {"failed": 1}
    assert desk.told == ["failed"]
    assert desk.sweeper.sweep() == {}


def test_one_message_never_stops_the_pass(desk: Desk) -> None:
    broken, whole = desk.accept(openid="one"), desk.accept(openid="two")
    get = desk.store.get

    def read(business_id: str, message_id: str) -> OutboundMessage | None:
        if message_id == broken.message_id:
            raise KeyError("an attribute of another version")
        return get(business_id, message_id)

    desk.clock.advance(15 * MINUTE)
    with patch.object(desk.store, "get", side_effect=read):
        assert desk.sweeper.sweep() == {"accepted": 1}
    assert [type(error) for error in desk.errors] == [KeyError]
    assert desk.now(whole).status is Status.FAILED


def test_a_message_that_is_gone_is_no_fault(desk: Desk) -> None:
    message = desk.accept()
    nobody = replace(message, message_id=make_message_id("nobody"))
    with patch.object(desk.store, "list_due", return_value=[("42", nobody.message_id)]):
        assert desk.sweeper.sweep() == {}
        with patch.object(desk.store, "get", return_value=replace(nobody, expires_at=0)):
            desk.sweeper.sweep()  # gone between the read and the claim
    assert (desk.errors, desk.told) == ([], [])


def test_what_the_sweeper_settles_is_held_meanwhile(desk: Desk) -> None:
    message = desk.accept()
    desk.clock.advance(15 * MINUTE)
    with (
        patch.object(desk.store, "finish", side_effect=WorkerKilled),
        pytest.raises(WorkerKilled),
    ):
        desk.sweeper.sweep()
    assert desk.now(message).claimed_until == desk.clock() + CLAIM_MS


def test_a_pass_ends_with_its_time(desk: Desk) -> None:
    for openid in ("one", "two", "three"):
        desk.accept(openid=openid)
    desk.clock.advance(15 * MINUTE)
    left = iter([True, True, False])
    assert desk.sweeper.sweep(lambda: next(left)) == {"accepted": 2}
    assert desk.sweeper.sweep() == {"accepted": 1}


def test_a_claim_that_was_given_back_meanwhile_is_left_to_the_queue(desk: Desk) -> None:
    """Read as abandoned, and in line again before the sweeper takes it."""
    desk.wechat.script = [UNREACHABLE]
    message = desk.accept()
    now = desk.clock()
    desk.store.claim("42", message.message_id, now=now, until=now + 1)
    stale = desk.now(message)
    desk.store.finish(replace(stale, status=Status.ACCEPTED))
    desk.clock.advance(MINUTE)
    with patch.object(desk.store, "get", return_value=stale):
        desk.sweeper.sweep()
    given_back = desk.now(message)
    assert (given_back.status, given_back.attempts) == (Status.ACCEPTED, 1)
    assert given_back.claimed_until == 0
    assert desk.told == []


def test_the_sweeper_never_sends(desk: Desk) -> None:
    for setup in (Guarantee.AT_MOST_ONCE, Guarantee.AT_LEAST_ONCE):
        message = desk.accept(guarantee=setup)
        desk.store.claim("42", message.message_id, now=desk.clock(), until=desk.clock() + 1)
    desk.clock.advance(20 * MINUTE)
    for _ in range(3):
        desk.sweeper.sweep()
    assert desk.wechat.calls == []


def test_two_sweepers_at_once_do_what_one_does(desk: Desk) -> None:
    """Both have read the message before either repairs it."""
    message = desk.accept()
    desk.store.claim("42", message.message_id, now=desk.clock(), until=desk.clock() + CLAIM_MS)
    desk.clock.advance(MINUTE)

    stale = desk.now(message)
    desk.sweeper.sweep()
    with (
        patch.object(desk.store, "list_due", return_value=[("42", message.message_id)]),
        patch.object(desk.store, "get", return_value=stale),
    ):
        desk.sweeper.sweep()
    assert (desk.now(message).status, desk.told) == (Status.UNKNOWN, ["unknown"])


# -- any history


OUTCOMES: dict[str, Callable[[], Outcome | BaseException]] = {
    "sent": Sent,
    "closed": lambda: CLOSED,
    "busy": lambda: BUSY,
    "unreachable": lambda: UNREACHABLE,
    "minute": lambda: MINUTE_LIMIT,
    "quota": lambda: QUOTA,
    "cut": lambda: CUT,
    "killed": WorkerKilled,
}
STEPS = st.lists(
    st.one_of(
        st.sampled_from([*OUTCOMES]),
        st.sampled_from(["sweep", "again", "new worker"]),
        st.integers(0, 5 * MINUTE),
    ),
    max_size=25,
)


@given(steps=STEPS, guarantee=st.sampled_from(Guarantee))
def test_any_history_ends_in_one_true_state(steps: list[Any], guarantee: Guarantee) -> None:
    """Faults, kills, sweeps and repeats in any order: one final state, which is the truth."""
    desk = Desk()
    message = desk.accept(guarantee=guarantee)
    perhaps_delivered = 0

    def hand_out(outcome: str) -> None:
        nonlocal perhaps_delivered
        desk.wechat.script = [OUTCOMES[outcome]()]
        before = len(desk.wechat.calls)
        try:
            desk.attempt(message)
        except WorkerKilled:
            desk.worker = desk.new_worker()
        if len(desk.wechat.calls) > before and outcome in ("sent", "cut", "killed"):
            perhaps_delivered += 1

    for step in steps:
        if isinstance(step, int):
            desk.clock.advance(step)
        elif step == "sweep":
            desk.sweeper.sweep()
        elif step == "new worker":
            desk.worker = desk.new_worker()
        elif step == "again":
            hand_out("sent") if desk.now(message).status.settled else None
        else:
            hand_out(step)

    for _ in range(20):  # the queue goes on handing it out until it is settled
        desk.clock.advance(2 * MINUTE)
        hand_out("closed")
    final = desk.now(message)
    assert final.status.settled
    if guarantee is Guarantee.AT_MOST_ONCE:
        assert perhaps_delivered <= 1
    if final.status is Status.FAILED:
        assert perhaps_delivered == 0
    if final.status in (Status.SENT, Status.UNKNOWN):
        assert perhaps_delivered >= 1
    assert set(desk.told) == {str(final.status)}
    assert len(desk.events.events) == 1
