"""`wechat-kf doctor` on the deployed stack: well, and with one thing wrong after another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import TEST_DIRECTORY
from wechat_kf_cli.main import run
from wechat_kf_cli.stack.clients import SimulatorClient, aws_client, wait_until
from wechat_kf_cli.stack.state import StackInfo

DEAD_LETTERS = ("Inbound", "Deliveries", "Outbound", "Broadcasts")
PATIENCE_SECONDS = 30

Diagnosis = Callable[[], tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def diagnose(
    stack: StackInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Diagnosis:
    """Runs the command: its exit code, and its findings by check."""
    monkeypatch.setenv("LOCAL_DIR", TEST_DIRECTORY)

    def diagnosed() -> tuple[int, dict[str, dict[str, str]]]:
        code = run(["doctor", "--json"])
        shown = capsys.readouterr().out
        for secret in (stack.push_token, stack.encoding_aes_key):
            assert secret not in shown
        return code, {one["check"]: one for one in json.loads(shown)["findings"]}

    return diagnosed


@pytest.fixture(autouse=True)
def no_dead_letters(stack: StackInfo) -> None:
    """What other tests killed is none of ours."""
    sqs = aws_client(stack, "sqs")
    for queue in DEAD_LETTERS:
        sqs.purge_queue(QueueUrl=stack.outputs[f"{queue}DeadLetterQueueUrl"])


@contextmanager
def secret_as(stack: StackInfo, output: str, **members: Any) -> Iterator[None]:
    """With other members in a secret, and the old ones afterwards."""
    manager, name = aws_client(stack, "secretsmanager"), stack.outputs[output]
    before = manager.get_secret_value(SecretId=name)["SecretString"]
    spoiled = {**json.loads(before), **members}
    manager.put_secret_value(SecretId=name, SecretString=json.dumps(spoiled))
    try:
        yield
    finally:
        manager.put_secret_value(SecretId=name, SecretString=before)


def failed(findings: dict[str, dict[str, str]]) -> list[str]:
    return [check for check, one in findings.items() if one["verdict"] == "failed"]


def test_a_fresh_stack_is_well(diagnose: Diagnosis) -> None:
    code, findings = diagnose()
    assert (code, failed(findings)) == (0, [])
    proved = ("push secret", "app secret", "access token", "callback/check", "push URL")
    assert {findings[check]["verdict"] for check in proved} == {"ok"}
    assert findings["wrong signature"]["verdict"] == "ok"
    assert findings["log retention"]["verdict"] == "ok"


def test_a_broken_push_secret_is_named(stack: StackInfo, diagnose: Diagnosis) -> None:
    with secret_as(stack, "PushSecretArn", encoding_aes_key="too short"):
        code, findings = diagnose()
    assert (code, failed(findings)) == (1, ["push secret"])
    assert "encoding_aes_key" in findings["push secret"]["detail"]


def test_a_wrong_app_secret_is_found_although_a_good_token_is_held(
    stack: StackInfo, diagnose: Diagnosis
) -> None:
    with secret_as(stack, "AppSecretArn", app_secret="0" * 32):
        code, findings = diagnose()
    assert (code, failed(findings)) == (1, ["access token"])
    assert "40125" in findings["access token"]["detail"]


def test_a_closed_whitelist_is_found_with_our_address(
    simulator: SimulatorClient, diagnose: Diagnosis
) -> None:
    simulator.configure(ip_whitelist=["192.0.2.1"])
    try:
        code, findings = diagnose()
    finally:
        simulator.configure(ip_whitelist=None)
    assert code == 1
    assert "40164" in findings["access token"]["detail"]
    assert "127.0.0.1" in findings["access token"]["detail"]
    assert "whitelist" in findings["access token"]["advice"]


def test_a_dead_letter_is_found(stack: StackInfo, diagnose: Diagnosis) -> None:
    sqs, url = aws_client(stack, "sqs"), stack.outputs["BroadcastsDeadLetterQueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    try:
        code, findings = diagnose()
    finally:
        sqs.purge_queue(QueueUrl=url)
    assert (code, failed(findings)) == (1, ["dead letters"]), findings
    wait_until(lambda: diagnose()[0] == 0, PATIENCE_SECONDS, "recovery")
