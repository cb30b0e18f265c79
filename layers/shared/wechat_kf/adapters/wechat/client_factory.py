"""The WeChat client as the functions share it: hosts and switches from the settings."""

from __future__ import annotations

from typing import Literal, cast

from wechat_kf.wechat.client import ClientOptions, WeChatClient
from wechat_kf.wechat.tokens import TokenSource
from wechat_kf.wechat.transport import DEFAULT_HOSTS, Timeouts, Transport


class WeChatSettings:
    """The part of a function's settings that concerns WeChat's API."""

    app_id: str
    wechat_api_hosts: tuple[str, ...] = DEFAULT_HOSTS
    wechat_send_path: str = ClientOptions().send_path
    wechat_business_id_as: str = "number"
    wechat_connect_seconds: float = 2.0
    wechat_read_seconds: float = 5.0
    allow_menu_messages: bool = False


def create_transport(settings: WeChatSettings, *, opened: bool = True) -> Transport:
    """Make one HTTP session for the life of the function, now if `opened`, else when needed."""
    timeouts = Timeouts(connect=settings.wechat_connect_seconds, read=settings.wechat_read_seconds)
    transport = Transport(settings.wechat_api_hosts, timeouts)
    if opened:
        transport.open()
    return transport


def create_client(
    settings: WeChatSettings, tokens: TokenSource, *, opened: bool = True
) -> WeChatClient:
    """Make the client that a worker or an API function calls WeChat with."""
    options = ClientOptions(
        send_path=settings.wechat_send_path,
        business_id_as=cast(Literal["number", "string"], settings.wechat_business_id_as),
        allow_menu=settings.allow_menu_messages,
    )
    return WeChatClient(
        create_transport(settings, opened=opened),
        tokens=tokens,
        app_id=settings.app_id,
        options=options,
    )
