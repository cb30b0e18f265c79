"""The command `listen`: bring a merchant's events to this machine, without a tunnel.

A queue of the developer's own is subscribed to the merchant, and each event that comes through it
is posted as the webhook it would have been. The queue and the subscription are removed at the end;
after a kill they stay, and the next start goes on with them, so that no event is lost.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Annotated, Any
from urllib.parse import urlsplit

import requests
import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.text import Text

from wechat_kf.adapters.webhooks.webhook import make_headers
from wechat_kf.domain.events import ANY_MERCHANT
from wechat_kf.domain.subscriptions.management import create_secret
from wechat_kf_cli.options import Merchant, Profile, Region, StackName
from wechat_kf_cli.stack.clients import ApiClient, content_of
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import StackOptions, Target, find_target

POLL_SECONDS = 2
FORWARD_SECONDS = 10
HIDDEN_SECONDS = 15
"""What a killed run had received comes again after so long."""

AGAIN_SECONDS = 5
"""When nobody answers at the address, an event is posted again after so long."""

KEPT_SECONDS = 86_400
DEFAULT_PATTERN = "wechat-kf-subscriber-{business_id}-*"


def listen(  # noqa: PLR0913, PLR0917 - the options of the command
    merchant: Merchant,
    forward_to: Annotated[str, typer.Option(help="Address on this machine to post events to.")],
    types: Annotated[
        str, typer.Option(help="Event types, separated by commas.", show_default="all")
    ] = "",
    secret: Annotated[
        str | None,
        typer.Option(
            envvar="WECHAT_KF_LISTEN_SECRET",
            help="Sign with this secret (whsec_…).",
            show_default="a new one",
        ),
    ] = None,
    stack_name: StackName = None,
    region: Region = None,
    profile: Profile = None,
) -> int:
    """Forward a merchant's events to this machine.

    Events are signed as webhooks are. An event that was answered, in whatever way, is done; when
    nobody answers, it is posted again. Type a number and Enter to post that event once more. Ctrl-C
    ends and cleans up.
    """
    if not urlsplit(forward_to).hostname or not forward_to.startswith(("http://", "https://")):
        raise typer.BadParameter("must be an http address", param_hint="--forward-to")
    console = Console(highlight=False, soft_wrap=True)
    forwarder = Forwarder(forward_to, secret or create_secret(), console)
    target = find_target(StackOptions(stack_name, region, profile))
    chosen = [one.strip() for one in types.split(",") if one.strip()]
    with _interruptible(), Inbox.opened(target, merchant, chosen) as inbox:
        console.print(f"secret  {forwarder.secret}")
        console.print(f"events of merchant {merchant} go to {forward_to}; Ctrl-C ends")
        with suppress(KeyboardInterrupt):
            _forward(inbox, forwarder)
        console.print("\nremoving the queue and the subscription")
    return 0


def _forward(inbox: Inbox, forwarder: Forwarder) -> None:
    wishes: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read_lines, args=(wishes,), daemon=True).start()
    while True:
        for message in inbox.receive():
            if forwarder.forward(message["Body"]):
                inbox.delete(message)
            else:
                inbox.put_back(message)
        with suppress(Empty):
            while True:
                forwarder.replay(wishes.get_nowait())


def _read_lines(wishes: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        wishes.put(line)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.default_int_handler) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@dataclass(slots=True)
class Forwarder:
    """Posts events to an address of the developer's, and remembers them."""

    url: str
    secret: str
    console: Console
    session: requests.Session = field(default_factory=requests.Session)
    bodies: list[str] = field(default_factory=list)

    def forward(self, body: str) -> bool:
        """Post an event and show what came back. False when nobody answered."""
        if body not in self.bodies:
            self.bodies.append(body)
        return self._post(self.bodies.index(body) + 1, body)

    def replay(self, wish: str) -> None:
        """Post an event again, by its number."""
        number = int(wish) if re.fullmatch(r"\s*\d{1,9}\s*", wish) else 0
        if 1 <= number <= len(self.bodies):
            self._post(number, self.bodies[number - 1])
        elif wish.strip():
            self.console.print(f"type the number of an event, 1 to {len(self.bodies)}")

    def _post(self, number: int, body: str) -> bool:
        event = json.loads(body)
        content = body.encode()
        headers = make_headers(event["id"], int(time.time()), content, [self.secret])
        started = time.monotonic()
        try:
            answer = self.session.post(
                self.url, content, headers=headers, timeout=FORWARD_SECONDS, allow_redirects=False
            )
        except requests.RequestException as error:
            self._show(number, event, f"no answer: {type(error).__name__}", "red")
            return False
        took_ms = (time.monotonic() - started) * 1000
        style = "green" if answer.ok else "red"
        self._show(number, event, f"{answer.status_code} in {took_ms:.0f} ms", style)
        return True

    def _show(self, number: int, event: dict[str, Any], outcome: str, style: str) -> None:
        line = Text(f"{time.strftime('%H:%M:%S')}  {number:>4}  {event['type']}  ")
        line.append(f"{event.get('subject', '-')}  ", "dim").append(outcome, style)
        self.console.print(line)


