"""What goes wrong on the deployed stack: workers die, AWS is silent, refuses, or throttles."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.chaos.workers import workers
from wechat_kf_cli.stack.clients import ApiClient, SimulatorClient, aws_client, wait_until
from wechat_kf_cli.stack.state import StackInfo, StateDirectory

POLICY = "chaos"
PATIENCE_SECONDS = 60
STATELESS = ("Push", "Messages", "Token")
"""Functions behind no queue: whoever called them calls again at once."""

CONSUMERS = ("Inbound", "Deliveries", "Outbound")
"""Functions whose batch is seen again only when its visibility is over, two or three minutes later:
killing these belongs to a long storm."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A function's workers were killed at `at` (Unix time)."""

    function: str
    at: float


class Mischief:
    """Does one thing after the other, in an order that the seed decides, until it is stopped."""

    def __init__(
        self, stack: StackInfo, state: StateDirectory, random: Random, *, kill_consumers: bool
    ) -> None:
        self._stack = stack
        self._state = state
        self._random = random
        self._iam = aws_client(stack, "iam")
        self._lambda = aws_client(stack, "lambda")
        self._simulator = SimulatorClient(stack.simulator_url)
        self._stopped = threading.Event()
        self.kills: list[Kill] = []
        self.happened: Counter[str] = Counter()
        self._repertoire = self._all_kinds(kill_consumers)

    def _all_kinds(self, kill_consumers: bool) -> Sequence[Callable[[], None]]:
        kinds: list[Callable[[], None]] = [
            *(partial(self._kill, name) for name in STATELESS),
            self._freeze,
            self._kill_tokens,
            partial(self._deny, "Push", "sqs:SendMessage"),
            partial(self._deny, "Messages", "dynamodb:*"),
            partial(self._deny, "Inbound", "dynamodb:*"),
            partial(self._deny, "Inbound", "sqs:SendMessage*"),
            partial(self._deny, "Deliveries", "dynamodb:*"),
            partial(self._deny, "Outbound", "dynamodb:*"),
            partial(self._throttle, "Push"),
            partial(self._throttle, "Messages"),
        ]
        if kill_consumers:
            kinds += [partial(self._kill, name) for name in CONSUMERS]
            kinds += [partial(self._throttle, "Deliveries")]
        return kinds

    @contextmanager
    def going_on(self, every_seconds: float) -> Iterator[None]:
        """In the background while the block runs; everything is set right after it."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self._run, every_seconds)
            try:
                yield
            finally:
                self._stopped.set()
            running.result()
            if self.happened["tokens killed"]:
                self._revive_token()

    def _revive_token(self) -> None:
        """A call has one retry: it fails when memory's token and the table's were both killed."""
        api = ApiClient.of(self._stack)
        wait_until(lambda: api.get("/quota").ok, PATIENCE_SECONDS, "token that WeChat takes")

    def _run(self, every_seconds: float) -> None:
        deck: list[Callable[[], None]] = []
        while not self._stopped.wait(self._random.uniform(0.5, 1.5) * every_seconds):
            if not deck:  # every kind once before any comes again
                deck = list(self._repertoire)
                self._random.shuffle(deck)
            try:
                deck.pop()()
            except (BotoCoreError, ClientError, OSError) as error:
                self.happened[f"mischief that failed: {type(error).__name__}"] += 1

    def _kill(self, function: str) -> None:
        pids = workers(self._stack, function)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        if pids:
            self.kills.append(Kill(function, time.time()))
        self.happened[f"{function} workers killed"] += len(pids)

    def _freeze(self) -> None:
        """Gateway, queues and tables are silent for a while."""
        pid = int((self._state.directory("run") / "emulator.pid").read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            time.sleep(self._random.uniform(0.5, 2.0))
        finally:
            os.kill(pid, signal.SIGCONT)
        self.happened["all of AWS silent for a second or two"] += 1

    def _kill_tokens(self) -> None:
        self._simulator.call("POST", "/_sim/tokens/kill")
        self.happened["tokens killed"] += 1

    def _deny(self, function: str, action: str) -> None:
        """AWS refuses a function's calls for a moment: none is retried, unlike throttled ones."""
        role = self._function(function)["Role"].rpartition("/")[2]
        statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._iam.put_role_policy(RoleName=role, PolicyName=POLICY, PolicyDocument=document)
        try:
            self._stopped.wait(self._random.uniform(0.5, 2.0))
        finally:
            self._iam.delete_role_policy(RoleName=role, PolicyName=POLICY)
        self.happened[f"{action} refused to {function}"] += 1

    def _throttle(self, function: str) -> None:
        """The function has no concurrency left for a moment."""
        name = self._stack.outputs[f"{function}FunctionName"]
        before = self._lambda.get_function_concurrency(FunctionName=name)
        reserved = before.get("ReservedConcurrentExecutions")
        self._lambda.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        try:
            self._stopped.wait(self._random.uniform(0.5, 1.5))
        finally:
            if reserved is None:
                self._lambda.delete_function_concurrency(FunctionName=name)
            else:
                self._lambda.put_function_concurrency(
                    FunctionName=name, ReservedConcurrentExecutions=reserved
                )
        self.happened[f"{function} throttled"] += 1

    def _function(self, function: str) -> dict[str, Any]:
        found: dict[str, Any] = self._lambda.get_function_configuration(
            FunctionName=self._stack.outputs[f"{function}FunctionName"]
        )
        return found
