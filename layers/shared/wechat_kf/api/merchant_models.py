"""Request and response bodies of the merchants routes."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Base64Bytes,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    model_validator,
)

from wechat_kf.api.validators import Instant, example, to_validator
from wechat_kf.domain.merchants.changes import MerchantChange
from wechat_kf.domain.merchants.contact_button import ContactButton
from wechat_kf.domain.merchants.merchant import (
    Merchant,
    MerchantStatus,
    Registration,
    merchant_document,
)
from wechat_kf.domain.merchants.reconciliation import SyncReport
from wechat_kf.domain.paging import Page
from wechat_kf.wechat.media import image_upload
from wechat_kf.wechat.messages import Text
from wechat_kf.wechat.naming import derive_account_name, validate_account_name, validate_nickname

_PIXEL = "R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
_MERCHANT: dict[str, Any] = {
    "business_id": "42",
    "account_name": "shop_0042",
    "nickname": "苹果旗舰店",
    "icon_url": "https://wx.qlogo.cn/example/0",
    "external_id": "m-1001",
    "status": "active",
    "welcome_message": "您好，欢迎光临！",
    "created_at": "2026-01-02T03:04:05.678Z",
    "updated_at": "2026-01-02T03:04:05.678Z",
}

AccountName = Annotated[
    str,
    AfterValidator(to_validator(validate_account_name)),
    Field(
        description="6 to 30 letters, digits and underscores; case-sensitive; can never be "
        "used again",
        examples=["shop_0042"],
        json_schema_extra={"pattern": "^[A-Za-z0-9_]{6,30}$"},
    ),
]
Nickname = Annotated[
    str,
    AfterValidator(to_validator(validate_nickname)),
    Field(
        description="shown to buyers; Chinese characters, letters and digits, 4 to 30 wide where "
        "a Chinese character counts 2",
        examples=["苹果旗舰店"],
        json_schema_extra={"minLength": 2, "maxLength": 30},
    ),
]
ExternalId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$"),
    Field(description="the platform's own key of this merchant, unique", examples=["m-1001"]),
]
Image = Annotated[
    Base64Bytes,
    AfterValidator(to_validator(image_upload)),
    Field(
        description="the image as base64: PNG, JPEG or GIF of at most 2 MiB",
        examples=[_PIXEL],
        json_schema_extra={"contentEncoding": "base64", "maxLength": 3_000_000},
    ),
]
WelcomeMessage = Annotated[
    str,
    AfterValidator(to_validator(lambda text: text == "" or Text(text))),
    Field(
        description="sent to a buyer who enters a conversation: at most 2048 bytes of UTF-8; "
        "empty for none",
        examples=["您好，欢迎光临！"],
        json_schema_extra={"maxLength": 2048},
    ),
]
MediaId = Annotated[
    str,
    # WeChat refuses JSON with escaped characters (40033), so others could not be sent to it.
    StringConstraints(min_length=1, max_length=256, pattern=r"^[\x21-\x7e]+$"),
    Field(
        description="media id of an image uploaded in the last 3 days", examples=["bN7Vx0k2mediaid"]
    ),
]


AllowEmpty = BeforeValidator(lambda value: None if value == "" else value)
"""Accepts `""` for None. The schema does not say so: a choice of texts confuses generators."""


class RegisterMerchantRequest(BaseModel):
    """Exactly one of `icon` and `icon_media_id`, and at least one of the two names."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"external_id": "m-1001", "nickname": "苹果旗舰店", "icon": _PIXEL},
                {
                    "account_name": "shop_0042",
                    "external_id": "m-1001",
                    "nickname": "苹果旗舰店",
                    "icon_media_id": "bN7Vx0k2mediaid",
                },
            ],
        },
    )

    account_name: AccountName | None = Field(
        None, description="derived from `external_id` when left out; the same every time"
    )
    nickname: Nickname
    external_id: ExternalId | None = None
    icon: Image | None = None
    icon_media_id: MediaId | None = None
    transfer_to_commkf: StrictBool | None = Field(
        None, description="forward this merchant's messages to the account's general tool"
    )
    welcome_message: WelcomeMessage | None = None

    @model_validator(mode="after")
    def _check_icon_and_names(self) -> RegisterMerchantRequest:
        if (self.icon is None) == (self.icon_media_id is None):
            raise ValueError("exactly one of icon and icon_media_id is required")
        if self.account_name is None and self.external_id is None:
            raise ValueError("account_name or external_id is required")
        return self

    def to_domain(self) -> Registration:
        return Registration(
            account_name=self.account_name or derive_account_name(self.external_id or ""),
            nickname=self.nickname,
            icon=self.icon or self.icon_media_id or "",
            external_id=self.external_id,
            name_is_derived=self.account_name is None,
            transfer_to_commkf=self.transfer_to_commkf,
            welcome_message=self.welcome_message or None,
        )


