"""Settings and wiring that several functions share.

Imports stand inside the functions, so that no function pays at its start for what it does not use.
The push function wires itself, in its time budget, and does not import this module.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from wechat_kf.config import load_settings
from wechat_kf.domain.clock import now_ms
from wechat_kf.domain.messages.message_ids import log_id
from wechat_kf.observability import count, logger

if TYPE_CHECKING:
    from wechat_kf.adapters.aws.backlog_table import BacklogTable
    from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable
    from wechat_kf.adapters.aws.conversations_table import ConversationsTable
    from wechat_kf.adapters.aws.delivery_queues import DeliverySqsQueue, DrainSqsQueue
    from wechat_kf.adapters.aws.media_table import MediaTable
    from wechat_kf.adapters.aws.merchants_table import MerchantsTable
    from wechat_kf.adapters.aws.messages_table import MessagesTable
    from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable
    from wechat_kf.adapters.wechat.account import WeChatAccount
    from wechat_kf.domain.access_token import TokenProvider
    from wechat_kf.domain.events import Event
    from wechat_kf.domain.merchants.announcements import AnnouncedMerchants
    from wechat_kf.domain.messages.acceptance import Acceptance
    from wechat_kf.domain.messages.attempt import Attempt
    from wechat_kf.domain.messages.broadcasts import Broadcasts
    from wechat_kf.domain.messages.message import OutboundMessage
    from wechat_kf.domain.messages.permission import SendingPermission
    from wechat_kf.domain.messages.ports import MessageSender
    from wechat_kf.domain.messages.sweeper import Sweeper
    from wechat_kf.domain.messages.windows import SendWindows
    from wechat_kf.domain.subscriptions.delivery import Delivery
    from wechat_kf.domain.subscriptions.dispatch import Dispatch
    from wechat_kf.domain.subscriptions.drain import Drain
    from wechat_kf.domain.subscriptions.fanout import FanOut
    from wechat_kf.domain.subscriptions.subscription import Subscription
    from wechat_kf.wechat.client import WeChatClient

# Mix-ins for the settings class of a function.


class SubscriptionSettings:
    """Environment of a function that reads subscriptions or queues deliveries to them."""

    subscriptions_table: str
    deliveries_queue_url: str


class EventSettings(SubscriptionSettings):
    """Environment of a function that emits events."""

    app_id: str


class MerchantSettings:
    """Environment of a function that reads or writes merchants."""

    merchants_table: str


class MessageSettings:
    """Environment of a function that stores or queues messages to buyers."""

    messages_table: str
    outbound_queue_url: str
    transcript_retention_days: int


class ConversationSettings:
    """Environment of a function that reads or writes conversations."""

    conversations_table: str


class AcceptanceSettings(MessageSettings, MerchantSettings, ConversationSettings):
    """Environment of a function that accepts messages from callers."""

    outbound_max_age_seconds: int


class SendRuleSettings:
    """What this stack lets callers send; read where it matters."""

    allow_menu_messages: bool = False
    allow_unregistered_merchants: bool = False
    require_conversation: bool = True


class MerchantChangeSettings(MerchantSettings, EventSettings):
    """Environment of a function that changes merchants: subscribers are notified."""


class AttemptSettings(MessageSettings, EventSettings):
    """Environment of a function that settles messages: subscribers are notified."""


class TokenSettings:
    """Environment of a function that calls WeChat, besides `WeChatSettings`."""

    app_id: str
    tokens_table: str
    token_function: str


class BacklogSettings(SubscriptionSettings):
    """Environment of a function that uses the backlog of subscriptions."""

    backlog_table: str
    drains_queue_url: str


class DeliverySettings(EventSettings, BacklogSettings):
    """Environment of the deliveries function."""

    allow_loopback_subscribers: bool = False


@cache
def dynamodb() -> Any:
    """Return the function's one DynamoDB client."""
    from wechat_kf.adapters.aws.clients import dynamodb_client

    return dynamodb_client()


@cache
def sqs() -> Any:
    """Return the function's one SQS client."""
    from wechat_kf.adapters.aws.clients import sqs_client

    return sqs_client()


def merchants_table(settings: MerchantSettings) -> MerchantsTable:
    from wechat_kf.adapters.aws.merchants_table import MerchantsTable

    return MerchantsTable(dynamodb(), settings.merchants_table)


def messages_table(settings: MessageSettings) -> MessagesTable:
    from wechat_kf.adapters.aws.messages_table import MessagesTable

    return MessagesTable(
        dynamodb(), settings.messages_table, settings.transcript_retention_days, now_ms
    )


def broadcasts_table(settings: MessageSettings) -> BroadcastsTable:
    from wechat_kf.adapters.aws.broadcasts_table import BroadcastsTable

    return BroadcastsTable(
        dynamodb(), settings.messages_table, settings.transcript_retention_days, now_ms
    )


