"""The messages routes on the fakes: the function without AWS and without WeChat."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

from tests.fakes import (
    FakeClock,
    InMemoryBroadcasts,
    InMemoryConversations,
    InMemoryMedia,
    InMemoryMerchants,
    InMemoryMessages,
    RecordingBroadcasts,
    RecordingEvents,
    RecordingOutbound,
    ignore_report,
)
from tests.unit.api.http_events import http_event
from wechat_kf.api import (
    broadcast_routes,
    conversation_routes,
    media_routes,
    message_routes,
    quota_routes,
)
from wechat_kf.api.app import create_app
from wechat_kf.api.dependencies import Account
from wechat_kf.domain.clock import DAY, MINUTE
from wechat_kf.domain.media_library import MediaLibrary, StoredMedia
from wechat_kf.domain.merchants.merchant import Merchant
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.broadcasts import Broadcasts
from wechat_kf.domain.messages.expansion import Expander
from wechat_kf.domain.messages.permission import SendingPermission
from wechat_kf.domain.messages.ports import BroadcastQueue, ConversationStore, TranscriptReader
from wechat_kf.domain.messages.windows import SendWindows
from wechat_kf.wechat import operations
from wechat_kf.wechat.client import TypingResult
from wechat_kf.wechat.diagnostics import Quota, RateLimit
from wechat_kf.wechat.errors import WeChatApiError, api_error
from wechat_kf.wechat.media import DownloadedMedia

NO_CONTEXT = cast(Any, None)


@dataclass
class FakeAccount:
    """`Account` and `MediaUploader` of a WeChat that accepts everything."""

    clock: FakeClock
    pictures: dict[str, bytes] = field(default_factory=dict)
    typed: list[tuple[str, str, bool]] = field(default_factory=list)
    typing_result: TypingResult = TypingResult.SHOWN
    typing_fault: Exception | None = None

    def upload(self, image: bytes) -> StoredMedia:
        media_id = f"media-{len(self.pictures)}"
        self.pictures[media_id] = image
        return StoredMedia(media_id, self.clock() + 3 * DAY)

    def download(self, media_id: str) -> DownloadedMedia:
        return DownloadedMedia(self.pictures[media_id], "image/png")

    def quotas(self) -> Iterator[tuple[str, str, Quota | WeChatApiError]]:
        yield "send", "/send", Quota(500, 20, 480, RateLimit(10, 60))
        yield "typing", "/typing", api_error(76022, "", operations.QUOTA)

    def show_typing(self, business_id: str, openid: str, *, shown: bool) -> TypingResult:
        self.typed.append((business_id, openid, shown))
        if self.typing_fault:
            raise self.typing_fault
        return self.typing_result


def merchants_of(*business_ids: str) -> InMemoryMerchants:
    """A table of active merchants."""
    merchants = InMemoryMerchants()
    for business_id in business_ids:
        merchants.add(Merchant(business_id, f"shop_{business_id:0>4}", "苹果旗舰店"))
    return merchants


@dataclass
class MessagesApp:
    """`call` is one request; the stores and queues are what it works on."""

    clock: FakeClock = field(default_factory=FakeClock)
    outbound: RecordingOutbound = field(default_factory=RecordingOutbound)
    broadcast_queue: RecordingBroadcasts = field(default_factory=RecordingBroadcasts)
    conversations: InMemoryConversations = field(default_factory=InMemoryConversations)
    merchants: InMemoryMerchants = field(default_factory=lambda: merchants_of("42", "43"))
    allow_menus: bool = False
    require_conversation: bool = False

    def __post_init__(self) -> None:
        self.messages = InMemoryMessages(30, self.clock)
        self.broadcasts = InMemoryBroadcasts(30, self.clock)
        self.account = FakeAccount(self.clock)
        self.permission = SendingPermission(
            self.merchants, self.clock, allow_menus=self.allow_menus
        )
        self.acceptance = Acceptance(
            self.messages, self.outbound, self.clock, 15 * MINUTE, ignore_report
        )
        self.windows = SendWindows(
            self.conversations,
            self.messages,
            self.clock,
            require_conversation=self.require_conversation,
        )
        self.expander = Expander(
            store=self.messages,
            queue=self.outbound,
            outcomes=RecordingEvents(),
            buyers=None,
            clock=self.clock,
            max_age_ms=15 * MINUTE,
            app_id="wx0123456789abcdef",
        )
        self._app = create_app(
            message_routes,
            broadcast_routes,
            conversation_routes,
            media_routes,
            quota_routes,
            provided={
                Acceptance: self.acceptance,
                Broadcasts: Broadcasts(self.broadcasts, self.messages, self.clock),
                BroadcastQueue: self.broadcast_queue,
                SendingPermission: self.permission,
                SendWindows: self.windows,
                ConversationStore: self.conversations,
                TranscriptReader: self.messages,
                MediaLibrary: MediaLibrary(InMemoryMedia(), self.account, self.clock),
                Account: self.account,
            },
        )

    def call(self, method: str, path: str, body: Any = None, **event: Any) -> dict[str, Any]:
        """API Gateway's answer; `event` as in `http_event`, and `raw` for an image as the body."""
        raw = event.pop("raw", None)
        request = http_event(method, path, body, **event)
        if raw is not None:
            request.update(body=raw, isBase64Encoded=True)
        return self.resolve(request)

    def resolve(self, event: dict[str, Any]) -> dict[str, Any]:
        """The answer to an event of API Gateway's."""
        return self._app.resolve(event, NO_CONTEXT)
