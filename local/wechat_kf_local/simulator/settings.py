"""What can be set, at the start or while running: the account, the push, and WeChat's limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from wechat_kf.wechat.crypto import FrameCipher

SECRETS: Final = frozenset({"app_secret", "token", "encoding_aes_key"})

CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "mode": ("plain", "compatible", "secure"),
    "format": ("xml", "json"),
    "main_account_business_id": ("absent", "zero", "empty"),
    "retry_on": ("any", "timeout"),
    "window_scope": ("business", "user"),
}


class SettingsError(ValueError):
    """A setting that does not exist or cannot have this value; the message names it."""


@dataclass(slots=True)
class Settings:
    """All settings, with what WeChat documents as the default."""

    # The Mini Program
    app_id: str = "wx0123456789abcdef"
    app_secret: str = field(default="0123456789abcdef0123456789abcdef", repr=False)
    original_id: str = "gh_0123456789ab"
    sub_merchants_allowed: bool = True
    customer_service_allowed: bool = True

    # Message push (section 7)
    push_url: str = ""
    token: str = field(default="simulatortoken", repr=False)
    encoding_aes_key: str = field(default="abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", repr=False)
    mode: str = "secure"
    format: str = "xml"
    include_business_id_on_enter: bool = True
    main_account_business_id: str = "absent"
    openid_in_plain_query: bool = True
    push_deadline_seconds: float = 5.0
    push_tries: int = 3
    retry_on: str = "any"
    retry_reuses_signature: bool = True
    reorder_hold_seconds: float = 2.0

    # Access tokens (section 9)
    token_life_seconds: int = 7200
    token_overlap_seconds: int = 300
    token_characters: int = 136
    forced_refreshes_per_day: int = 20
    forced_refresh_gap_seconds: int = 30
    ip_whitelist: list[str] | None = None

    # Sub-merchants, messages, media (sections 3, 4, 6, 10)
    max_sub_merchants: int = 500
    forbidden_words: list[str] = field(default_factory=lambda: ["微信", "腾讯", "官方", "WeChat"])
    window_scope: str = "business"
    auto_buyers: bool = True
    max_text_bytes: int = 2048
    max_title_characters: int = 64
    max_description_characters: int = 128
    max_url_characters: int = 2048
    allow_msgmenu: bool = True
    reject_unicode_escapes: bool = True
    media_life_seconds: int = 3 * 24 * 3600
    max_image_bytes: int = 2 * 1024 * 1024

    # Quotas (section 12): by path, for the others the general one
    daily_limit: int = 500_000
    daily_limits: dict[str, int] = field(default_factory=dict)
    minute_limit: int = 10_000
    minute_limits: dict[str, int] = field(default_factory=dict)
    quota_resets_per_month: int = 10

    def update(self, changes: Mapping[str, Any]) -> None:
        """Apply all changes, or none. Raises SettingsError."""
        defaults = Settings()
        for name, value in changes.items():
            if name not in _NAMES:
                raise SettingsError(f"{name}: no such setting")
            _check(name, value, getattr(defaults, name))
        for name, value in changes.items():
            setattr(self, name, value)

    def public(self) -> dict[str, Any]:
        """All settings but the secrets."""
        return {name: getattr(self, name) for name in _NAMES if name not in SECRETS}


_NAMES: Final = tuple(item.name for item in fields(Settings))


def _check(name: str, value: Any, default: Any) -> None:
    if name in CHOICES and value not in CHOICES[name]:
        raise SettingsError(f"{name}: must be one of {', '.join(CHOICES[name])}")
    if not _like(value, default):
        raise SettingsError(f"{name}: must be of the type of {default!r}")
    if name == "encoding_aes_key":
        try:
            FrameCipher(value, "")
        except ValueError as error:
            raise SettingsError(str(error)) from None


def _like(value: Any, default: Any) -> bool:
    match default:
        case bool():
            return isinstance(value, bool)
        case int() | float():
            whole = isinstance(value, int) or isinstance(default, float)
            return _is_number(value) and whole and value >= 0
        case str():
            return isinstance(value, str)
        case list():
            return _is_texts(value)
        case dict():
            return isinstance(value, dict) and all(_is_number(item) for item in value.values())
        case _:  # the only optional one: ip_whitelist
            return value is None or _is_texts(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
