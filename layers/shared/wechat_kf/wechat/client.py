"""The client for WeChat's customer-service API with sub-merchants.

::

    client = WeChatClient(Transport(), tokens=my_token_source, app_id="wx…")
    icon = client.upload_image(png_bytes)
    business_id = client.register("shop_0042", "苹果旗舰店", icon.media_id)
    client.send(openid, Text("您好"), business_id=business_id)

Every method makes exactly one call to WeChat, and a second one only when WeChat refused the
access token. Besides what a method names, each raises `WeChatApiError` (WeChat said no),
`TransportError` and `MalformedReplyError` (no usable answer; their `sent` says whether the
call may have had an effect) and `InvalidInputError` (refused here; no call was spent).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from wechat_kf.wechat import MAIN_ACCOUNT, diagnostics, media, operations, replies
from wechat_kf.wechat.caller import Caller
from wechat_kf.wechat.diagnostics import CallbackCheck, Quota
from wechat_kf.wechat.errors import InvalidInputError, WeChatApiError
from wechat_kf.wechat.media import DownloadedMedia, UploadedMedia
from wechat_kf.wechat.messages import Menu, Message, MiniProgramPage
from wechat_kf.wechat.naming import validate_account_name, validate_nickname
from wechat_kf.wechat.submerchants import MAX_PAGE, SubMerchant, read_sub_merchant
from wechat_kf.wechat.tokens import TokenSource
from wechat_kf.wechat.transport import Call, Transport

_ALREADY_TYPING = 45081
_NO_RECENT_EXCHANGE = 45080

_SEND_PATHS = {
    operation.path: operation for operation in (operations.SEND, operations.SEND_AS_SUB_MERCHANT)
}

_PLAIN_NUMBER = re.compile(r"[1-9][0-9]{0,18}")


class TypingCommand(StrEnum):
    """What to do with the typing state; WeChat minds the case."""

    TYPING = "Typing"
    CANCEL = "CancelTyping"


class TypingResult(StrEnum):
    """The result of a typing command."""

    SHOWN = "shown"
    """WeChat carried out the command."""
    ALREADY = "already"
    """The state was shown already; it lasts 15 s."""
    IGNORED = "ignored"
    """There was no exchange with the customer in the last 30 s, so nothing is shown."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """What WeChat's documents leave open, as switches with the safest default.

    `send_path` is used for sub-merchants; the main account always has its own path.
    `business_id_as` is the JSON type of sub-merchant ids, where they are all digits.
    `include_card_app_id` puts our own AppID on Mini Program cards that name none.
    `allow_menu` permits `Menu` messages.
    Source: docs/wechat-api.md, sections 4.1 to 4.3.
    """

    send_path: str = operations.SEND_AS_SUB_MERCHANT.path
    business_id_as: Literal["number", "string"] = "number"
    include_card_app_id: bool = True
    allow_menu: bool = False

    def __post_init__(self) -> None:
        if self.send_path not in _SEND_PATHS:
            raise InvalidInputError("send_path", f"must be one of {', '.join(_SEND_PATHS)}")
        if self.business_id_as not in ("number", "string"):
            raise InvalidInputError("business_id_as", "must be number or string")


class WeChatClient:
    """One Mini Program at WeChat. Sub-merchant ids are text; `"0"` is the main account."""

    def __init__(
        self,
        transport: Transport,
        *,
        tokens: TokenSource,
        app_id: str,
        options: ClientOptions | None = None,
    ) -> None:
        self._caller = Caller(transport, tokens)
        self._app_id = app_id
        self._options = options or ClientOptions()

    # Sub-merchants (docs/wechat-api.md, section 3)

    def register(
        self,
        account_name: str,
        nickname: str,
        icon_media_id: str,
        *,
        transfer_to_commkf: bool | None = None,
    ) -> str:
        """Create a sub-merchant and return its `business_id`.

        An `account_name` can be used only once. `icon_media_id` is an uploaded image.
        `transfer_to_commkf` forwards its messages to the account's general customer service.
        Raises `AccountNameUsedError` if the name has been used: perhaps by an earlier try of this
        very call, so settle that, and any call that was perhaps sent, by `get`.
        """
        document: dict[str, Any] = {
            "account_name": validate_account_name(account_name),
            "nickname": validate_nickname(nickname),
            "icon_media_id": _require("icon_media_id", icon_media_id),
        }
        if transfer_to_commkf is not None:
            document["transfer_to_commkf"] = transfer_to_commkf
        answer = self._caller.json(Call(operations.REGISTER, document=document))
        return replies.require_text(answer, "business_id", operations.REGISTER)

    def update(
        self, business_id: str, *, nickname: str | None = None, icon_media_id: str | None = None
    ) -> None:
        """Change the nickname, the icon or both; `None` leaves as it is.

        Raises `SubMerchantNotFoundError` if there is no such sub-merchant.
        """
        document = {"business_id": self._wire_id(business_id)}
        if nickname is not None:
            document["nickname"] = validate_nickname(nickname)
        if icon_media_id is not None:
            document["icon_media_id"] = _require("icon_media_id", icon_media_id)
        if len(document) == 1:
            raise InvalidInputError("nickname", "or icon_media_id must be given")
        self._caller.json(Call(operations.UPDATE, document=document))

    def get(
        self, *, business_id: str | None = None, account_name: str | None = None
    ) -> SubMerchant:
        """Return one sub-merchant by exactly one of its two keys.

        Raises `SubMerchantNotFoundError` if there is no such sub-merchant.
        """
        if (business_id is None) == (account_name is None):
            raise InvalidInputError("business_id", "or account_name must be given, not both")
        document = (
            {"business_id": self._wire_id(business_id)}
            if business_id is not None
            else {"account_name": _require("account_name", account_name)}
        )
        answer = self._caller.json(Call(operations.GET, document=document))
        return read_sub_merchant(replies.require_object(answer, "business_info", operations.GET))

    def list_page(self, offset: int = 0, count: int = MAX_PAGE) -> list[SubMerchant]:
        """Return one page, from `offset` (0 and up) on, of at most `count` (1 to 200)."""
        if offset < 0:
            raise InvalidInputError("offset", "must not be negative")
        if not 1 <= count <= MAX_PAGE:
            raise InvalidInputError("count", f"must be 1 to {MAX_PAGE}")
        call = Call(operations.LIST, document={"offset": offset, "count": count})
        items = replies.read_list(self._caller.json(call), "list", operations.LIST)
        return [read_sub_merchant(item) for item in items]

    def iter_all(self) -> Iterator[SubMerchant]:
        """Yield every sub-merchant once, reading page after page.

        A page that is short, empty or brings nothing new is the last: WeChat gives no total.
        """
        seen: set[str] = set()
        offset = 0
        while True:
            page = self.list_page(offset)
            before = len(seen)
            for item in page:
                if not item.business_id or item.business_id not in seen:
                    yield item
                seen.add(item.business_id)
            if len(page) < MAX_PAGE or len(seen) == before:
                return
            offset += MAX_PAGE

    # Messages (docs/wechat-api.md, sections 4 and 5)

    def send(
        self,
        openid: str,
        message: Message,
        *,
        business_id: str = MAIN_ACCOUNT,
        ai_generated: bool = False,
    ) -> None:
        """Send one message to a customer, as a sub-merchant or as the main account.

        `ai_generated` adds WeChat's note that the content was made by AI.

        WeChat gives no message id and knows no idempotency key. A `TransportError` or
        `MalformedReplyError` whose `sent` is `"perhaps"` is an unknown outcome: sending
        again may deliver twice. A `WeChatApiError` is a refusal: nothing was delivered (for
        -1, system busy, that is likely and not promised).
        """
        envelope = {
            "touser": _require("openid", openid),
            **self._sender(business_id),
            **self._prepare(message).to_wire(),
        }
        if ai_generated:
            envelope["aimsgcontext"] = {"is_ai_msg": 1}
        path = operations.SEND.path if business_id == MAIN_ACCOUNT else self._options.send_path
        self._caller.json(Call(_SEND_PATHS[path], document=envelope))

    def typing(
        self,
        openid: str,
        command: TypingCommand | str = TypingCommand.TYPING,
        *,
        business_id: str = MAIN_ACCOUNT,
    ) -> TypingResult:
        """Show the customer that somebody is typing, for 15 s, or stop it.

        That it is shown already, or that WeChat ignores it, is a result and no error.
        """
        if command not in tuple(TypingCommand):
            raise InvalidInputError("command", "must be Typing or CancelTyping")
        document = {
            "touser": _require("openid", openid),
            "command": str(command),
            **self._sender(business_id),
        }
        try:
            self._caller.json(Call(operations.TYPING, document=document))
        except WeChatApiError as error:
            if error.errcode == _ALREADY_TYPING:
                return TypingResult.ALREADY
            if error.errcode == _NO_RECENT_EXCHANGE:
                return TypingResult.IGNORED
            raise
        return TypingResult.SHOWN

    # Media (docs/wechat-api.md, section 10)

    def upload_image(self, data: bytes, filename: str = "") -> UploadedMedia:
        """Upload a PNG, JPEG or GIF of at most 2 MiB; it lives for 3 days.

        Format and size are checked by content. `filename` has no effect beyond WeChat's logs.
        """
        upload = media.image_upload(data, filename)
        call = Call(operations.UPLOAD, query={"type": "image"}, upload=upload)
        return media.read_upload(self._caller.json(call))

    def download(self, media_id: str) -> DownloadedMedia:
        """Fetch a file, such as a customer's image, at most 3 days old and 10 MiB large."""
        call = Call(operations.DOWNLOAD, query={"media_id": _require("media_id", media_id)})
        return self._caller.read(call, media.read_download)

    # Diagnostics (docs/wechat-api.md, section 11.2)

    def quota(self, cgi_path: str) -> Quota:
        """Return the daily quota of one API, by its path such as `/cgi-bin/media/get`."""
        if not cgi_path.startswith("/"):
            raise InvalidInputError("cgi_path", "must start with / and name no host")
        call = Call(operations.QUOTA, document={"cgi_path": cgi_path})
        return diagnostics.read_quota(self._caller.json(call))

    def callback_ips(self) -> tuple[str, ...]:
        """Return the addresses and ranges pushes come from; they change, so refresh daily."""
        return diagnostics.read_addresses(self._caller.json(Call(operations.CALLBACK_IPS)))

    def callback_check(self) -> CallbackCheck:
        """Let WeChat test the network to our push URL: DNS and ping, from its default network."""
        document = {"action": "all", "check_operator": "DEFAULT"}
        call = Call(operations.CALLBACK_CHECK, document=document)
        return diagnostics.read_callback_check(self._caller.json(call))

    def _prepare(self, message: Message) -> Message:
        if isinstance(message, Menu) and not self._options.allow_menu:
            raise InvalidInputError("message", "must not be a menu: allow_menu is off")
        if (
            isinstance(message, MiniProgramPage)
            and message.app_id is None
            and self._options.include_card_app_id
        ):
            return replace(message, app_id=self._app_id)
        return message

    def _sender(self, business_id: str) -> dict[str, Any]:
        if business_id == MAIN_ACCOUNT:
            return {}
        return {"businessid": self._wire_id(business_id)}

    def _wire_id(self, business_id: str) -> int | str:
        """Give an id the JSON type WeChat wants; an id that is no plain number stays text."""
        _require("business_id", business_id)
        if self._options.business_id_as == "number" and _PLAIN_NUMBER.fullmatch(business_id):
            return int(business_id)
        return business_id


def _require(name: str, value: str | None) -> str:
    if not value:
        raise InvalidInputError(name, "must not be empty")
    return value
