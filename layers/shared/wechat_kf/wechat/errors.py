"""One tree of exceptions for everything that can go wrong in a call to WeChat.

::

    WeChatError
     ├ WeChatApiError          WeChat answered with an errcode: it refused the call
     │  ├ TokenRefusedError    the access token was refused
     │  ├ AccountNameUsedError       the account_name has been used already
     │  ├ SubMerchantNotFoundError        there is no such sub-merchant
     │  └ AddressNotAllowedError   our IP address is not in the whitelist
     ├ TransportError          no answer; `sent` says whether the call may have had an effect
     ├ MalformedReplyError     an answer that is none; the call may have had an effect
     └ InvalidInputError       refused here, before a call was spent

Every error says what it is to a caller (`code`, a stable word), to HTTP (`status`) and to a
queue (`retry`). No message, and no repr, holds a token, a secret, a URL, a customer's words or
the text WeChat sent along.
"""

from __future__ import annotations

import re
from typing import Literal

from wechat_kf.wechat.codes import TOKEN_REFUSED_CODES, Retry, describe
from wechat_kf.wechat.operations import Operation

__all__ = [
    "AccountNameUsedError",
    "AddressNotAllowedError",
    "InvalidInputError",
    "MalformedReplyError",
    "Retry",
    "SubMerchantNotFoundError",
    "TokenRefusedError",
    "TransportError",
    "WasSent",
    "WeChatApiError",
    "WeChatError",
    "api_error",
]

WasSent = Literal["never", "perhaps"]
"""What is known of a call without a usable answer: certainly not sent, or perhaps sent."""

_RID = re.compile(r"rid:\s*([0-9a-f]+-[0-9a-f]+-[0-9a-f]+)")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")


class WeChatError(Exception):
    """Anything that kept a call from succeeding.

    `code` is a stable word for callers, `status` the HTTP status that fits, `retry` when
    the call may be made again.
    """

    code: str = "wechat_error"
    status: int = 502
    retry: Retry = Retry.NEVER


class InvalidInputError(WeChatError):
    """A value breaks a documented rule; nothing was sent.

    `field` names the value, `rule` says what is wanted.
    """

    code = "invalid_input"
    status = 400

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field} {rule}")
        self.field = field
        self.rule = rule


class TransportError(WeChatError):
    """No answer came.

    `sent` is `"never"` when no byte of the request can have reached WeChat, and
    `"perhaps"` when it may have been carried out. `reason` is a short word for logs.
    """

    def __init__(self, operation: Operation, *, sent: WasSent, reason: str) -> None:
        super().__init__(f"{operation.name}: no answer ({reason}); {sent} sent")
        self.operation = operation.name
        self.sent: WasSent = sent
        self.reason = reason
        self.code = "wechat_unreachable" if sent == "never" else "wechat_did_not_answer"
        self.status = 503 if sent == "never" else 504
        harmless = sent == "never" or operation.repeatable
        self.retry = Retry.BACKOFF if harmless else Retry.NEVER


_NEVER_REACHED = frozenset({404, 405, 413, 414, 429, 431})
"""HTTP statuses of whoever turned a call away before the API saw it (docs/wechat-api.md, 2)."""


class MalformedReplyError(WeChatError):
    """An answer that is not WeChat's: an HTTP status other than 200, or no JSON object.

    The call may have been carried out, unless the status says that it never reached the API: see
    `sent`, as for `TransportError`.
    """

    code = "malformed_reply"

    def __init__(self, operation: Operation, reason: str, *, http_status: int) -> None:
        super().__init__(f"{operation.name}: unusable answer ({reason}), HTTP {http_status}")
        self.operation = operation.name
        self.reason = reason
        self.http_status = http_status
        self.sent: WasSent = "never" if http_status in _NEVER_REACHED else "perhaps"
        self.retry = Retry.BACKOFF if operation.repeatable else Retry.NEVER


class WeChatApiError(WeChatError):
    """WeChat answered with an `errcode`.

    `meaning` explains the code; `rid` is what WeChat's support asks for. WeChat's own text is not
    kept: it may repeat what was sent.
    """

    def __init__(self, operation: Operation, errcode: int, errmsg: str = "") -> None:
        row = describe(errcode, takes_token=operation.takes_token, repeatable=operation.repeatable)
        rid = _RID.search(errmsg)
        self.operation = operation.name
        self.errcode = errcode
        self.rid = rid[1] if rid else None
        self.meaning = row.meaning
        self.code, self.status, self.retry = row.name, row.status, row.retry
        trace = f" (rid {self.rid})" if self.rid else ""
        super().__init__(f"{self.operation}: {errcode} {self.code}: {self.meaning}{trace}")


class TokenRefusedError(WeChatApiError):
    """The access token is missing, expired, invalid or not the latest."""


class AccountNameUsedError(WeChatApiError):
    """The account_name has been used already, perhaps by an earlier try of this very call."""


class SubMerchantNotFoundError(WeChatApiError):
    """There is no such sub-merchant."""


class AddressNotAllowedError(WeChatApiError):
    """Our IP address, `address` where WeChat names it, is not in the account's whitelist."""

    def __init__(self, operation: Operation, errcode: int, errmsg: str = "") -> None:
        super().__init__(operation, errcode, errmsg)
        found = _ADDRESS.search(errmsg)
        self.address = found[0] if found else None


_CLASSES: dict[int, type[WeChatApiError]] = {
    40164: AddressNotAllowedError,
    45070: AccountNameUsedError,
    45071: SubMerchantNotFoundError,
}


def api_error(errcode: int, errmsg: str, operation: Operation) -> WeChatApiError:
    """Build the exception for an `errcode` other than 0."""
    if operation.takes_token and errcode in TOKEN_REFUSED_CODES:
        return TokenRefusedError(operation, errcode, errmsg)
    return _CLASSES.get(errcode, WeChatApiError)(operation, errcode, errmsg)
