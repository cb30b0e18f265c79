"""What WeChat says when it refuses a call (docs/wechat-api.md, section 14)."""

from typing import Final

TEXTS: Final = {
    -1: "system error",
    40001: "invalid credential, access_token is invalid or not latest",
    40002: "invalid grant_type",
    40003: "invalid openid",
    40004: "invalid media type",
    40006: "invalid media size",
    40007: "invalid media_id",
    40008: "invalid message type",
    40009: "invalid image size",
    40013: "invalid appid",
    40014: "invalid access_token",
    40033: "invalid charset. please check your request, if include \\uxxxx will create fail!",
    40035: "invalid parameter",
    40101: "missing parameter",
    40125: "invalid appsecret",
    40137: "invalid image format",
    40164: "invalid ip",
    40201: "no callback url set",
    40202: "invalid action",
    40203: "invalid check_operator",
    41001: "access_token missing",
    41002: "appid missing",
    41004: "appsecret missing",
    41005: "media data missing",
    41006: "media_id missing",
    42001: "access_token expired",
    43001: "require GET method",
    43002: "require POST method",
    44002: "empty post data",
    44004: "empty content",
    45002: "content size out of limit",
    45003: "title size out of limit",
    45004: "description size out of limit",
    45005: "url size out of limit",
    45006: "picurl size out of limit",
    45009: "reach max api daily quota limit",
    45011: "api minute-quota reach limit, must slower, retry next minute",
    45015: "response out of time limit or subscription is canceled",
    45047: "out of response count limit",
    45070: "account_name has been used",
    45071: "business not found",
    45072: "invalid command",
    45077: "business count reach limit",
    45078: "invalid nickname",
    45079: "nickname contains forbidden words",
    45080: "no message interaction with the user in 30 seconds",
    45081: "typing state is already set",
    45091: "invalid account_name",
    47001: "data format error",
    48001: "api unauthorized",
    48006: "forbid to clear quota because of reaching the limit",
    48008: "no permission for this msgtype",
    76001: "rid not found",
    76002: "invalid rid",
    76003: "invalid cgi_path",
    76004: "rid is too old",
    76021: "cgi_path not found",
}


class Refused(Exception):  # noqa: N818 - an answer of WeChat's, not a fault of ours
    """WeChat says no: `errcode`, and its text without the rid."""

    def __init__(self, errcode: int, text: str | None = None) -> None:
        super().__init__(errcode)
        self.errcode = errcode
        self.text = TEXTS.get(errcode, "") if text is None else text
