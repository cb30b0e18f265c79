"""What a caller or an operator can do about a problem, by its code.

Only where the code alone does not say it. Every call that asks WeChat while the caller waits is
safe to repeat; messages are sent later, from a queue (docs/wechat-api.md, sections 12 and 14).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from wechat_kf.domain.clock import DAY, HOUR, SECOND

_BEIJING_MS: Final = 8 * HOUR
"""WeChat's days begin at midnight in Beijing, all year 8 hours ahead of UTC."""

_LONGEST_WAIT: Final = HOUR
"""Not until midnight: an operator may reset a quota at any time."""


def retry_after_seconds(code: str, now: int) -> int:
    """Return how many seconds to wait before a request is repeated that was answered with 429."""
    match code:
        case "daily_quota_used_up":
            until_midnight = DAY - (now + _BEIJING_MS) % DAY
            return -(-min(until_midnight, _LONGEST_WAIT) // SECOND)
        case "conversation_full":
            return 10
        case _:  # WeChat's limits per minute
            return 60


_LATER: Final = "Repeat the same request after a few seconds; it is safe to repeat."
_NEW_UPLOAD: Final = (
    "Send the image itself as `icon`, or upload it again with the header Cache-Control: no-cache; "
    "a media id is valid for 3 days."
)
_CONFIGURATION: Final = "The caller cannot fix this: ask the operator to check the deployment."

HINTS: Final[Mapping[str, str]] = {
    "acceptance_uncertain": "With an Idempotency-Key repeat the same request. Without one GET the "
    "message by this `message_id`: 404 means that it was not stored and the request may be "
    "repeated; 200 means that it will be sent.",
    "account_limited": "WeChat has limited the account: check the Mini Program's console.",
    "account_name_not_valid": "Choose another account_name, or leave it out to have one derived.",
    "account_name_taken": "WeChat never frees a name: choose another account_name.",
    "address_not_allowed": "Give the token function a fixed IP address and add it to "
    "WeChat's whitelist, or switch the whitelist off.",
    "api_banned": "WeChat has banned this API for the account: check the console's notices.",
    "app_secret_frozen": "Unfreeze the AppSecret in the Mini Program's console.",
    "called_too_often": "Repeat the request in the next minute.",
    "capability_not_enabled": "The Mini Program needs the category e-commerce platform; then "
    "enable sub-merchants in its console under interface settings.",
    "conversation_full": "Wait until messages of this conversation are settled; WeChat allows five "
    "within 48 hours of the buyer's last one.",
    "daily_quota_used_up": "The quota resets at midnight, Beijing time; GET /quota shows it. "
    "An operator can reset it ten times a month.",
    "internal_error": "Repeat a message or a broadcast only with the same Idempotency-Key; without "
    "one, look for it in the conversation's transcript first. Anything else may be repeated.",
    "malformed_reply": _LATER,
    "media_id_not_valid": _NEW_UPLOAD,
    "media_missing": _NEW_UPLOAD,
    "media_too_large": "Send an image of at most 2 MiB.",
    "merchant_inactive": "PATCH the merchant with status active to reactivate it.",
    "merchant_not_found": "POST /merchants registers a merchant; POST /merchants/sync adopts those "
    "that were registered elsewhere.",
    "no_conversation": "Wait until the buyer writes or enters. The parameter RequireConversation "
    "switches this rule off.",
    "nickname_forbidden": "The nickname contains words that WeChat forbids: choose another one.",
    "nickname_not_valid": "WeChat has hidden rules beyond width and characters: choose another "
    "nickname.",
    "sub_merchant_limit": "WeChat allows 500 sub-merchants. For more, the operator writes an "
    "e-mail to placeofminiprogram@qq.com with the subject 小程序客服子商户数量上调申请_ and the "
    "Mini Program's name; it gives the AppID, the name, the background, the number needed, and the "
    "existing products (apps, websites, Official Accounts).",
    "sub_merchant_not_found": "WeChat has no such sub-merchant: POST /merchants/sync shows which "
    "are missing.",
    "system_busy": _LATER,
    "temporarily_unavailable": "Repeat the same request after a few seconds: no message was "
    "stored. Repeat a broadcast only with the same Idempotency-Key.",
    "unsupported_file_format": "Send a PNG, JPEG or GIF.",
    "unsupported_image_format": "Send a PNG, JPEG or GIF.",
    "wechat_did_not_answer": _LATER,
    "wechat_unreachable": _LATER,
    "wrong_account_type": _CONFIGURATION,
    "wrong_app_id": _CONFIGURATION,
    "wrong_app_secret": _CONFIGURATION,
    "wrong_media_type": "The media id is not of an image: send the image itself as `icon`.",
}