class ChangeMerchantRequest(BaseModel):
    """A field left out, null or empty stays as it is; an empty welcome message removes it. At most
    one of `icon` and `icon_media_id`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"nickname": "苹果旗舰店"}, {"icon": _PIXEL}, {"status": "inactive"}],
        },
    )

    nickname: Annotated[Nickname | None, AllowEmpty] = None
    icon: Annotated[Image | None, AllowEmpty] = None
    icon_media_id: Annotated[MediaId | None, AllowEmpty] = None
    external_id: Annotated[ExternalId | None, AllowEmpty] = None
    status: Annotated[MerchantStatus | None, AllowEmpty] = Field(
        None, description="`inactive` deactivates, `active` reactivates"
    )
    welcome_message: WelcomeMessage | None = None

    @model_validator(mode="after")
    def _check_icon(self) -> ChangeMerchantRequest:
        if self.icon is not None and self.icon_media_id is not None:
            raise ValueError("only one of icon and icon_media_id may be given")
        return self

    def to_domain(self) -> MerchantChange:
        return MerchantChange(
            nickname=self.nickname,
            icon=self.icon or self.icon_media_id,
            external_id=self.external_id,
            status=self.status,
            welcome_message=self.welcome_message,
        )


class MerchantResponse(BaseModel):
    """A merchant."""

    model_config = example(**_MERCHANT)

    business_id: str
    account_name: str
    nickname: str
    icon_url: str = Field(description="WeChat's URL of the icon; empty until the next sync")
    external_id: str | None = Field(description="the platform's own key of this merchant")
    status: MerchantStatus
    welcome_message: str | None = Field(description="sent to a buyer who enters a conversation")
    created_at: Instant
    updated_at: Instant

    @classmethod
    def of(cls, merchant: Merchant) -> MerchantResponse:
        return cls.model_validate(merchant_document(merchant))


class MerchantPage(BaseModel):
    """A page of merchants, in the order of their business ids (as strings)."""

    model_config = example(
        items=[_MERCHANT],
        next_cursor="WyI0MiJd",
    )

    items: list[MerchantResponse]
    next_cursor: str | None = Field(description="pass it as `cursor`; null on the last page")

    @classmethod
    def of(cls, page: Page[Merchant]) -> MerchantPage:
        return cls(
            items=[MerchantResponse.of(merchant) for merchant in page.items],
            next_cursor=page.next_cursor,
        )


class SyncResponse(BaseModel):
    """What a reconciliation with WeChat's list found and did; the lists are of business ids."""

    model_config = example(
        listed=201,
        added=["201"],
        changed=["7", "42"],
        missing=[],
        conflicting=[],
        unreadable=[],
        complete=True,
    )

    listed: int = Field(description="how many sub-merchants WeChat lists")
    added: list[str] = Field(description="registered elsewhere, now on record")
    changed: list[str] = Field(description="nickname or icon corrected to WeChat's")
    missing: list[str] = Field(description="on record, but WeChat has no such sub-merchant")
    conflicting: list[str] = Field(
        description="not recorded: the account name belongs to another record"
    )
    unreadable: list[str] = Field(
        description="listed by WeChat in a way we cannot use, such as without a name; nothing was "
        "done; an empty id when there is none"
    )
    complete: bool = Field(description="false when time ran out: call again for the rest")

    @classmethod
    def of(cls, report: SyncReport) -> SyncResponse:
        return cls(
            listed=report.listed,
            added=list(report.added),
            changed=list(report.changed),
            missing=list(report.missing),
            conflicting=list(report.conflicting),
            unreadable=list(report.unreadable),
            complete=report.complete,
        )


class ContactButtonResponse(BaseModel):
    """What the Mini Program needs to open a conversation with this merchant."""

    model_config = example(
        business_id="42",
        attributes={
            "open-type": "contact",
            "business-id": "42",
            "session-from": "wechat-kf:42",
        },
        wxml='<button open-type="contact" business-id="42" '
        'session-from="wechat-kf:42">联系客服</button>',
    )

    business_id: str
    attributes: dict[str, str] = Field(description="of `<button>`, as spelled in WXML")
    wxml: str = Field(description="the same, ready to paste")

    @classmethod
    def of(cls, business_id: str, button: ContactButton) -> ContactButtonResponse:
        return cls(business_id=business_id, attributes=button.attributes, wxml=button.wxml)
