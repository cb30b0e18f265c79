"""The account's media, quotas and typing state, as the API needs them."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from wechat_kf.adapters.wechat.account import WeChatAccount
from wechat_kf.api.quota_models import ApiQuotaResponse
from wechat_kf.wechat import operations
from wechat_kf.wechat.client import TypingResult
from wechat_kf.wechat.diagnostics import Quota, RateLimit
from wechat_kf.wechat.errors import api_error
from wechat_kf.wechat.media import UploadedMedia


class FakeClient:
    """Answers every call alike, and records the calls."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []

    def _answer(self, *call: Any) -> Any:
        self.calls.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def typing(self, openid: str, command: str, *, business_id: str) -> Any:
        return self._answer(openid, str(command), business_id)

    def upload_image(self, data: bytes) -> Any:
        return self._answer(data)

    def quota(self, path: str) -> Any:
        return self._answer(path)


def account_of(client: FakeClient) -> WeChatAccount:
    return WeChatAccount(client, "/send")  # type: ignore[arg-type]


@pytest.mark.parametrize(("shown", "command"), [(True, "Typing"), (False, "CancelTyping")])
def test_typing_speaks_wechats_words(shown: bool, command: str) -> None:
    client = FakeClient(TypingResult.ALREADY)
    result = account_of(client).show_typing("42", "buyer", shown=shown)
    assert result is TypingResult.ALREADY
    assert client.calls == [("buyer", command, "42")]


def test_media_lives_in_milliseconds() -> None:
    account = account_of(FakeClient(UploadedMedia("m", 1_767_225_600)))
    assert account.upload(b"png").expires_at == 1_767_225_600_000


def test_quota_is_read_for_every_api_this_stack_calls() -> None:
    client = FakeClient(Quota(500, 20, 480, RateLimit(10, 60)))
    quotas = list(account_of(client).quotas())
    assert sorted(call[0] for call in client.calls) == sorted(path for _, path, _ in quotas)
    assert quotas[0] == ("send", "/send", client.answer)


def test_quotas_are_asked_for_side_by_side() -> None:
    together = threading.Barrier(7, timeout=10)

    class WaitingClient(FakeClient):
        def quota(self, path: str) -> Any:
            together.wait()
            return super().quota(path)

    assert len(account_of(WaitingClient(Quota(500, 20, 480))).quotas()) == 7


def test_a_quota_that_wechat_refuses_comes_with_the_refusal() -> None:
    refusal = api_error(76022, "", operations.QUOTA)
    assert {found for _, _, found in account_of(FakeClient(refusal)).quotas()} == {refusal}


def test_the_api_document_names_every_api_whose_quota_is_read() -> None:
    described = str(ApiQuotaResponse.model_fields["api"].description)
    quotas = account_of(FakeClient(Quota(500, 20, 480))).quotas()
    named = described.removeprefix("the API: ").replace(" or ", ", ").split(", ")
    assert named == [name for name, _, _ in quotas]
