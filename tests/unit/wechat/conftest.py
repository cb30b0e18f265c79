from collections.abc import Iterator

import pytest

from tests.unit.wechat.client_loopback import FixedTokens, LoopbackWeChat
from wechat_kf.wechat.client import WeChatClient
from wechat_kf.wechat.transport import Transport

APP_ID = "wx0123456789abcdef"


@pytest.fixture
def wechat() -> Iterator[LoopbackWeChat]:
    with LoopbackWeChat() as server:
        yield server


@pytest.fixture
def transport(wechat: LoopbackWeChat) -> Iterator[Transport]:
    transport = Transport([wechat.origin])
    yield transport
    transport.close()


@pytest.fixture
def tokens() -> FixedTokens:
    return FixedTokens("ACCESS-TOKEN-1", "ACCESS-TOKEN-2")


@pytest.fixture
def client(transport: Transport, tokens: FixedTokens) -> WeChatClient:
    return WeChatClient(transport, tokens=tokens, app_id=APP_ID)