@dataclass(frozen=True, slots=True)
class Inbox:
    """A queue of the developer's own, and the subscription that fills it."""

    sqs: Any = field(repr=False)
    api: ApiClient
    queue_url: str
    subscription: str
    """The path of the subscription in the API."""

    @classmethod
    @contextmanager
    def opened(cls, target: Target, merchant: str, types: Sequence[str]) -> Iterator[Inbox]:
        """Make the queue and the subscription, or go on with those of a killed run.

        Removes both at the end. Raises StackError when AWS or the API refuses.
        """
        try:
            inbox = cls._open(target, merchant, types)
            try:
                yield inbox
            finally:
                inbox.remove()
        except (BotoCoreError, ClientError, requests.RequestException) as error:
            raise StackError(str(error)) from error

    @classmethod
    def _open(cls, target: Target, merchant: str, types: Sequence[str]) -> Inbox:
        sqs, api = target.client("sqs"), target.api()
        pattern = target.parameters.get("SubscriberQueueNamePattern", DEFAULT_PATTERN)
        name = queue_name(pattern, merchant)
        url = sqs.create_queue(
            QueueName=name,
            Attributes={
                "FifoQueue": "true",
                "MessageRetentionPeriod": str(KEPT_SECONDS),
                "VisibilityTimeout": str(HIDDEN_SECONDS),
            },
            tags={"made-by": "wechat-kf listen", "stack": target.stack_name},
        )["QueueUrl"]
        home = target.outputs["DeliveriesQueueUrl"].rpartition("/")[0]
        path = f"/merchants/{merchant}/subscriptions"
        subscription_id = _subscribe(api, path, f"{home}/{name}", types)
        return cls(sqs, api, url, f"{path}/{subscription_id}")

    def receive(self) -> Sequence[dict[str, Any]]:
        """Return what has come, waiting for up to `POLL_SECONDS`.

        One message at most: a second one would be hidden while the first is posted.
        """
        answer = self.sqs.receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=1, WaitTimeSeconds=POLL_SECONDS
        )
        found: Sequence[dict[str, Any]] = answer.get("Messages", ())
        return found

    def delete(self, message: dict[str, Any]) -> None:
        self.sqs.delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def put_back(self, message: dict[str, Any]) -> None:
        """Receive it again in a moment; what stands behind it in its conversation waits."""
        self.sqs.change_message_visibility(
            QueueUrl=self.queue_url,
            ReceiptHandle=message["ReceiptHandle"],
            VisibilityTimeout=AGAIN_SECONDS,
        )

    def remove(self) -> None:
        """Remove the subscription first: what is still delivered would miss its queue."""
        answer = self.api.delete(self.subscription)
        if answer.status_code != requests.codes.not_found:
            content_of(answer)
        self.sqs.delete_queue(QueueUrl=self.queue_url)


def queue_name(pattern: str, merchant: str) -> str:
    """Return the name of this developer's queue for a merchant.

    `pattern` is the stack's for subscribers' queues. Raises StackError when it leaves no room.
    """
    who = f"{getpass.getuser()}@{socket.gethostname()}@{merchant}"
    own = f"listen-{hashlib.sha256(who.encode()).hexdigest()[:12]}"
    begin, _, end = pattern.removesuffix(".fifo").partition("{business_id}")
    if merchant == ANY_MERCHANT:
        return f"{begin}{own}.fifo"
    if not end.endswith("*"):
        raise StackError(f"the stack's queue names ({pattern}) leave no room for one of your own")
    return f"{begin}{merchant}{end.removesuffix('*')}{own}.fifo"


def _subscribe(api: ApiClient, path: str, queue_url: str, types: Sequence[str]) -> str:
    """Return the id of the subscription of the queue, which a killed run may have left."""
    target = {"type": "queue", "queue_url": queue_url}
    for one in content_of(api.get(path))["items"]:
        if one["target"] == target:
            change = {"event_types": list(types), "status": "active"}
            content_of(api.request("PATCH", f"{path}/{one['subscription_id']}", change))
            return str(one["subscription_id"])
    created = content_of(api.post(path, {"target": target, "event_types": list(types)}))
    return str(created["subscription_id"])
