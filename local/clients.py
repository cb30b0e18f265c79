"""What one needs to talk to a running stack: a signed API client, the simulator, the receiver."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import boto3
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.state import StackInfo

T = TypeVar("T")

TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.1


class NothingFoundError(Exception):
    """`wait_until` gave up. The message says what it waited for."""


def wait_until(probe: Callable[[], T | None], seconds: float, what: str) -> T:
    """The first thing `probe` finds that is neither None, False nor empty.

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
    """The platform's back end: signs every call with SigV4, as the API demands."""

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
        prepared = requests.Request(
            method, self.url + path, json=json, data=body, headers=dict(headers or {})
        ).prepare()
        signed = AWSRequest(method, prepared.url, data=prepared.body, headers=prepared.headers)
        SigV4Auth(self.credentials, "execute-api", self.region).add_auth(signed)
        prepared.headers.update(dict(signed.headers.items()))
        with requests.Session() as session:
            return session.send(prepared, timeout=TIMEOUT_SECONDS)

    def get(self, path: str) -> requests.Response:
        return self.request("GET", path)

    def post(
        self, path: str, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        return self.request("POST", path, json, headers=headers)

    def delete(self, path: str) -> requests.Response:
        return self.request("DELETE", path)


@dataclass(frozen=True, slots=True)
class ReceiverClient:
    """The merchant's system: tells its hooks how to answer and what they got."""

    url: str

    def hook(self, name: str) -> str:
        """The address to subscribe with."""
        return f"{self.url}/hooks/{name}"

    def configure(self, name: str, **behaviour: Any) -> None:
        """Set `secret`, `status`, `headers`, `delay_seconds` or `times` of a hook."""
        requests.put(self.hook(name), json=behaviour, timeout=TIMEOUT_SECONDS).raise_for_status()

    def received(self, name: str) -> list[dict[str, Any]]:
        """The hook's requests, oldest first; `event` holds the parsed body."""
        answer = requests.get(f"{self.url}/received", {"hook": name}, timeout=TIMEOUT_SECONDS)
        items: list[dict[str, Any]] = answer.json()["items"]
        return items


def aws_client(stack: StackInfo, service: Any) -> Any:
    """A boto3 client of the stack's emulator with root credentials."""
    return boto3.client(
        service,
        endpoint_url=stack.aws_endpoint_url,
        region_name=stack.region,
        aws_access_key_id=stack.access_key_id,
        aws_secret_access_key=stack.secret_access_key,
    )


@dataclass(frozen=True, slots=True)
class SimulatorClient:
    """WeChat as the simulator plays it, and the buyers' phones."""

    url: str

    def configure(self, **settings: Any) -> None:
        """Change `mode`, `format`, the push URL or the keys; what is not named stays."""
        self._call("PUT", "/_sim/config", settings)

    def enter(self, openid: str, business_id: str) -> None:
        """The buyer opens the conversation with a merchant; pushed before this returns."""
        self._call("POST", f"/_sim/buyers/{openid}/enter", {"business_id": business_id})

    def say(self, openid: str, business_id: str, text: str) -> None:
        """The buyer sends a text; pushed before this returns."""
        body = {"business_id": business_id, "text": text}
        self._call("POST", f"/_sim/buyers/{openid}/messages", body)

    def phone(self, openid: str) -> list[dict[str, Any]]:
        """What the buyer sees, oldest first."""
        items: list[dict[str, Any]] = self._call("GET", f"/_sim/buyers/{openid}/messages")["items"]
        return items

    def _call(self, method: str, path: str, json: Any = None) -> Any:
        answer = requests.request(method, self.url + path, json=json, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return answer.json()
