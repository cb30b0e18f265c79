"""The layer in process: its own producers, use cases and batch consumer on fakes that fail."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from tests.chaos.hooks import Hooks
from tests.chaos.sqs import FifoQueue, SqsClient
from tests.chaos.timeline import Timeline
from tests.chaos.weather import Crash, Exposed, Weather
from tests.chaos.wechat_side import InProcessTransport
from tests.fake_backlog import InMemoryBacklog
from tests.fakes import (
    InMemoryConversations,
    InMemoryMessages,
    InMemorySubscriptions,
    InMemoryTokens,
    RecordingAttempts,
)
from wechat_kf.adapters.aws.delivery_body import delivery_from_body
from wechat_kf.adapters.aws.delivery_queues import DeliverySqsQueue, DrainSqsQueue, drain_from_body
from wechat_kf.adapters.aws.inbound_queue import (
    EventSqsQueue,
    UnrecordedSqsQueue,
    event_from_body,
    is_delivered,
)
from wechat_kf.adapters.aws.outbound_queue import OutboundSqsQueue, outbound_from_body
from wechat_kf.adapters.aws.queue_batch import Record, VisibilityQueue, process_batch
from wechat_kf.adapters.wechat.push_receiver import PushPolicy, PushReceiver
from wechat_kf.adapters.wechat.sender import WeChatSender
from wechat_kf.adapters.wechat.token_issuer import StableTokenIssuer
from wechat_kf.app_errors import RetryLater, UnavailableError
from wechat_kf.domain.access_token import TokenKeeper, TokenProvider
from wechat_kf.domain.clock import MINUTE, SECOND, Clock
from wechat_kf.domain.events import Event, EventQueue
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.attempt import Attempt
from wechat_kf.domain.messages.inbound import Inbound
from wechat_kf.domain.messages.sweeper import Sweeper
from wechat_kf.domain.subscriptions.backlog import BacklogStore, Parked
from wechat_kf.domain.subscriptions.courier import Courier
from wechat_kf.domain.subscriptions.dispatch import Dispatch
from wechat_kf.domain.subscriptions.drain import BacklogWatch, Drain
from wechat_kf.domain.subscriptions.fanout import FanOut
from wechat_kf.domain.subscriptions.subscription import TargetType
from wechat_kf.domain.subscriptions.subscription_memory import (
    CachedSubscriptions,
    SubscriptionMemory,
)
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.push import PushMode
from wechat_kf_local.simulator.world import World

T = TypeVar("T")
Handle = Callable[[Record], None]

LOOK_AGAIN_MS = 10
MAX_AGE_MS = 15 * MINUTE


class Consumer:
    """A queue's event source with one worker at a time, which a crash replaces."""

    def __init__(
        self, timeline: Timeline, queue: FifoQueue, client: SqsClient, start: Callable[[], Handle]
    ) -> None:
        self._timeline = timeline
        self._queue = queue
        self._visibility = VisibilityQueue(client, queue.url, reports_age=False)
        self._start = start
        self._handle: Handle | None = None
        self._due: int | None = None
        self.unexpected: list[str] = []
        self.before: Callable[[], None] = lambda: None
        self.crashed: Callable[[], None] = lambda: None
        queue.wake = self._wake

    def _wake(self, at: int) -> None:
        if self._due is None or at < self._due:
            self._due = at
            self._timeline.at(at, lambda: self._poll(at))

    def _poll(self, at: int) -> None:
        if at != self._due:  # an earlier look has been planned since
            return
        self._due = None
        if batch := self._queue.receive():
            self._invoke([message.record() for message in batch])
        following = self._queue.next_at()
        if following is not None:
            self._wake(max(following, self._timeline.clock() + LOOK_AGAIN_MS))

    def _invoke(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.before()
        try:
            self._handle = self._handle or self._start()
            with redirect_stdout(io.StringIO()):  # metrics
                answer = process_batch(
                    {"Records": records}, self._note_failures, queue=self._visibility
                )
        except Crash:
            self._handle = None
            self.crashed()
            return
        failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                self._queue.delete(record["messageId"])

    def _note_failures(self, record: Record) -> None:
        """Handle `record` and note an unexpected failure: each would be a fault of ours."""
        assert self._handle
        try:
            self._handle(record)
        except Exception as error:
            if not isinstance(error, RetryLater) and not getattr(error, "transient", False):
                self.unexpected.append(f"{record.message_id} {error!r}")
            raise


class Bundle:
    """Everything between WeChat's push and the subscribers, and back."""

    def __init__(self, timeline: Timeline, world: World, weather: Weather, hooks: Hooks) -> None:
        self._timeline = timeline
        self._clock = timeline.clock
        self._world = world
        self._weather = weather
        self._hooks = hooks
        # Visibility and receives as in template.yaml.
        self.inbound = FifoQueue("inbound", self._clock, visibility_seconds=120)
        self.deliveries = FifoQueue("deliveries", self._clock, visibility_seconds=180)
        self.outbound = FifoQueue("outbound", self._clock, visibility_seconds=180)
        self.drains = FifoQueue("drains", self._clock, visibility_seconds=180)
        queues = (self.inbound, self.deliveries, self.outbound, self.drains)
        self._sqs = SqsClient(queues, weather)
        self.messages = InMemoryMessages(30, self._clock)
        self.subscriptions = InMemorySubscriptions()
        self.backlog = InMemoryBacklog(self.subscriptions)
        self._drains = DrainSqsQueue(self._sqs, self.drains.url)
        self._conversations = InMemoryConversations()
        self._tokens = InMemoryTokens()
        self.consumers = [
            Consumer(timeline, self.inbound, self._sqs, self._inbound_worker),
            Consumer(timeline, self.deliveries, self._sqs, self._deliveries_worker),
            Consumer(timeline, self.outbound, self._sqs, self._outbound_worker),
            Consumer(timeline, self.drains, self._sqs, self._drains_worker),
        ]
        self.fan_outs: dict[str, tuple[int, int]] = {}
        for consumer in (self.consumers[1], self.consumers[3]):
            consumer.before = hooks.batch_begins
            consumer.crashed = hooks.batch_crashed
        self.consumers[3].crashed = hooks.drain_crashed

    def receiver(self) -> PushReceiver:
        """A new push function."""
        settings = self._world.settings
        return PushReceiver(
            PushPolicy(settings.app_id, PushMode.SECURE, max_age_seconds=600),
            _Secret({"token": settings.token, "encoding_aes_key": settings.encoding_aes_key}),
            EventSqsQueue(self._sqs, self.inbound.url),
            self._clock,
        )

    def acceptance(self) -> Acceptance:
        """A new messages function."""
        queue = OutboundSqsQueue(self._sqs, self.outbound.url)
        store = self._exposed(self.messages)
        return Acceptance(store, queue, self._clock, MAX_AGE_MS, lambda *_: None)

    def wake_drains(self) -> None:
        """The sweeper's other task."""
        try:
            BacklogWatch(
                self._exposed(self.subscriptions),
                self._exposed(self.backlog),
                self._drains,
                self._clock,
            ).wake()
        except (Crash, UnavailableError):
            return

    def sweep(self) -> None:
        """One run of the sweeper, which may die like everyone else."""
        sweeper = Sweeper(
            self._exposed(self.messages),
            OutboundSqsQueue(self._sqs, self.outbound.url),
            self._new_fan_out(),
            self._clock,
            self._world.settings.app_id,
            report=lambda *_: None,
            report_error=lambda *_: None,
        )
        try:
            sweeper.sweep()
        except (Crash, UnavailableError):
            return

    def _inbound_worker(self) -> Handle:
        inbound = Inbound(
            conversations=self._exposed(self._conversations),
            transcript=self._exposed(self.messages),
            subscribers=self._new_fan_out(),
            unrecorded=UnrecordedSqsQueue(self._sqs, self.inbound.url),
        )

        def handle(record: Record) -> None:
            event = event_from_body(record.body)
            if is_delivered(record.body):
                inbound.record(event)
            else:
                inbound.handle(event)

        return handle

    def _new_fan_out(self) -> EventQueue:
        """Return the fan-out of a new worker; it notes when it was asked to fan an event out."""
        fan_out = FanOut(
            subscriptions=CachedSubscriptions(self._exposed(self.subscriptions), self._clock),
            deliveries=DeliverySqsQueue(self._sqs, self.deliveries.url),
            clock=self._clock,
        )
        return _Noting(fan_out, self.fan_outs, self._clock)

    def _deliveries_worker(self) -> Handle:
        memory, courier = self._courier()
        backlog = self._exposed(self.backlog)
        dispatch = Dispatch(memory, courier, backlog, self._drains, self._clock)

        def handle(record: Record) -> None:
            delivery = delivery_from_body(record.body, record.sequence_number)
            dispatch.dispatch(delivery, repeated=record.receive_count > 1)

        return handle

    def _drains_worker(self) -> Handle:
        memory, courier = self._courier()
        backlog = _Remembering(self._exposed(self.backlog), self._hooks.remembered)
        drain = Drain(memory, courier, cast(BacklogStore, backlog), self._drains, self._clock)

        def handle(record: Record) -> None:
            key, lane = drain_from_body(record.body)
            if lane:
                drain.drain_lane(key, lane)
            else:
                drain.drain(key, record.sent_at_ms + MINUTE)

        return handle

    def _courier(self) -> tuple[SubscriptionMemory, Courier]:
        memory = SubscriptionMemory(self._exposed(self.subscriptions), self._clock)
        courier = Courier(
            subscriptions=memory,
            subscribers={TargetType.WEBHOOK: self._hooks},
            events=self._new_fan_out(),
            attempts=RecordingAttempts(),
            clock=self._clock,
            app_id=self._world.settings.app_id,
        )
        return memory, courier

    def _outbound_worker(self) -> Handle:
        transport = InProcessTransport(self._world, self._weather, self._clock.advance)
        client = WeChatClient(
            transport, tokens=self._token_provider(transport), app_id=self._world.settings.app_id
        )
        attempt = Attempt(
            store=self._exposed(self.messages),
            sender=WeChatSender(client),
            events=self._new_fan_out(),
            clock=self._clock,
            app_id=self._world.settings.app_id,
            report=lambda *_: None,
        )
        return lambda record: attempt.attempt(*outbound_from_body(record.body))

    def _token_provider(self, transport: InProcessTransport) -> TokenProvider:
        settings = self._world.settings
        secret = {"app_id": settings.app_id, "app_secret": settings.app_secret}
        keeper = TokenKeeper(
            store=self._tokens,
            issuer=StableTokenIssuer(settings.app_id, transport, lambda: secret, self._clock),
            clock=self._clock,
            owner="token",
            pause=lambda seconds: self._clock.advance(round(seconds * SECOND)),
        )
        return TokenProvider(self._tokens, _Refresher(keeper), self._clock)

    def _exposed(self, store: T) -> T:
        return cast(T, Exposed(store, self._weather))


@dataclass(frozen=True, slots=True)
class _Noting:
    """An `EventQueue` that notes when each event was first and last put."""

    fan_out: FanOut
    fan_outs: dict[str, tuple[int, int]]
    clock: Clock

    def put(self, event: Event) -> None:
        first, _ = self.fan_outs.get(event.id, (self.clock(), 0))
        self.fan_outs[event.id] = (first, self.clock())
        self.fan_out.put(event)


@dataclass(frozen=True, slots=True)
class _Remembering:
    """A backlog that notes what was delivered and could not be taken out."""

    backlog: BacklogStore
    remembered: set[tuple[str, str]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backlog, name)

    def remove(self, parked: Parked, now: int) -> None:
        receipt = (parked.delivery.subscription_id, parked.delivery.event.id)
        self.remembered.add(receipt)
        self.backlog.remove(parked, now)
        self.remembered.discard(receipt)


@dataclass(frozen=True, slots=True)
class _Refresher:
    """The token function, invoked: whatever fails there is "no token now" here."""

    keeper: TokenKeeper

    def refresh(self, refused: str | None) -> None:
        try:
            self.keeper.refresh(refused)
        except Exception as error:
            raise UnavailableError("the token function failed") from error


@dataclass(frozen=True, slots=True)
class _Secret:
    """Implements `SecretSource`: keys that never change."""

    keys: Mapping[str, str]

    def get(self) -> Mapping[str, str]:
        return self.keys

    def refresh_now(self) -> bool:
        return False
