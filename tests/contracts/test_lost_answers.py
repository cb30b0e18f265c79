"""Our own write, repeated, is ours; a rival's is not.

botocore repeats a write whose answer was lost, and the condition of the repeat fails. Each
conditional write runs with that loss: through the real botocore and a proxy that drops the answer,
and in random sequences that must end as the fake does without any loss. The messages table has
tests of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.contracts.aws_resources import Resources
from tests.fake_backlog import InMemoryBacklog
from tests.fakes import (
    FakeClock,
    InMemoryBroadcasts,
    InMemoryConversations,
    InMemoryMerchants,
    InMemorySubscriptions,
    InMemoryTokens,
    RecordingDeliveries,
    RecordingEvents,
)
from tests.lost_answers import LosingClient, LossyProxy
from tests.subscriptions import create_manager
from wechat_kf.adapters.aws.attempts_table import AttemptsTable
from wechat_kf.adapters.aws.backlog_table import BacklogTable
from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable
from wechat_kf.adapters.aws.conversations_table import ConversationsTable
from wechat_kf.adapters.aws.merchants_table import MerchantsTable
from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
from wechat_kf.adapters.aws.tokens_table import TokensTable
from wechat_kf.app_errors import ConflictError, NotFoundError
from wechat_kf.domain.access_token import AccessToken, ForcedRefreshes
from wechat_kf.domain.events import Event, EventType
from wechat_kf.domain.merchants.announcements import AnnouncedMerchants
from wechat_kf.domain.merchants.merchant import ChangedMeanwhileError, Merchant
from wechat_kf.domain.messages.broadcasts import Broadcast
from wechat_kf.domain.messages.message import Guarantee
from wechat_kf.domain.subscriptions.backlog import Parked
from wechat_kf.domain.subscriptions.circuit import MOST_SUSPECTS, Circuit
from wechat_kf.domain.subscriptions.delivery import Delivery, FailedAttempt
from wechat_kf.domain.subscriptions.management import SubscriptionManager
from wechat_kf.domain.subscriptions.subscription import (
    LastError,
    Subscription,
    SubscriptionStatus,
    Target,
    TargetType,
)
from wechat_kf_local.emulator import REGION, Emulator

SHOP = Merchant("42", "shop_42", "四十二号店", external_id="m-42", created_at=1, updated_at=1)
HOOK = Subscription(
    business_id="42",
    subscription_id="sub_1",
    target=Target(TargetType.WEBHOOK, "https://example.com/hook"),
    created_at=1,
    secrets=("whsec_old",),
)
TOKEN = AccessToken("token-1", requested_at=10, expires_at=7_200_000)
NOW = 1_767_225_600_000


def parked(number: int) -> Parked:
    """An event of one buyer that waits for `HOOK`."""
    event = Event(f"{number:064x}", EventType.MESSAGE_RECEIVED, "wx1", "42", "o1", NOW, {})
    return Parked.of(Delivery(*HOOK.key, event, NOW, str(number)))


@dataclass
class World:
    """Tables behind the proxy."""

    proxy: LossyProxy
    client: Any
    resources: Resources

    def table(self, name: str) -> str:
        return self.resources.table(name)

    def subscriptions(self) -> SubscriptionsTable:
        store = SubscriptionsTable(self.client, self.table("SubscriptionsTable"))
        store.add(HOOK)
        return store

    def merchants(self) -> MerchantsTable:
        store = MerchantsTable(self.client, self.table("MerchantsTable"))
        store.add(SHOP)
        return store

    def backlog(self) -> BacklogTable:
        rows = self.table("SubscriptionsTable")
        SubscriptionsTable(self.client, rows).add(HOOK)
        table = BacklogTable(self.client, self.table("BacklogTable"), rows)
        table.open(HOOK.key, NOW)
        return table

    def tokens(self) -> TokensTable:
        store = TokensTable(self.client, self.table("TokensTable"), "wx1")
        store.take_lease("me", now=0, until=60_000)
        return store


@pytest.fixture(scope="module")
def proxy(emulator: Emulator) -> Iterator[LossyProxy]:
    with LossyProxy(emulator.url).running() as running:
        yield running


@pytest.fixture
def world(proxy: LossyProxy, emulator: Emulator, resources: Resources) -> Iterator[World]:
    client = boto3.client(
        "dynamodb",
        endpoint_url=proxy.url,
        region_name=REGION,
        aws_access_key_id=emulator.access_key_id,
        aws_secret_access_key=emulator.secret_access_key,
    )
    before = len(proxy.lost)
    yield World(proxy, client, resources)
    assert len(proxy.lost) == before + 1  # the answer was lost indeed


def manager(store: SubscriptionsTable) -> SubscriptionManager:
    return create_manager(store, RecordingDeliveries(), FakeClock())


def test_a_rotated_secret_is_returned_and_the_old_one_signs_on(world: World) -> None:
    store = world.subscriptions()
    world.proxy.lose_next()
    rotated = manager(store).rotate_secret("42", "sub_1")
    assert rotated.secrets[1] == "whsec_old"
    assert store.get("42", "sub_1") == rotated


def test_a_paused_subscription_is_returned(world: World) -> None:
    store = world.subscriptions()
    world.proxy.lose_next()
    paused = manager(store).change("42", "sub_1", status=SubscriptionStatus.PAUSED)
    assert store.get("42", "sub_1") == paused


def test_a_removed_subscription_was_there(world: World) -> None:
    store = world.subscriptions()
    world.proxy.lose_next()
    manager(store).remove("42", "sub_1")
    with pytest.raises(NotFoundError):
        manager(store).remove("42", "sub_1")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Circuit(), Circuit(failures=5, failing_since=1, trips=1, open_until=9)),
        (Circuit(failures=5, open_until=9), Circuit(recovered_at=3)),
        (Circuit(failures=5, open_until=9), Circuit(failures=5, open_until=20)),
    ],
)
def test_the_worker_that_moved_the_circuit_knows_it(
    world: World, before: Circuit, after: Circuit
) -> None:
    store = world.subscriptions()
    store.add(replace(HOOK, circuit=before))
    world.proxy.lose_next()
    assert store.move_circuit(replace(HOOK, circuit=before), after) is True
    found = store.get("42", "sub_1")
    assert found is not None
    assert found.circuit == after


@pytest.mark.parametrize("known", [0, 1, MOST_SUSPECTS - 1, MOST_SUSPECTS])
def test_a_failure_is_counted_once(world: World, known: int) -> None:
    store = world.subscriptions()
    suspects = tuple(f"event-{number}" for number in range(known))
    store.add(replace(HOOK, circuit=Circuit(failures=known, suspects=suspects)))
    world.proxy.lose_next()
    counted = store.count_failure(HOOK.key, "e1", LastError(NOW, "answered 500", "t"))
    assert counted is not None
    assert (counted.failures, counted.knows("e1")) == (known + 1, True)
    found = store.get(*HOOK.key)
    assert found is not None
    assert found.circuit == counted


def test_an_event_is_parked_once(world: World) -> None:
    backlog = world.backlog()
    world.proxy.lose_next()
    assert backlog.park(parked(1), NOW) is True
    assert backlog.size(HOOK.key).waiting == 1


def test_a_failed_attempt_is_recorded_once(world: World, clock: FakeClock) -> None:
    attempts = AttemptsTable(world.client, world.table("BacklogTable"), clock)
    world.proxy.lose_next()
    attempts.add(HOOK.key, FailedAttempt(NOW, "e1", "t", "answered 500", 500, 12))
    assert len(attempts.latest(HOOK.key, 10)) == 1


def test_a_merchant_is_added_and_announced_once(world: World) -> None:
    events = RecordingEvents()
    table = MerchantsTable(world.client, world.table("MerchantsTable"))
    store = AnnouncedMerchants(table, events, "wx1", lambda event: None)
    world.proxy.lose_next()
    assert store.add(SHOP) == SHOP
    assert len(events.events) == 1


@pytest.mark.parametrize("external_id", ["m-42", "m-43", None])
def test_a_merchants_change_is_returned(world: World, external_id: str | None) -> None:
    store = world.merchants()
    wanted = replace(SHOP, nickname="新名字", external_id=external_id)
    world.proxy.lose_next()
    assert store.update(SHOP, wanted) == replace(wanted, version=1)
    assert store.get("42") == replace(wanted, version=1)


def test_a_lease_is_ours(world: World) -> None:
    store = TokensTable(world.client, world.table("TokensTable"), "wx1")
    world.proxy.lose_next()
    assert store.take_lease("me", now=0, until=60_000) == ForcedRefreshes()


def test_a_forced_refresh_is_recorded(world: World) -> None:
    store = world.tokens()
    world.proxy.lose_next()
    assert store.record_forced(ForcedRefreshes(1, 2, 3), "me") is True


def test_a_written_token_is_ours(world: World) -> None:
    store = world.tokens()
    world.proxy.lose_next()
    assert store.write(TOKEN, "me") is True
    assert store.read() == TOKEN


@pytest.mark.parametrize("record", ["record_message", "record_entry"])
def test_a_buyers_action_is_recorded(world: World, record: str) -> None:
    store = ConversationsTable(world.client, world.table("ConversationsTable"))
    world.proxy.lose_next()
    getattr(store, record)("42", "buyer", 5)
    found = store.get("42", "buyer")
    assert found is not None
    assert 5 in (found.messaged_at, found.entered_at)


def test_a_broadcast_is_returned_as_stored(world: World, clock: FakeClock) -> None:
    store = BroadcastsTable(world.client, world.table("MessagesTable"), 30, clock)
    new = broadcast("b1", clock())
    world.proxy.lose_next()
    assert store.add(new) == new


def broadcast(broadcast_id: str, now: int, digest: str = "d") -> Broadcast:
    return Broadcast(
        broadcast_id=broadcast_id,
        business_id="42",
        openids=("o1", "o2"),
        content={"type": "text", "text": "hi"},
        request_digest=digest,
        accepted_at=now,
        guarantee=Guarantee.AT_MOST_ONCE,
        duplicates=0,
    )


# Random sequences: each step is (what, which, lost). Whatever is lost, the real store answers and
# ends as the fake does.

Step = tuple[str, int, int, bool]
Act = Callable[[Any, str, int, int], Any]
EXAMPLES = 50
SLOW_EMULATOR = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


def steps(*names: str) -> st.SearchStrategy[list[Step]]:
    number = st.integers(0, 2)
    return st.lists(st.tuples(st.sampled_from(names), number, number, st.booleans()), max_size=8)


def assert_agreement(
    real: Any, fake: Any, client: LosingClient, todo: list[Step], act: Act
) -> None:
    for name, one, two, lost in todo:
        if lost:
            client.lose_next()
        assert act(real, name, one, two) == act(fake, name, one, two)


@pytest.fixture
def losing(dynamodb: Any) -> LosingClient:
    return LosingClient(dynamodb)


@settings(max_examples=EXAMPLES, suppress_health_check=SLOW_EMULATOR)
@given(todo=steps("update", "stale", "circuit", "stale_circuit", "remove", "add"))
def test_subscriptions_end_the_same(
    losing: LosingClient, resources: Resources, todo: list[Step]
) -> None:
    known: dict[int, Subscription] = {}

    def act(store: Any, name: str, one: int, two: int) -> Any:
        found = store.get("42", "sub_1")
        known.setdefault(id(store), found)
        base = known[id(store)] if name.startswith("stale") else found
        known[id(store)] = found
        match name:
            case "add":
                store.add(HOOK)
            case "remove":
                return store.remove("42", "sub_1"), store.get("42", "sub_1")
            case _ if base is None:
                return None
            case "update" | "stale":
                changed = replace(base, secrets=(f"whsec_{one}", *base.secrets[:1]))
                return store.update(changed), store.get("42", "sub_1")
            case _:
                moved = store.move_circuit(base, Circuit(failures=one, open_until=two))
                return moved, store.get("42", "sub_1")
        return None

    real = SubscriptionsTable(losing, resources.table("SubscriptionsTable"))
    fake = InMemorySubscriptions()
    for store in (real, fake):
        store.add(HOOK)
    assert_agreement(real, fake, losing, todo, act)


@settings(max_examples=EXAMPLES, suppress_health_check=SLOW_EMULATOR)
@given(todo=steps("park", "note", "remove", "bury", "recover", "revive", "close", "open"))
def test_backlogs_end_the_same(
    losing: LosingClient, resources: Resources, todo: list[Step]
) -> None:
    key = HOOK.key

    def act(store: Any, name: str, one: int, two: int) -> Any:
        event = parked(one)
        answer = None
        match name:
            case "open" | "close":
                answer = store.open(key, NOW) if name == "open" else store.close(key)
            case "note":
                answer = store.note(event.note_attempt(NOW + two, refused=False))
            case "remove":
                answer = store.remove(event, NOW), store.is_done(event.delivery)
            case "bury":
                answer = store.bury(event, "expired", NOW)
            case "recover":
                answer = store.ask_recovery(key, NOW)
            case "revive":
                answer = store.revive(key, NOW, two + 1)
            case _:
                answer = store.park(event, NOW)
        return answer, store.size(key), store.head(key, event.delivery.lane)

    rows = resources.table("SubscriptionsTable")
    real_rows, fake_rows = SubscriptionsTable(losing, rows), InMemorySubscriptions()
    real = BacklogTable(losing, resources.table("BacklogTable"), rows, pause=lambda _: None)
    fake = InMemoryBacklog(fake_rows)
    real.drop(key)
    for table, store in ((real_rows, real), (fake_rows, fake)):
        table.add(HOOK)
        store.open(key, NOW)
    assert_agreement(real, fake, losing, todo, act)


@settings(max_examples=EXAMPLES, suppress_health_check=SLOW_EMULATOR)
@given(todo=steps("add", "update", "stale"))
def test_merchants_end_the_same(
    losing: LosingClient, resources: Resources, todo: list[Step]
) -> None:
    first: dict[tuple[int, int], Merchant] = {}

    def act(store: Any, name: str, one: int, two: int) -> Any:
        merchant = Merchant(str(one + 1), f"shop_{two}", "店", external_id=f"m-{two}")
        found = store.get(merchant.business_id)
        try:
            if name == "add":
                return store.add(merchant)
            if found is None:
                return None
            first.setdefault((id(store), one), found)
            before = first[id(store), one] if name == "stale" else found
            external_id = f"m-{two}" if two else None
            return store.update(before, replace(before, nickname=f"{two}", external_id=external_id))
        except ConflictError as error:
            return error.members
        except ChangedMeanwhileError:
            return "changed meanwhile"

    real = MerchantsTable(losing, resources.table("MerchantsTable"), pause=lambda _: None)
    assert_agreement(real, InMemoryMerchants(), losing, todo, act)


@settings(max_examples=EXAMPLES, suppress_health_check=SLOW_EMULATOR)
@given(todo=steps("lease", "forced", "write", "drop"))
def test_tokens_end_the_same(losing: LosingClient, resources: Resources, todo: list[Step]) -> None:
    def act(store: Any, name: str, one: int, two: int) -> Any:
        owner = f"worker-{one}"
        match name:
            case "lease":
                return store.take_lease(owner, now=two, until=two + 1)
            case "forced":
                return store.record_forced(ForcedRefreshes(1, two, 3), owner)
            case "write":
                return store.write(AccessToken(f"token-{two}", two, 9), owner), store.read()
            case _:
                return store.drop_lease(owner)

    real = TokensTable(losing, resources.table("TokensTable"), "wx1")
    assert_agreement(real, InMemoryTokens(), losing, todo, act)


@settings(max_examples=EXAMPLES, suppress_health_check=SLOW_EMULATOR)
@given(todo=steps("record_message", "record_entry"))
def test_conversations_end_the_same(
    losing: LosingClient, resources: Resources, todo: list[Step]
) -> None:
    def act(store: Any, name: str, one: int, two: int) -> Any:
        getattr(store, name)("42", f"buyer-{one}", two + 1)
        return store.get("42", f"buyer-{one}")

    real = ConversationsTable(losing, resources.table("ConversationsTable"))
    assert_agreement(real, InMemoryConversations(), losing, todo, act)


@settings(max_examples=EXAMPLES, suppress_health_check=SLOW_EMULATOR)
@given(todo=steps("add", "finish"))
def test_broadcasts_end_the_same(
    losing: LosingClient, resources: Resources, todo: list[Step]
) -> None:
    clock = FakeClock()

    def act(store: Any, name: str, one: int, two: int) -> Any:
        if name == "finish":
            store.finish("42", f"b{one}")
            return store.get("42", f"b{one}")
        return store.add(broadcast(f"b{one}", clock(), f"digest-{two}"))

    real = BroadcastsTable(losing, resources.table("MessagesTable"), 0, clock)
    assert_agreement(real, InMemoryBroadcasts(0, clock), losing, todo, act)