def media_table(settings: MessageSettings, app_id: str) -> MediaTable:
    from wechat_kf.adapters.aws.media_table import MediaTable

    return MediaTable(dynamodb(), settings.messages_table, app_id)


def conversations_table(settings: ConversationSettings) -> ConversationsTable:
    from wechat_kf.adapters.aws.conversations_table import ConversationsTable

    return ConversationsTable(dynamodb(), settings.conversations_table)


def subscriptions_table(settings: SubscriptionSettings) -> SubscriptionsTable:
    from wechat_kf.adapters.aws.subscriptions_table import SubscriptionsTable

    return SubscriptionsTable(dynamodb(), settings.subscriptions_table)


def delivery_queue(settings: SubscriptionSettings) -> DeliverySqsQueue:
    from wechat_kf.adapters.aws.delivery_queues import DeliverySqsQueue

    return DeliverySqsQueue(sqs(), settings.deliveries_queue_url)


def backlog_table(settings: BacklogSettings) -> BacklogTable:
    from wechat_kf.adapters.aws.backlog_table import BacklogTable

    return BacklogTable(dynamodb(), settings.backlog_table, settings.subscriptions_table)


def drain_queue(settings: BacklogSettings) -> DrainSqsQueue:
    from wechat_kf.adapters.aws.delivery_queues import DrainSqsQueue

    return DrainSqsQueue(sqs(), settings.drains_queue_url)


def fan_out(settings: EventSettings) -> FanOut:
    """Wire the queueing of deliveries to the subscribers of an event."""
    from wechat_kf.domain.subscriptions.fanout import FanOut
    from wechat_kf.domain.subscriptions.subscription_memory import CachedSubscriptions

    subscriptions = CachedSubscriptions(subscriptions_table(settings), now_ms)
    return FanOut(subscriptions, delivery_queue(settings), now_ms)


def announced_merchants(settings: MerchantChangeSettings) -> AnnouncedMerchants:
    """Wire the merchants table so that every change is announced as an event."""
    from wechat_kf.domain.merchants.announcements import AnnouncedMerchants

    return AnnouncedMerchants(
        merchants_table(settings), fan_out(settings), settings.app_id, report_loss=_log_loss
    )


def acceptance(settings: MessageSettings, max_age_ms: int) -> Acceptance:
    """Wire the acceptance of messages that may wait for `max_age_ms` before they expire."""
    from wechat_kf.adapters.aws.outbound_queue import OutboundSqsQueue
    from wechat_kf.domain.messages.acceptance import Acceptance

    return Acceptance(
        store=messages_table(settings),
        queue=OutboundSqsQueue(sqs(), settings.outbound_queue_url),
        clock=now_ms,
        max_age_ms=max_age_ms,
        report_not_queued=_log_not_queued,
    )


def attempt(settings: AttemptSettings, sender: MessageSender) -> Attempt:
    """Wire the attempts at sending with `sender`."""
    from wechat_kf.adapters.wechat.outcome_log import log_outcome
    from wechat_kf.domain.messages.attempt import Attempt

    return Attempt(
        store=messages_table(settings),
        sender=sender,
        events=fan_out(settings),
        clock=now_ms,
        app_id=settings.app_id,
        report=log_outcome,
    )


def broadcasts(settings: MessageSettings) -> Broadcasts:
    from wechat_kf.domain.messages.broadcasts import Broadcasts

    return Broadcasts(broadcasts_table(settings), messages_table(settings), now_ms)


def deliveries(settings: DeliverySettings) -> tuple[Dispatch, Drain]:
    """Wire the delivery of events to webhooks, queues and the event bus, and of the backlog."""
    from wechat_kf.adapters.aws.attempts_table import AttemptsTable
    from wechat_kf.adapters.aws.clients import make_client
    from wechat_kf.adapters.aws.subscribers import (
        TARGET_LIMITS,
        EventBusSubscriber,
        SqsSubscriber,
    )
    from wechat_kf.adapters.webhooks.http_post import HttpPoster
    from wechat_kf.adapters.webhooks.webhook import WebhookSubscriber
    from wechat_kf.domain.subscriptions.courier import Courier
    from wechat_kf.domain.subscriptions.dispatch import Dispatch
    from wechat_kf.domain.subscriptions.drain import Drain
    from wechat_kf.domain.subscriptions.subscription import TargetType
    from wechat_kf.domain.subscriptions.subscription_memory import SubscriptionMemory

    loopback = settings.allow_loopback_subscribers
    memory = SubscriptionMemory(subscriptions_table(settings), now_ms)
    courier = Courier(
        subscriptions=memory,
        subscribers={
            TargetType.WEBHOOK: WebhookSubscriber(
                HttpPoster(allow_loopback=loopback), now_ms, allow_loopback=loopback
            ),
            TargetType.QUEUE: SqsSubscriber(make_client("sqs", TARGET_LIMITS)),
            TargetType.EVENT_BUS: EventBusSubscriber(make_client("events", TARGET_LIMITS)),
        },
        events=fan_out(settings),
        attempts=AttemptsTable(dynamodb(), settings.backlog_table, now_ms),
        clock=now_ms,
        app_id=settings.app_id,
        report_stop=_log_stop,
    )
    backlog, drains = backlog_table(settings), drain_queue(settings)
    return (
        Dispatch(memory, courier, backlog, drains, now_ms),
        Drain(memory, courier, backlog, drains, now_ms, report_delivery),
    )


