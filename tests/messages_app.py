"""The messages routes on the fakes: the function without AWS and without WeChat."""

from __future__ import annotations

from collections.abc import Sequence
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
    RecordingOutbound,
)
from tests.unit.api.http_events import http_event
from wechat_kf.api import broadcast_routes, conversation_routes, media_routes, message_routes
from wechat_kf.api.app import create_app
from wechat_kf.domain.clock import DAY, MINUTE
from wechat_kf.domain.media import MediaLibrary, Picture, StoredMedia
from wechat_kf.domain.messages.acceptance import Acceptance
from wechat_kf.domain.messages.broadcasts import Broadcasts
from wechat_kf.domain.messages.conversations import Conversation, Window
from wechat_kf.domain.messages.permission import SendingPermission
from wechat_kf.domain.messages.windows import advisory_window, window_of
from wechat_kf.domain.quota import ApiQuota

NO_CONTEXT = cast(Any, None)


@dataclass
class FakeChannel:
    """`MediaChannel`, `QuotaReader` and the typing state of a WeChat that always says yes."""

    clock: FakeClock
    pictures: dict[str, bytes] = field(default_factory=dict)
    typed: list[tuple[str, str, bool]] = field(default_factory=list)
    typing_result: str = "shown"
    typing_fault: Exception | None = None

    def upload(self, image: bytes) -> StoredMedia:
        media_id = f"media-{len(self.pictures)}"
        self.pictures[media_id] = image
        return StoredMedia(media_id, self.clock() + 3 * DAY)

    def download(self, media_id: str) -> Picture:
        return Picture(self.pictures[media_id], "image/png")

    def quotas(self) -> Sequence[ApiQuota]:
        return [
            ApiQuota("send", "/send", 500, 20, 480, 10, 60),
            ApiQuota("typing", "/typing", error="api_path_not_permitted"),
        ]

    def show_typing(self, business_id: str, openid: str, shown: bool) -> str:
        self.typed.append((business_id, openid, shown))
        if self.typing_fault:
            raise self.typing_fault
        return self.typing_result


@dataclass
class MessagesApp:
    """`call` is one request; the stores and queues are what it works on."""

    clock: FakeClock = field(default_factory=FakeClock)
    outbound: RecordingOutbound = field(default_factory=RecordingOutbound)
    broadcast_queue: RecordingBroadcasts = field(default_factory=RecordingBroadcasts)
    conversations: InMemoryConversations = field(default_factory=InMemoryConversations)
    merchants: InMemoryMerchants = field(default_factory=InMemoryMerchants)
    allow_menus: bool = False

    def __post_init__(self) -> None:
        self.messages = InMemoryMessages(30, self.clock)
        self.broadcasts = InMemoryBroadcasts(30, self.clock)
        self.channel = FakeChannel(self.clock)
        self.permission = SendingPermission(
            self.merchants, self.clock, allow_menus=self.allow_menus
        )
        self.acceptance = Acceptance(self.messages, self.outbound, self.clock, 15 * MINUTE)
        self._app = create_app()
        for router in self._routers():
            self._app.include_router(router)

    def _routers(self) -> list[Any]:
        return [
            message_routes.build_router(
                message_routes.MessageUseCases(
                    self.acceptance, self.permission, self._window_at_send
                )
            ),
            broadcast_routes.build_router(
                broadcast_routes.BroadcastUseCases(
                    Broadcasts(self.broadcasts, self.messages, self.clock),
                    self.broadcast_queue,
                    self.permission,
                )
            ),
            conversation_routes.build_router(
                conversation_routes.ConversationUseCases(
                    self.conversations, self.messages, self._window, self.channel.show_typing
                )
            ),
            media_routes.build_router(
                media_routes.ChannelUseCases(
                    MediaLibrary(InMemoryMedia(), self.channel, self.clock), self.channel
                )
            ),
        ]

    def _window_at_send(self, business_id: str, openid: str) -> Window:
        key = (business_id, openid)
        return advisory_window(self.conversations, self.messages, key, self.clock())

    def _window(self, conversation: Conversation) -> Window:
        return window_of(conversation, self.messages, self.clock())

    def call(self, method: str, path: str, body: Any = None, **event: Any) -> dict[str, Any]:
        """API Gateway's answer; `event` as in `http_event`, and `raw` for an image as the body."""
        raw = event.pop("raw", None)
        request = http_event(method, path, body, **event)
        if raw is not None:
            request.update(body=raw, isBase64Encoded=True)
        return self._app.resolve(request, NO_CONTEXT)
