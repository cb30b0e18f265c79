"""The calls this package makes, one constant each (docs/wechat-api.md, section 1)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Operation:
    """One WeChat API call.

    `repeatable` says that making the call twice does no harm. `takes_token` is false for the
    calls that are made with the AppSecret instead of an access token. `confirmed` says that WeChat
    answers a success with the errcode 0 and nothing else, so that any other answer is none.
    """

    name: str
    method: str
    path: str
    repeatable: bool = True
    takes_token: bool = True
    confirmed: bool = False


REGISTER = Operation("register", "POST", "/cgi-bin/business/register", repeatable=False)
UPDATE = Operation("update", "POST", "/cgi-bin/business/update", confirmed=True)
GET = Operation("get", "POST", "/cgi-bin/business/get")
LIST = Operation("list", "POST", "/cgi-bin/business/list")

SEND = Operation("send", "POST", "/cgi-bin/message/custom/send", repeatable=False, confirmed=True)
SEND_AS_SUB_MERCHANT = Operation(
    "send", "POST", "/cgi-bin/message/custom/business/send", repeatable=False, confirmed=True
)
TYPING = Operation("typing", "POST", "/cgi-bin/message/custom/business/typing", confirmed=True)

UPLOAD = Operation("upload", "POST", "/cgi-bin/media/upload")
DOWNLOAD = Operation("download", "GET", "/cgi-bin/media/get")

STABLE_TOKEN = Operation("stable_token", "POST", "/cgi-bin/stable_token", takes_token=False)
FORCED_STABLE_TOKEN = Operation(
    "stable_token", "POST", "/cgi-bin/stable_token", repeatable=False, takes_token=False
)

QUOTA = Operation("quota", "POST", "/cgi-bin/openapi/quota/get")
CALLBACK_IPS = Operation("callback_ips", "GET", "/cgi-bin/getcallbackip")
CALLBACK_CHECK = Operation("callback_check", "POST", "/cgi-bin/callback/check")
