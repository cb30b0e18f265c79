"""Clients of a running stack: its signed API, the simulator, the webhook receiver."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.state import StackInfo

T = TypeVar("T")

TIMEOUT_SECONDS = 60
POLL_SECONDS = 0.1


class NothingFoundError(Exception):
    """`wait_until` timed out. The message says what it waited for."""


CONVERSATION_SECONDS = 60
"""Cold workers on a crowded machine take their time."""


def wait_until(probe: Callable[[], T | None], seconds: float, what: str) -> T:
    """Call `probe` until it returns something true, and return that.

    Raises NothingFoundError after `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise NothingFoundError(f"no {what} within {seconds:.0f} s")
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class ApiClient:
    """A client of the HTTP API that signs every call with SigV4."""

    url: str
    region: str
    credentials: Credentials = field(repr=False)

    @classmethod
    def of(cls, stack: StackInfo) -> "ApiClient":
        return cls(
            stack.api_url,
            stack.region,
            Credentials(stack.access_key_id, stack.secret_access_key),
        )

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a signed request; `json` or `body` is what it carries."""
        signed = self.sign(method, path, json, body=body, headers=headers)
        with requests.Session() as session:
            return session.send(signed, timeout=TIMEOUT_SECONDS)

    def sign(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.PreparedRequest:
        """Return a request that is signed with SigV4, valid for five minutes."""
        prepared = requests.Request(
            method, self.url + path, json=json, data=body, headers=dict(headers or {})
        ).prepare()
        signed = AWSRequest(method, prepared.url, data=prepared.body, headers=prepared.headers)
        SigV4Auth(self.credentials, "execute-api", self.region).add_auth(signed)
        prepared.headers.update(dict(signed.headers.items()))
        return prepared

    def get(self, path: str) -> requests.Response:
        return self.request("GET", path)

    def post(
        self, path: str, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        return self.request("POST", path, json, headers=headers)

    def delete(self, path: str) -> requests.Response:
        return self.request("DELETE", path)

    def wait_for_conversation(
        self, business_id: str, openid: str, seconds: float = CONVERSATION_SECONDS
    ) -> None:
        """Wait until the stack has recorded that a buyer wrote or entered: it may be answered."""
        path = f"/merchants/{business_id}/conversations/{openid}"
        wait_until(lambda: self.get(path).ok, seconds, "conversation")


def content_of(answer: requests.Response) -> Any:
    """Return what the API answered. Raises StackError, in the API's words, when it refused."""
    if answer.ok:
        return answer.json() if answer.content else None
    raise StackError(f"the API answered {answer.status_code}: {answer.text}")


@dataclass(frozen=True, slots=True)
class ReceiverClient:
    """A client of the local webhook receiver: sets how its hooks answer and reads what they got."""

    url: str

    def hook(self, name: str) -> str:
        """Return the address to subscribe with."""
        return f"{self.url}/hooks/{name}"

    def configure(self, name: str, **behaviour: Any) -> None:
        """Set `secret`, `status`, `headers`, `delay_seconds` or `times` of a hook."""
        requests.put(self.hook(name), json=behaviour, timeout=TIMEOUT_SECONDS).raise_for_status()

    def hooks(self) -> list[str]:
        """Return the names of all hooks that were configured."""
        items: list[str] = requests.get(f"{self.url}/hooks", timeout=TIMEOUT_SECONDS).json()[
            "items"
        ]
        return items

    def received(self, name: str) -> list[dict[str, Any]]:
        """Return a hook's requests, oldest first: `body`, `headers`, `verified`, …."""
        answer = requests.get(f"{self.url}/received", {"hook": name}, timeout=TIMEOUT_SECONDS)
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


def aws_client(stack: StackInfo, service: Any) -> Any:
    """Return a boto3 client of the stack's emulator with root credentials."""
    return boto3.client(
        service,
        endpoint_url=stack.aws_endpoint_url,
        region_name=stack.region,
        aws_access_key_id=stack.access_key_id,
        aws_secret_access_key=stack.secret_access_key,
    )


class PushRefusedError(Exception):
    """The bundle did not answer a push with `success`.

    `statuses` has one for each try: None where no answer came in time.
    """

    def __init__(self, attempts: list[dict[str, Any]]) -> None:
        super().__init__(f"the push was not accepted: {attempts}")
        self.statuses = [attempt["status"] for attempt in attempts]


@dataclass(frozen=True, slots=True)
class SimulatorClient:
    """A client of the WeChat simulator and its buyers. `GET /_sim` lists all it can do.

    `manner` overrides the settings for one push: `mode`, `format`, and `wait` (false: do not wait
    for its answer). Raises PushRefusedError when the push is not accepted.
    """

    url: str

    def configure(self, **settings: Any) -> None:
        """Change the named settings."""
        self.call("PUT", "/_sim/config", settings)

    def verify_url(self) -> bool:
        """Verify the push URL as WeChat does; return whether the answer was right."""
        verified: bool = self.call("POST", "/_sim/verify-url")["verified"]
        return verified

    def enter(self, openid: str, business_id: str, **manner: Any) -> dict[str, Any]:
        """The buyer opens the conversation with a merchant; pushed before this returns."""
        return self._act(openid, "enter", {"business_id": business_id, **manner})

    def say(self, openid: str, business_id: str, text: str, **manner: Any) -> dict[str, Any]:
        """The buyer sends a text; pushed before this returns."""
        return self._act(openid, "text", {"business_id": business_id, "content": text, **manner})

    def messages(self, openid: str) -> list[dict[str, Any]]:
        """Return what the buyer sees, oldest first: `nickname`, `sender`, `msgtype`, `text`, …"""
        answer = self.call("GET", f"/_sim/buyers/{openid}/messages")
        items: list[dict[str, Any]] = answer["items"]
        return items

    def call(self, method: str, path: str, json: Any = None) -> dict[str, Any]:
        """Any call of the control API. Raises `requests.HTTPError` with the simulator's reason."""
        answer = requests.request(method, self.url + path, json=json, timeout=TIMEOUT_SECONDS)
        if not answer.ok:
            raise requests.HTTPError(f"{method} {path}: {answer.text}", response=answer)
        document: dict[str, Any] = answer.json()
        return document

    def _act(self, openid: str, action: str, order: dict[str, Any]) -> dict[str, Any]:
        outcome = self.call("POST", f"/_sim/buyers/{openid}/{action}", order)
        if outcome["accepted"] is False:
            raise PushRefusedError(outcome["attempts"])
        return outcome
