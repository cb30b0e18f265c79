"""What tests of the simulator talk to it with, and what its pushes arrive at."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from wechat_kf_local.png import plain_png

NOW = 1_800_000_000.0
SECRET = "0123456789abcdef0123456789abcdef"
BUYER = "oBuyer00000000000000000000001"


@dataclass
class Simulator:
    """What a test needs to talk to the simulator; `token` is a fresh one unless it is given."""

    url: str
    http: requests.Session = field(default_factory=requests.Session)
    token: str = ""

    def raw(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.http.request(method, self.url + path, timeout=10, **options)

    def api(self, path: str, document: Any = None, **query: str) -> dict[str, Any]:
        """POST a document (GET when there is none) with the token; the JSON that comes back."""
        answer: dict[str, Any] = self.call(path, document, **query).json()
        return answer

    def call(self, path: str, document: Any = None, **query: str) -> requests.Response:
        self.token = self.token or self.stable()["access_token"]
        params = {"access_token": self.token} | query
        if document is None:
            return self.raw("GET", path, params=params)
        return self.raw("POST", path, params=params, data=as_json(document))

    def control(self, method: str, path: str, document: Any = None) -> Any:
        answer = self.raw(method, f"/_sim{path}", json=document)
        assert answer.ok, answer.text
        return answer.json()

    def configure(self, **settings: Any) -> None:
        self.control("PUT", "/config", settings)

    def advance(self, seconds: float) -> None:
        self.control("POST", "/clock", {"advance": seconds})

    def fault(self, **order: Any) -> None:
        self.control("POST", "/faults", order)

    def buyer(self, action: str, openid: str = BUYER, **order: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.control("POST", f"/buyers/{openid}/{action}", order)
        return answer

    def phone(self, openid: str = BUYER) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.control("GET", f"/buyers/{openid}/phone")[
            "conversations"
        ]
        return found

    def merchant(self, account_name: str = "shop_0001", nickname: str = "苹果旗舰店") -> int:
        names = {"account_name": account_name, "nickname": nickname}
        return int(self.control("POST", "/merchants", names)["business_id"])

    def stable(self, **changes: Any) -> dict[str, Any]:
        settings = self.control("GET", "/config")
        document = {
            "grant_type": "client_credential",
            "appid": settings["app_id"],
            "secret": SECRET,
        }
        answer = self.raw("POST", "/cgi-bin/stable_token", data=as_json(document | changes))
        token: dict[str, Any] = answer.json()
        return token

    def classic(self, **changes: str) -> dict[str, Any]:
        query = {
            "grant_type": "client_credential",
            "appid": self.control("GET", "/config")["app_id"],
            "secret": SECRET,
        }
        token: dict[str, Any] = self.raw("GET", "/cgi-bin/token", params=query | changes).json()
        return token

    def upload(self, content: bytes | None = None, kind: str = "image") -> dict[str, Any]:
        self.token = self.token or self.stable()["access_token"]
        answer: dict[str, Any] = self.raw(
            "POST",
            "/cgi-bin/media/upload",
            params={"access_token": self.token, "type": kind},
            files={"media": ("icon.png", plain_png() if content is None else content)},
        ).json()
        return answer

    def send(self, content: str = "您好", **changes: Any) -> dict[str, Any]:
        """Send a text to the buyer, as the sub-merchant of `businessid` if one is given."""
        document = {"touser": BUYER, "msgtype": "text", "text": {"content": content}} | changes
        kind = "business/send" if "businessid" in changes else "send"
        return self.api(f"/cgi-bin/message/custom/{kind}", document)


def as_json(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


@dataclass
class Receiver:
    """Our side of the push URL: it keeps what comes and answers what a test wants."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], tuple[int, bytes]] = lambda _request: (200, b"success")


def slowly(seconds: float) -> Callable[[dict[str, Any]], tuple[int, bytes]]:
    """An answer that comes too late."""

    def answer(_request: dict[str, Any]) -> tuple[int, bytes]:
        time.sleep(seconds)
        return 200, b"success"

    return answer