def permission(settings: MerchantSettings) -> SendingPermission:
    from wechat_kf.domain.messages.permission import SendingPermission

    rules = load_settings(SendRuleSettings)
    return SendingPermission(
        merchants_table(settings),
        now_ms,
        allow_menus=rules.allow_menu_messages,
        allow_unregistered=rules.allow_unregistered_merchants,
    )


def token_provider(settings: TokenSettings) -> TokenProvider:
    """Wire a worker's way to the access token: its memory, the table, the token function."""
    from wechat_kf.adapters.aws.clients import lambda_client
    from wechat_kf.adapters.aws.token_function import TokenFunction
    from wechat_kf.adapters.aws.tokens_table import TokensTable
    from wechat_kf.domain.access_token import TokenProvider

    return TokenProvider(
        TokensTable(dynamodb(), settings.tokens_table, settings.app_id),
        TokenFunction(lambda_client, settings.token_function),
        now_ms,
    )


def wechat_client(settings: TokenSettings, *, opened: bool = False) -> WeChatClient:
    """Wire the client of WeChat's API; `opened` for a function that calls WeChat each time."""
    from wechat_kf.adapters.wechat.client_factory import WeChatSettings, create_client

    return create_client(load_settings(WeChatSettings), token_provider(settings), opened=opened)


def wechat_account(settings: TokenSettings) -> WeChatAccount:
    from wechat_kf.adapters.wechat.account import WeChatAccount
    from wechat_kf.adapters.wechat.client_factory import WeChatSettings

    return WeChatAccount(wechat_client(settings), load_settings(WeChatSettings).wechat_send_path)


def send_windows(settings: AcceptanceSettings) -> SendWindows:
    from wechat_kf.domain.messages.windows import SendWindows

    require = load_settings(SendRuleSettings).require_conversation
    conversations, messages = conversations_table(settings), messages_table(settings)
    return SendWindows(conversations, messages, now_ms, require_conversation=require)


def sweeper(settings: AttemptSettings, bulk_queue_url: str) -> Sweeper:
    from wechat_kf.adapters.aws.outbound_queue import OutboundLanes, OutboundSqsQueue
    from wechat_kf.adapters.wechat.outcome_log import log_outcome
    from wechat_kf.domain.messages.sweeper import Sweeper

    return Sweeper(
        store=messages_table(settings),
        queue=OutboundLanes(
            outbound=OutboundSqsQueue(sqs(), settings.outbound_queue_url),
            bulk=OutboundSqsQueue(sqs(), bulk_queue_url),
        ),
        events=fan_out(settings),
        clock=now_ms,
        app_id=settings.app_id,
        report=log_outcome,
        report_error=_log_not_repaired,
    )


def _log_not_queued(message: OutboundMessage, error: Exception) -> None:
    """Report a message that the sweeper will queue."""
    logger.warning(
        "message not queued", message_id=log_id(message.message_id), error_type=type(error).__name__
    )


def _log_not_repaired(message_id: str, error: Exception) -> None:
    """Report a stuck message that the next pass tries again."""
    logger.error(
        "stuck message not repaired",
        message_id=log_id(message_id),
        error_type=type(error).__name__,
    )
    count("RecordsFailed")


def _log_loss(event: Event) -> None:
    """Report that subscribers will not be notified of a change of a merchant."""
    logger.error("merchant event lost", business_id=event.business_id)
    count("MerchantEventLost")


def _log_stop(subscription: Subscription) -> None:
    """Tell the operators that a subscription was paused or disabled by its failures."""
    status, subscription_id = str(subscription.status), subscription.subscription_id
    logger.warning("subscription stopped", status=status, subscription_id=subscription_id)
    count("SubscriptionsStopped", status=status)


def report_delivery(delivery: Delivery, fate: str, **facts: Any) -> None:
    """Log and count what an attempt at a delivery came to."""
    merchant = delivery.event.business_id
    logger.info(
        "delivery postponed" if fate == "postponed" else "delivery settled",
        event_id=delivery.event.id,
        event_type=delivery.event.type,
        business_id=merchant,
        subscription_id=delivery.subscription_id,
        fate=str(fate),
        **facts,
    )
    count("Deliveries", merchant=merchant, fate=str(fate))
