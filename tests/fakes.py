"""The domain's protocols in memory. The contract suites hold them to what the real adapters do."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

from wechat_kf.adapters.aws.dynamo import cursor as encode_cursor
from wechat_kf.adapters.aws.dynamo import cursor_parts, invalid_cursor
from wechat_kf.app_errors import ConflictError, UnavailableError
from wechat_kf.domain.access_token import AccessToken, ForcedRefreshes
from wechat_kf.domain.clock import DAY, MINUTE, Clock
from wechat_kf.domain.events import Event, conversation_key
from wechat_kf.domain.media_library import StoredMedia
from wechat_kf.domain.merchants.merchant import ChangedMeanwhileError, Merchant
from wechat_kf.domain.messages.broadcasts import Broadcast
from wechat_kf.domain.messages.conversations import Conversation
from wechat_kf.domain.messages.message import OutboundMessage, Status
from wechat_kf.domain.messages.message_ids import log_id, message_key, new_message_id
from wechat_kf.domain.messages.ports import Claim, Claimed, KeyBinding
from wechat_kf.domain.messages.transcript import Direction, TranscriptEntry
from wechat_kf.domain.paging import Page
from wechat_kf.domain.subscriptions.circuit import Circuit
from wechat_kf.domain.subscriptions.delivery import Delivery, FailedAttempt
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    Subscription,
    SubscriptionKey,
)


@dataclass
class FakeClock:
    """A clock that stands still until a test moves it."""

    now: int = 1_767_225_600_000

    def __call__(self) -> int:
        return self.now

    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds


class InMemoryMerchants:
    """`MerchantStore` and `SyncPlace`."""

    def __init__(self) -> None:
        self._merchants: dict[str, Merchant] = {}
        self._place = ""
        self._lock = threading.Lock()

    def add(self, merchant: Merchant) -> Merchant:
        with self._lock:
            if known := self._merchants.get(merchant.business_id):
                return known
            if owner := self.find_by_account_name(merchant.account_name):
                self._refuse("account_name", owner)
            self._require_free(merchant)
            self._merchants[merchant.business_id] = merchant
            return merchant

    def update(self, before: Merchant, after: Merchant) -> Merchant:
        with self._lock:
            known = self._merchants.get(before.business_id)
            stored = replace(after, version=before.version + 1)
            if known == stored:
                return stored
            if known is None or known.version != before.version:
                raise ChangedMeanwhileError
            self._require_free(after)
            self._merchants[after.business_id] = stored
            return stored

    def _require_free(self, merchant: Merchant) -> None:
        if merchant.external_id is None:
            return
        owner = self.find_by_external_id(merchant.external_id)
        if owner and owner.business_id != merchant.business_id:
            self._refuse("external_id", owner)

    def _refuse(self, field: str, owner: Merchant) -> NoReturn:
        raise ConflictError(f"{field} is taken", field=field, business_id=owner.business_id)

    def get(self, business_id: str) -> Merchant | None:
        return self._merchants.get(business_id)

    def find_by_account_name(self, account_name: str) -> Merchant | None:
        found = (one for one in self._merchants.values() if one.account_name == account_name)
        return next(found, None)

    def find_by_external_id(self, external_id: str) -> Merchant | None:
        found = (one for one in self._merchants.values() if one.external_id == external_id)
        return next(found, None)

    def list(self, *, limit: int, cursor: str | None) -> Page[Merchant]:
        after = cursor_parts(cursor, str)[0] if cursor else ""
        ids = sorted(business_id for business_id in self._merchants if business_id > after)
        page = [self._merchants[business_id] for business_id in ids[:limit]]
        more = len(ids) > limit
        return Page(page, encode_cursor(page[-1].business_id) if more else None)

    def read_place(self) -> str:
        return self._place

    def write_place(self, business_id: str) -> None:
        self._place = business_id


class InMemoryConversations:
    """`ConversationStore`, `KnownBuyers` and `GreetingRegister`."""

    def __init__(self) -> None:
        self._conversations: dict[tuple[str, str], Conversation] = {}
        self._greetings: dict[tuple[str, str], tuple[int, str]] = {}

    def find_known(self, business_id: str, openids: Sequence[str]) -> set[str]:
        return {openid for openid in openids if (business_id, openid) in self._conversations}

    def reserve_greeting(
        self, event: Event, *, now: int, silent_since: int, ungreeted_since: int
    ) -> bool:
        key = (event.business_id, event.openid)
        known = self._conversations.get(key)
        if known is None:
            return False
        at, event_id = self._greetings.get(key, (0, ""))
        if event_id != event.id and (known.messaged_at > silent_since or at > ungreeted_since):
            return False
        self._greetings[key] = (now, event.id)
        return True

    def record_message(self, business_id: str, openid: str, at_ms: int) -> None:
        known = self._known(business_id, openid)
        self._store(replace(known, messaged_at=max(known.messaged_at, at_ms)))

    def record_entry(self, business_id: str, openid: str, at_ms: int) -> None:
        known = self._known(business_id, openid)
        self._store(replace(known, entered_at=max(known.entered_at, at_ms)))

    def get(self, business_id: str, openid: str, *, consistent: bool = True) -> Conversation | None:
        return self._conversations.get((business_id, openid))

    def recent(self, business_id: str, *, limit: int, cursor: str | None) -> Page[Conversation]:
        mine = [one for one in self._conversations.values() if one.business_id == business_id]
        places = sorted(((one.active_at // MINUTE, one.openid) for one in mine), reverse=True)
        if cursor:
            openid, minute = cursor_parts(cursor, str, int)
            places = [place for place in places if place < (minute, openid)]
        page = places[:limit]
        end = encode_cursor(page[-1][1], page[-1][0]) if len(places) > limit else None
        found = [self._conversations[business_id, openid] for _, openid in page]
        return Page(sorted(found, key=lambda one: one.active_at, reverse=True), end)

    def _known(self, business_id: str, openid: str) -> Conversation:
        return self.get(business_id, openid) or Conversation(business_id, openid)

    def _store(self, conversation: Conversation) -> None:
        self._conversations[conversation.business_id, conversation.openid] = conversation


def make_message_id(name: str, openid: str = "buyer", at: int = FakeClock.now) -> str:
    """The id that a test calls `name`: always the same one."""
    return new_message_id(openid, at, hashlib.sha256(name.encode()).hexdigest())


class InMemoryMessages:
    """`SweeperStore`, `Transcript` and `TranscriptReader`."""

    def __init__(self, retention_days: int, clock: Clock) -> None:
        self._retention_days = retention_days
        self._clock = clock
        self._messages: dict[tuple[str, str], OutboundMessage] = {}
        self._received: dict[tuple[str, str], Event] = {}
        self._due: dict[tuple[str, str], int] = {}
        self._kept_until: dict[tuple[str, str], int] = {}
        self._bindings: dict[tuple[str, str], KeyBinding] = {}
        self._claims = 0
        self._lock = threading.Lock()

    def add(self, message: OutboundMessage) -> OutboundMessage:
        with self._lock:
            known = self.get(message.business_id, message.message_id)
            if known is None:
                self._store(message)
                if not message.status.settled:
                    self._due[_name(message)] = self._clock() + MINUTE
            return known or message

    def bind_key(self, binding: KeyBinding) -> KeyBinding:
        with self._lock:
            known = self.find_key(binding.business_id, binding.key_id)
            if known is None:
                self._bindings[binding.business_id, binding.key_id] = binding
            return known or binding

    def find_key(self, business_id: str, key_id: str) -> KeyBinding | None:
        found = self._bindings.get((business_id, key_id))
        key = message_key(found.message_id) if found else None
        return None if key and self._is_over(key.accepted_at, self._retention_days or 7) else found

    def claim(self, business_id: str, message_id: str, *, now: int, until: int) -> Claim:
        with self._lock:
            message = self._messages.get((business_id, message_id))
            if message is None:
                return Claim(Claimed.ABSENT, None)
            if message.status.settled:
                return Claim(Claimed.SETTLED, message)
            self._claims += 1
            ours = replace(message, claimed_until=until, claim_id=f"claim-{self._claims}")
            if message.status is not Status.SENDING:
                attempts = message.attempts + 1
                ours = replace(ours, status=Status.SENDING, attempts=attempts)
                return Claim(Claimed.OURS, self._store(ours))
            if now < message.claimed_until:
                return Claim(Claimed.HELD, message)
            return Claim(Claimed.ABANDONED, self._store(ours))

    def finish(self, message: OutboundMessage, *, published: bool = True) -> None:
        with self._lock:
            if self._messages[_name(message)].claim_id != message.claim_id:
                raise ConflictError("another worker has taken this message over")
            if message.status.settled and published:
                self._due.pop(_name(message), None)
            dropped = message.status.settled and not self._retention_days
            content = {} if dropped else message.content
            self._store(replace(message, claimed_until=0, content=content))

    def reopen(self, message: OutboundMessage) -> bool:
        with self._lock:
            stored = self._messages[_name(message)]
            settled = stored.status in (Status.FAILED, Status.UNKNOWN)
            if not settled or stored.attempts != message.attempts:
                return stored.expires_at == message.expires_at
            self._due[_name(message)] = self._clock() + MINUTE
            self._kept_until[_name(message)] = message.expires_at + DAY
            self._store(replace(message, claim_id=""))
            return True

    def get_many(self, business_id: str, message_ids: Sequence[str]) -> list[OutboundMessage]:
        found = (self.get(business_id, message_id) for message_id in message_ids)
        return [message for message in found if message]

    def get(self, business_id: str, message_id: str) -> OutboundMessage | None:
        message = self._messages.get((business_id, message_id))
        if message is None:
            return None
        over = self._is_over(message.accepted_at, self._retention_days or 7)
        kept = self._clock() < self._kept_until.get(_name(message), 0)
        return None if over and not kept else message

    def sent_at(self, business_id: str, openid: str, *, since: int) -> list[int]:
        latest = sorted(self._entries(conversation_key(business_id, openid)), reverse=True)
        ids = [entry.entry_id for position, entry in latest if int(position[:13]) >= since - MINUTE]
        found = (self._messages.get((business_id, entry_id)) for entry_id in ids[:8])
        return [
            one.settled_at
            for one in found
            if one and one.status in (Status.SENT, Status.UNKNOWN) and one.settled_at >= since
        ]

    def list_unsettled(self, business_id: str, openid: str, *, limit: int) -> list[str]:
        mine = conversation_key(business_id, openid)
        due = sorted(self._due.items(), key=lambda entry: entry[1])
        found = [name[1] for name, _ in due if self._messages[name].conversation == mine]
        return sorted(found[:limit])

    def list_due(self, *, now: int) -> Iterator[tuple[str, str]]:
        yield from [name for name, at in self._due.items() if at <= now]

    def postpone(self, message: OutboundMessage, *, until: int) -> None:
        with self._lock:
            stored = self._messages[_name(message)]
            if stored.status is Status.ACCEPTED and stored.expires_at == message.expires_at:
                self._due[_name(message)] = until

    def mark_published(self, message: OutboundMessage) -> None:
        with self._lock:
            stored = self._messages[_name(message)]
            if stored.status.settled and stored.expires_at == message.expires_at:
                self._due.pop(_name(message), None)

    def keep(self, event: Event) -> None:
        if self._retention_days:
            self._received.setdefault((event.business_id, event.id), event)

    def transcript(
        self, business_id: str, openid: str, *, limit: int, cursor: str | None
    ) -> Page[TranscriptEntry]:
        entries = sorted(self._entries(conversation_key(business_id, openid)), reverse=True)
        if cursor:
            (position,) = cursor_parts(cursor, str)
            if position[13:14] not in ("r", "s"):
                raise invalid_cursor()
            entries = [entry for entry in entries if entry[0] < position]
        page = entries[:limit]
        end = encode_cursor(page[-1][0]) if len(entries) > limit else None
        return Page([entry for _, entry in page], end)

    def _entries(self, conversation: str) -> Iterable[tuple[str, TranscriptEntry]]:
        for one in self._messages.values():
            if one.conversation == conversation and self.get(*_name(one)):
                sent = TranscriptEntry(
                    one.message_id, Direction.SENT, one.accepted_at, one.content, one.status
                )
                yield log_id(one.message_id), sent
        for event in self._received.values():
            if event.conversation == conversation and not self._is_over(
                event.at_ms, self._retention_days
            ):
                order = event.data.get("message_id", "")
                content = event.data["message"]
                received = TranscriptEntry(event.id, Direction.RECEIVED, event.at_ms, content)
                yield f"{event.at_ms:013d}r{order:0>20}{event.id}", received

    def _is_over(self, since: int, days: int) -> bool:
        return (since + days * DAY) // 1000 <= self._clock() // 1000

    def _store(self, message: OutboundMessage) -> OutboundMessage:
        self._messages[_name(message)] = message
        return message


def _name(message: OutboundMessage) -> tuple[str, str]:
    return message.business_id, message.message_id


class InMemorySubscriptions:
    """`SubscriptionStore`."""

    def __init__(self) -> None:
        self._subscriptions: dict[tuple[str, str], Subscription] = {}
        self._lock = threading.Lock()

    def add(self, subscription: Subscription) -> None:
        key = (subscription.business_id, subscription.subscription_id)
        self._subscriptions[key] = subscription

    def get(self, business_id: str, subscription_id: str) -> Subscription | None:
        return self._subscriptions.get((business_id, subscription_id))

    def list(self, business_id: str) -> Sequence[Subscription]:
        return [
            replace(one, secrets=())
            for key, one in sorted(self._subscriptions.items())
            if key[0] == business_id
        ]

    def remove(self, business_id: str, subscription_id: str) -> bool:
        return self._subscriptions.pop((business_id, subscription_id), None) is not None

    def update(self, subscription: Subscription) -> bool:
        with self._lock:
            known = self._same(subscription)
            if known is None or known.revision != subscription.revision:
                return False
            revision = known.revision + 1
            self.add(
                replace(
                    subscription,
                    revision=revision,
                    circuit=known.circuit,
                    created_at=known.created_at,
                    parking_since=known.parking_since,
                    slow_until=known.slow_until,
                    last_error=known.last_error,
                )
            )
            return True

    def note_failure(self, key: SubscriptionKey, error: LastError) -> None:
        self.change(key, last_error=error)

    def count_failure(
        self, key: SubscriptionKey, event_id: str, error: LastError
    ) -> Circuit | None:
        with self._lock:
            known = self.get(*key)
            if known is None:
                return None
            circuit = known.circuit.count_failure(event_id, error.at)
            self.add(replace(known, circuit=circuit, last_error=error))
            return circuit

    def mark_slow(self, key: SubscriptionKey, until: int) -> None:
        self.change(key, slow_until=until)

    def change(self, key: SubscriptionKey, **members: Any) -> None:
        """What the backlog, too, writes into the row."""
        with self._lock:
            if known := self.get(*key):
                self.add(replace(known, **members))

    def move_circuit(self, subscription: Subscription, circuit: Circuit) -> bool:
        with self._lock:
            known = self._same(subscription)
            if known is None or known.circuit.open_until != subscription.circuit.open_until:
                return False
            suspects = known.circuit.suspects
            self.add(replace(known, circuit=replace(circuit, suspects=suspects)))
            return True

    def _same(self, subscription: Subscription) -> Subscription | None:
        return self.get(subscription.business_id, subscription.subscription_id)


class InMemoryTokens:
    """`TokenStore`."""

    def __init__(self) -> None:
        self._token: AccessToken | None = None
        self._forced = ForcedRefreshes()
        self._lease: tuple[str, int] | None = None
        self._written_by = ""
        self._lock = threading.Lock()

    def read(self) -> AccessToken | None:
        return self._token

    def take_lease(self, owner: str, *, now: int, until: int) -> ForcedRefreshes | None:
        with self._lock:
            if self._lease and self._lease[0] != owner and now < self._lease[1]:
                return None
            self._lease = (owner, until)
            return self._forced

    def record_forced(self, forced: ForcedRefreshes, owner: str) -> bool:
        with self._lock:
            if not self._lease or self._lease[0] != owner:
                return False
            self._forced = forced
            return True

    def write(self, token: AccessToken, owner: str) -> bool:
        with self._lock:
            newer = self._token is None or self._token.requested_at < token.requested_at
            if not newer or not self._lease or self._lease[0] != owner:
                return self._token == token and self._written_by == owner
            self._token, self._lease, self._written_by = token, None, owner
            return True

    def drop_lease(self, owner: str) -> None:
        with self._lock:
            if self._lease and self._lease[0] == owner:
                self._lease = None


@dataclass
class RecordingEvents:
    """`EventQueue`: what was put, one per id; `down` makes it fail."""

    events: dict[str, Event] = field(default_factory=dict)
    down: bool = False

    def put(self, event: Event) -> None:
        if self.down:
            raise UnavailableError("the queue does not answer")
        self.events.setdefault(event.id, event)

    def put_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self.put(event)


def ignore_report(*_: object) -> None:
    """A report that a test does not look at."""


@dataclass
class RecordingOutbound:
    """`OutboundQueue` and `BulkQueue`: the ids put, without repeats; `down` makes it fail."""

    messages: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    _seen: set[str] = field(default_factory=set)

    def put(self, message: OutboundMessage) -> None:
        if self.down:
            raise UnavailableError("the queue does not answer")
        deduplication_id = f"{message.business_id}|{message.message_id}|{message.expires_at}"
        if deduplication_id not in self._seen:
            self._seen.add(deduplication_id)
            self.messages.append((message.business_id, message.message_id))

    def put_all(self, messages: Iterable[OutboundMessage]) -> None:
        for message in messages:
            self.put(message)


@dataclass
class RecordingDeliveries:
    """`DeliveryQueue`: what was put, one per event and subscription; `down` makes it fail."""

    deliveries: dict[tuple[str, str], Delivery] = field(default_factory=dict)
    down: bool = False

    def put(self, deliveries: list[Delivery]) -> None:
        if self.down:
            raise UnavailableError("the queue does not answer")
        for delivery in deliveries:
            self.deliveries.setdefault((delivery.event.id, delivery.subscription_id), delivery)


@dataclass
class RecordingAttempts:
    """`AttemptLog`: all failed attempts, oldest first."""

    attempts: list[tuple[SubscriptionKey, FailedAttempt]] = field(default_factory=list)

    def add(self, key: SubscriptionKey, attempt: FailedAttempt) -> None:
        self.attempts.append((key, attempt))

    def latest(self, key: SubscriptionKey, limit: int) -> Sequence[FailedAttempt]:
        return [attempt for one, attempt in reversed(self.attempts) if one == key][:limit]


class InMemoryBroadcasts:
    """`BroadcastStore`."""

    def __init__(self, retention_days: int, clock: Clock) -> None:
        self._keep_text = retention_days > 0
        self._life = (retention_days or 7) * DAY
        self._clock = clock
        self._broadcasts: dict[tuple[str, str], Broadcast] = {}

    def finish(self, business_id: str, broadcast_id: str) -> None:
        found = self.get(business_id, broadcast_id)
        if found and not self._keep_text:
            self._broadcasts[business_id, broadcast_id] = replace(found, content={})

    def add(self, broadcast: Broadcast) -> Broadcast:
        known = self.get(broadcast.business_id, broadcast.broadcast_id)
        if known is None:
            self._broadcasts[broadcast.business_id, broadcast.broadcast_id] = broadcast
        return known or broadcast

    def get(self, business_id: str, broadcast_id: str) -> Broadcast | None:
        found = self._broadcasts.get((business_id, broadcast_id))
        over = found is None or found.accepted_at + self._life <= self._clock()
        return None if over else found


@dataclass
class RecordingBroadcasts:
    """`BroadcastQueue`: what was put, in order; `down` makes it fail."""

    broadcasts: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False

    def put(self, broadcast: Broadcast) -> None:
        if self.down:
            raise UnavailableError("the queue does not answer")
        self.broadcasts.append((broadcast.business_id, broadcast.broadcast_id))


class InMemoryMedia:
    """`MediaCache`."""

    def __init__(self) -> None:
        self._media: dict[str, StoredMedia] = {}
        self.forgotten: dict[str, int] = {}

    def get(self, digest: str) -> StoredMedia | None:
        found = self._media.get(digest)
        return found if found and found.media_id not in self.forgotten else None

    def put(self, digest: str, media: StoredMedia) -> None:
        self._media[digest] = media

    def forget(self, media_id: str, until: int) -> None:
        self.forgotten[media_id] = until
