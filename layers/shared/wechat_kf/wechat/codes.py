"""WeChat's error codes: what each means, when to try again, and which HTTP status fits.

Source: docs/wechat-api.md, section 14, row by row.
"""

from __future__ import annotations

# A table reads best with one row a line.
# ruff: noqa: E501
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Retry(StrEnum):
    """When the same call may be made again."""

    NEVER = "never"
    """Not without a change to the call, to the account, or an act of the customer."""
    BACKOFF = "backoff"
    """After a second or two, with jitter, a few times at most."""
    AFTER_TOKEN = "after_token"  # noqa: S105 (the name of a rule, not a token)
    """Once, with another access token."""
    NEXT_MINUTE = "next_minute"
    """When the per-minute limit has been reset."""
    NEXT_DAY = "next_day"
    """When the daily quota has been reset, by the day or by an operator."""
    LATER = "later"
    """When something outside has changed."""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table: `errcode` is WeChat's number, `name` our stable word for it."""

    errcode: int
    name: str
    meaning: str
    retry: Retry
    status: int


_N, _Y, _T, _L = Retry.NEVER, Retry.BACKOFF, Retry.AFTER_TOKEN, Retry.LATER

# fmt: off
_ROWS = (
    ErrorCode(-1, "system_busy", "WeChat is busy", _Y, 503),
    ErrorCode(4, "undocumented_failure", "an undocumented failure seen during incidents", _L, 502),
    ErrorCode(40001, "credential_refused", "the access token is invalid or not the latest", _T, 502),
    ErrorCode(40002, "wrong_grant_type", "the credential type is wrong", _N, 500),
    ErrorCode(40003, "wrong_openid", "the OpenID is invalid or belongs to another app", _N, 400),
    ErrorCode(40004, "wrong_media_type", "the media is not of the type needed", _N, 400),
    ErrorCode(40005, "unsupported_file_format", "the file format is not supported", _N, 400),
    ErrorCode(40006, "wrong_media_size", "the size of the media is not allowed", _N, 413),
    ErrorCode(40007, "media_id_not_valid", "the media_id is invalid, expired or of another app", _N, 400),
    ErrorCode(40008, "wrong_message_type", "the message type is not valid", _N, 400),
    ErrorCode(40009, "image_too_large", "the image is too large", _N, 413),
    ErrorCode(40013, "wrong_app_id", "the AppID is wrong", _N, 500),
    ErrorCode(40014, "token_not_valid", "the access token is malformed or invalid", _T, 502),
    ErrorCode(40033, "escaped_characters", "the body holds \\uxxxx escapes", _N, 500),
    ErrorCode(40035, "wrong_parameter", "a parameter is wrong", _N, 500),
    ErrorCode(40038, "wrong_request_format", "the request has a wrong format", _N, 500),
    ErrorCode(40066, "wrong_path", "the URL path does not exist", _N, 500),
    ErrorCode(40097, "wrong_arguments", "the arguments are invalid", _N, 400),
    ErrorCode(40101, "missing_parameter", "a parameter is missing", _N, 500),
    ErrorCode(40125, "wrong_app_secret", "the AppSecret is wrong", _N, 500),
    ErrorCode(40137, "unsupported_image_format", "the image format is not supported", _N, 400),
    ErrorCode(40164, "address_not_allowed", "the caller's IP address is not in the whitelist", _N, 503),
    ErrorCode(40200, "wrong_account_type", "the type of this account is not allowed", _N, 500),
    ErrorCode(40201, "no_callback_url", "no callback URL is configured", _N, 400),
    ErrorCode(40202, "wrong_check_action", "the action of the callback check is wrong", _N, 400),
    ErrorCode(40203, "wrong_check_operator", "the operator of the callback check is wrong", _N, 400),
    ErrorCode(40243, "app_secret_frozen", "the AppSecret is frozen", _N, 503),
    ErrorCode(41001, "token_missing", "the access token is missing", _T, 500),
    ErrorCode(41002, "app_id_missing", "the AppID is missing", _N, 500),
    ErrorCode(41004, "app_secret_missing", "the AppSecret is missing", _N, 500),
    ErrorCode(41005, "media_missing", "the media data is missing", _N, 400),
    ErrorCode(41006, "media_id_missing", "the media_id is missing", _N, 400),
    ErrorCode(42001, "token_expired", "the access token has expired", _T, 502),
    ErrorCode(43002, "post_required", "the call must be a POST", _N, 500),
    ErrorCode(43003, "https_required", "the call must use HTTPS", _N, 500),
    ErrorCode(43004, "not_a_follower", "the receiver must follow the account", _N, 409),
    ErrorCode(43019, "customer_blacklisted", "the customer is on the blacklist", _N, 409),
    ErrorCode(44002, "empty_body", "the body is empty", _N, 500),
    ErrorCode(44004, "empty_text", "the text is empty", _N, 400),
    ErrorCode(45001, "media_too_large", "the media is too large", _N, 413),
    ErrorCode(45002, "content_too_long", "the content is too long", _N, 413),
    ErrorCode(45003, "title_too_long", "the title is too long", _N, 400),
    ErrorCode(45004, "description_too_long", "the description is too long", _N, 400),
    ErrorCode(45005, "link_too_long", "the link is too long", _N, 400),
    ErrorCode(45006, "image_link_too_long", "the image link is too long", _N, 400),
    ErrorCode(45008, "too_many_articles", "there are too many news articles", _N, 400),
    ErrorCode(45009, "daily_quota_used_up", "the daily quota of this API is used up", Retry.NEXT_DAY, 429),
    ErrorCode(45011, "called_too_often", "the limit per minute is reached", Retry.NEXT_MINUTE, 429),
    ErrorCode(45015, "window_closed", "the customer's reply window is closed", _N, 409),
    ErrorCode(45047, "allowance_used_up", "the send allowance of this customer is used up", _N, 409),
    ErrorCode(45065, "client_message_id_exists", "the clientmsgid exists (mass sending only)", _N, 502),
    ErrorCode(45066, "client_message_id_too_soon", "retried too fast (mass sending only)", _N, 502),
    ErrorCode(45067, "client_message_id_too_long", "clientmsgid too long (mass sending only)", _N, 502),
    ErrorCode(45070, "account_name_taken", "the account_name has been used already", _N, 409),
    ErrorCode(45071, "sub_merchant_not_found", "there is no such sub-merchant", _N, 404),
    ErrorCode(45072, "wrong_typing_command", "the typing command is wrong", _N, 400),
    ErrorCode(45077, "sub_merchant_limit", "the limit of sub-merchants is reached", _N, 409),
    ErrorCode(45078, "nickname_not_valid", "the nickname is not valid", _N, 400),
    ErrorCode(45079, "nickname_forbidden", "the nickname contains forbidden words", _N, 400),
    ErrorCode(45080, "no_recent_exchange", "no exchange with the customer in the last 30 s", _N, 409),
    ErrorCode(45081, "already_typing", "the typing state is shown already", _N, 200),
    ErrorCode(45091, "account_name_not_valid", "the account_name is not valid", _N, 400),
    ErrorCode(45157, "tag_name_not_valid", "the tag name is not valid (tag APIs only)", _N, 502),
    ErrorCode(45158, "tag_name_too_long", "the tag name is too long (tag APIs only)", _N, 502),
    ErrorCode(46004, "customer_not_found", "the customer does not exist", _N, 404),
    ErrorCode(47001, "unreadable_json", "the JSON or one of its values cannot be read", _N, 500),
    ErrorCode(48001, "capability_not_enabled", "this API is not authorised for the account", _N, 403),
    ErrorCode(48002, "messages_refused", "the customer refuses messages", _N, 409),
    ErrorCode(48004, "api_banned", "this API is banned for the account", _N, 403),
    ErrorCode(48006, "no_more_quota_resets", "the limit of quota resets is reached", _N, 429),
    ErrorCode(48008, "message_type_not_permitted", "no permission for this message type", _N, 403),
    ErrorCode(50002, "account_limited", "the customer or the account is limited", _N, 403),
    ErrorCode(50004, "token_api_forbidden", "the token API is forbidden for the account", _N, 503),
    ErrorCode(50007, "account_frozen", "the account is frozen", _N, 503),
    ErrorCode(61016, "category_not_confirmed", "the category of the platform is not confirmed", _N, 403),
    ErrorCode(70000, "minor_protected", "refused in order to protect minors", _N, 409),
    ErrorCode(76001, "rid_not_found", "the rid does not exist", _N, 404),
    ErrorCode(76002, "rid_malformed", "the rid is malformed", _N, 400),
    ErrorCode(76003, "rid_of_another_account", "the rid belongs to another account", _N, 400),
    ErrorCode(76004, "rid_too_old", "the rid is older than 7 days", _N, 404),
    ErrorCode(76021, "api_path_not_found", "the cgi_path does not exist", _N, 404),
    ErrorCode(76022, "api_path_not_permitted", "no permission to query this cgi_path", _N, 400),
    ErrorCode(89503, "confirmation_needed", "the administrator must confirm the call", _L, 503),
    ErrorCode(89506, "address_refused_for_a_day", "the administrator refused this IP for 24 hours", _N, 503),
    ErrorCode(89507, "address_refused_for_an_hour", "the administrator refused this IP for an hour", _N, 503),
    # 客服 accounts have a range of their own; the core never calls those APIs.
    *(ErrorCode(code, "service_account_refused", "a customer-service account call was refused", _N, 400)
      for code in range(65400, 65415)),
)
# fmt: on

ERRCODES: Mapping[int, ErrorCode] = {row.errcode: row for row in _ROWS}

TOKEN_REFUSED_CODES = frozenset({40001, 40014, 41001, 42001})
"""A business call that answers one of these deserves one retry with another token."""

_CREDENTIAL_REFUSED_BY_TOKEN_API = ErrorCode(
    40001, "wrong_credential", "the AppSecret is wrong or the credential is invalid", _N, 500
)


def describe(errcode: int, *, takes_token: bool, repeatable: bool) -> ErrorCode:
    """Return what `errcode` means for a call of this kind.

    `takes_token` is false for the calls that are made with the AppSecret; there a refused
    credential is a fault of the configuration. `repeatable` decides about codes that are not
    documented: repeating a send may deliver twice, repeating a read costs nothing.
    """
    if errcode == 40001 and not takes_token:
        return _CREDENTIAL_REFUSED_BY_TOKEN_API
    known = ERRCODES.get(errcode)
    if known is not None:
        return known
    retry = Retry.BACKOFF if repeatable else Retry.NEVER
    return ErrorCode(errcode, "unknown_wechat_error", "an undocumented error code", retry, 502)
