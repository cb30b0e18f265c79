"""`wechat-kf doctor` on a stack of fakes: what it finds and advises, and what it never shows."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from wechat_kf.wechat.crypto import sign_parts
from wechat_kf_cli.main import run
from wechat_kf_cli.ops import doctor
from wechat_kf_cli.ops.checks import Deployment, Finding, Reply, Verdict, examine

TOKEN, AES_KEY = "pushtoken123", "a" * 43
APP_ID, APP_SECRET = "wx0123456789abcdef", "0123456789abcdef" * 2
SECRETS = (TOKEN, AES_KEY, APP_SECRET)
PUSH_URL = "https://push.example/wechat/push"
SEEN = {"ok": True, "addresses": ["192.0.2.7"], "package_loss": ["0%"]}

QUEUES = ("Inbound", "Deliveries", "Outbound", "Bulk", "Broadcasts")
TABLES = ("Merchants", "Conversations", "Messages", "Subscriptions", "Tokens")

OUTPUTS = {
    "PushSecretArn": "arn:push",
    "AppSecretArn": "arn:app",
    "TokenFunctionName": "token",
    "AlarmTopicArn": "arn:topic",
    **{f"{queue}QueueUrl": f"{queue}" for queue in QUEUES},
    **{f"{queue}DeadLetterQueueUrl": f"{queue}-dead" for queue in QUEUES},
    **{f"{table}TableName": table for table in TABLES},
}


@dataclass
class FakeStack:
    """A healthy stack in AWS; a test spoils one thing."""

    push_secret: str = json.dumps({"token": TOKEN, "encoding_aes_key": AES_KEY})
    app_secret: str = json.dumps({"app_id": APP_ID, "app_secret": APP_SECRET})
    token_answer: Any = field(default_factory=lambda: {"ok": True, "push_url": SEEN})
    token_crashes: bool = False
    depths: dict[str, int] = field(default_factory=dict)
    alarms: tuple[str, ...] = ("TokenRefreshAlarm", "DailyQuotaAlarm")
    firing: tuple[str, ...] = ()
    listeners: tuple[str, ...] = ("arn:aws:sns:sub",)
    unprotected: tuple[str, ...] = ()
    eternal_logs: tuple[str, ...] = ()
    refusals: dict[str, str] = field(default_factory=dict)
    answer_get: Callable[[str], Reply] | None = None
    emulated: bool = False

    def examine(self) -> dict[str, Finding]:
        return {finding.check: finding for finding in examine(self.deployment())}

    def deployment(self) -> Deployment:
        return Deployment(
            stack="wechat-kf",
            outputs=OUTPUTS,
            parameters={"AppId": APP_ID},
            push_url=PUSH_URL,
            client=lambda service: self,
            get=self.get,
            emulated=self.emulated,
            clock=lambda: 1_700_000_000_000,
        )

    def get(self, url: str, query: dict[str, str]) -> Reply:
        """The push function, with the token in the secret."""
        assert url == PUSH_URL
        if self.answer_get:
            return self.answer_get(query["echostr"])
        right = sign_parts(TOKEN, query["timestamp"], query["nonce"])
        return Reply(200, query["echostr"]) if query["signature"] == right else Reply(403, "")

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803
        self._refuse("GetSecretValue")
        return {"SecretString": self.push_secret if SecretId == "arn:push" else self.app_secret}

    def invoke(self, *, Payload: bytes, **_: str) -> dict[str, Any]:  # noqa: N803
        assert json.loads(Payload) == {"check": True}
        answer = {"Payload": io.BytesIO(json.dumps(self.token_answer).encode())}
        return {**answer, "FunctionError": "Unhandled"} if self.token_crashes else answer

    def get_queue_attributes(self, *, QueueUrl: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        self._refuse("GetQueueAttributes")
        waiting = str(self.depths.get(QueueUrl, 0))
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        return {"Attributes": dict(zip(names, (waiting, "0"), strict=True))}

    def describe_alarms(
        self,
        *,
        AlarmNames: list[str],  # noqa: N803
        MaxRecords: int,  # noqa: N803
    ) -> dict[str, Any]:
        assert 0 < len(AlarmNames) <= MaxRecords <= 100  # without names it would list all of AWS's
        states = {name: "ALARM" if name in self.firing else "OK" for name in AlarmNames}
        alarms = [{"AlarmName": name, "StateValue": state} for name, state in states.items()]
        return {"MetricAlarms": alarms}

    def list_subscriptions_by_topic(self, **_: str) -> dict[str, Any]:
        return {"Subscriptions": [{"SubscriptionArn": arn} for arn in self.listeners]}

    def describe_continuous_backups(self, *, TableName: str) -> dict[str, Any]:  # noqa: N803
        status = "DISABLED" if TableName in self.unprotected else "ENABLED"
        recovery = {"PointInTimeRecoveryStatus": status}
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": recovery}}

    def describe_log_groups(self, *, logGroupNamePrefix: str) -> dict[str, Any]:  # noqa: N803
        days = {} if logGroupNamePrefix in self.eternal_logs else {"retentionInDays": 30}
        neighbour = {"logGroupName": f"{logGroupNamePrefix}-of-others"}
        return {"logGroups": [neighbour, {"logGroupName": logGroupNamePrefix, **days}]}

    def get_paginator(self, _operation: str) -> FakeStack:
        return self

    def paginate(self, **_: str) -> list[dict[str, Any]]:
        resources = [
            *(("AWS::CloudWatch::Alarm", name) for name in self.alarms),
            ("AWS::Logs::LogGroup", "/push"),
        ]
        return [
            {
                "StackResourceSummaries": [
                    {"ResourceType": kind, "PhysicalResourceId": name} for kind, name in resources
                ]
            }
        ]

    def _refuse(self, operation: str) -> None:
        if operation in self.refusals:
            raise ClientError({"Error": {"Code": self.refusals[operation]}}, operation)


def secret(**members: str) -> str:
    return json.dumps(members)


def test_a_healthy_stack_has_nothing_but_ok() -> None:
    findings = FakeStack().examine()
    assert {finding.verdict for finding in findings.values()} == {Verdict.OK}
    assert list(findings)[:5] == [
        "push secret",
        "app secret",
        "access token",
        "callback/check",
        "push URL",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "token is missing"),
        ("no json", "not a JSON object"),
        ("[]", "not a JSON object"),
        (secret(token="a b", encoding_aes_key=AES_KEY), "token must be 3 to 32"),
        (secret(token=TOKEN, encoding_aes_key=AES_KEY[:-1]), "encoding_aes_key must be 43"),
        (
            secret(token=TOKEN, encoding_aes_key=AES_KEY, previous_token="-"),
            "previous_token must be",
        ),
    ],
)
def test_a_push_secret_of_another_form_is_named_and_its_url_is_not_tried(
    text: str, told: str
) -> None:
    findings = FakeStack(push_secret=text).examine()
    assert findings["push secret"].verdict is Verdict.FAILED
    assert told in findings["push secret"].detail
    assert findings["push URL"].verdict is Verdict.SKIPPED
    assert "wrong signature" not in findings


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{}", "app_id is missing; app_secret is missing"),
        (secret(app_id=APP_ID, app_secret="short"), "app_secret must be 32"),
        (secret(app_id="wxother", app_secret=APP_SECRET), "app_id is not the stack's"),
    ],
)
def test_an_app_secret_of_another_form_is_named(text: str, told: str) -> None:
    finding = FakeStack(app_secret=text).examine()["app secret"]
    assert finding.verdict is Verdict.FAILED
    assert told in finding.detail


@pytest.mark.parametrize(
    ("facts", "detail", "advice"),
    [
        (
            {"code": "ip", "errcode": 40164, "rid": "a-b-c", "address": "192.0.2.9"},
            "address 192.0.2.9",
            "IP whitelist",
        ),
        ({"code": "wrong_app_secret", "errcode": 40125}, "errcode 40125", "copy it again"),
        ({"code": "wechat_unreachable"}, "wechat_unreachable", "NAT"),
        ({"code": "new_one", "errcode": 99}, "errcode 99", "docs/errors.md"),
    ],
)
def test_a_token_that_cannot_be_had_says_why(
    facts: dict[str, Any], detail: str, advice: str
) -> None:
    findings = FakeStack(token_answer={"ok": False, **facts}).examine()
    finding = findings["access token"]
    assert finding.verdict is Verdict.FAILED
    assert detail in finding.detail
    assert advice in finding.advice
    assert "callback/check" not in findings


def test_a_crashed_token_function_is_told_of() -> None:
    finding = FakeStack(token_crashes=True).examine()["access token"]
    assert finding.verdict is Verdict.FAILED
    assert "log of token" in finding.advice


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ({"ok": True}, Verdict.SKIPPED),
        ({"ok": True, "push_url": {"ok": False, "errcode": 40201}}, Verdict.FAILED),
        ({"ok": True, "push_url": {"ok": False, "code": "system_busy"}}, Verdict.WARNING),
    ],
)
def test_what_wechat_sees_of_the_push_url(answer: dict[str, Any], verdict: Verdict) -> None:
    assert FakeStack(token_answer=answer).examine()["callback/check"].verdict is verdict


def test_a_push_url_that_answers_everybody_fails_the_second_question() -> None:
    findings = FakeStack(answer_get=lambda echo: Reply(200, echo)).examine()
    assert findings["push URL"].verdict is Verdict.OK
    assert findings["wrong signature"].verdict is Verdict.FAILED


def test_a_push_url_that_refuses_everybody_fails_the_first() -> None:
    findings = FakeStack(answer_get=lambda echo: Reply(403, "refused")).examine()
    assert findings["push URL"].verdict is Verdict.FAILED
    assert findings["wrong signature"].verdict is Verdict.OK


def test_an_echo_in_quotes_is_not_the_echo() -> None:
    findings = FakeStack(answer_get=lambda echo: Reply(200, f'"{echo}"')).examine()
    assert findings["push URL"].verdict is Verdict.FAILED


def test_a_push_url_that_is_not_there_is_told_of() -> None:
    def no_answer(_echo: str) -> Reply:
        raise ConnectionError("ConnectTimeout")

    finding = FakeStack(answer_get=no_answer).examine()["push URL"]
    assert finding.verdict is Verdict.FAILED
    assert "ConnectTimeout" in finding.detail


def test_a_push_url_is_tried_as_often_as_wechat_would() -> None:
    def slow_start(echo: str) -> Reply:
        tries.append(echo)
        return Reply(200, echo) if len(tries) == 3 else Reply(503, "")

    tries: list[str] = []
    assert FakeStack(answer_get=slow_start).examine()["push URL"].verdict is Verdict.OK


def test_what_waits_is_a_warning_and_what_is_dead_a_failure() -> None:
    findings = FakeStack(depths={"Inbound": 3, "Outbound-dead": 2}).examine()
    assert findings["queues"].verdict is Verdict.WARNING
    assert findings["queues"].detail == "waiting: Inbound 3"
    assert findings["dead letters"].verdict is Verdict.FAILED
    assert findings["dead letters"].detail == "Outbound 2"


@pytest.mark.parametrize(
    ("spoiled", "check", "told"),
    [
        ({"firing": ("DailyQuotaAlarm",)}, "alarms", "DailyQuotaAlarm"),
        ({"unprotected": ("Messages",)}, "point-in-time recovery", "Messages"),
        ({"eternal_logs": ("/push",)}, "log retention", "/push"),
        ({"refusals": {"GetQueueAttributes": "AccessDenied"}}, "queues", "AccessDenied"),
    ],
)
def test_one_spoiled_thing_is_one_failure(
    spoiled: Mapping[str, Any], check: str, told: str
) -> None:
    findings = FakeStack(**spoiled).examine()
    assert told in findings[check].detail
    failed = [name for name, one in findings.items() if one.verdict is Verdict.FAILED]
    assert failed == [check]


@pytest.mark.parametrize("listeners", [(), ("PendingConfirmation",)])
def test_alarms_that_nobody_hears_are_a_warning(listeners: tuple[str, ...]) -> None:
    assert FakeStack(listeners=listeners).examine()["alarm topic"].verdict is Verdict.WARNING


def test_what_the_emulator_cannot_do_is_skipped() -> None:
    findings = FakeStack(emulated=True, firing=("DailyQuotaAlarm",)).examine()
    skipped = [name for name, one in findings.items() if one.verdict is Verdict.SKIPPED]
    assert skipped == ["alarms", "point-in-time recovery"]


@pytest.mark.parametrize(
    ("stack", "code"),
    [(FakeStack(), doctor.HEALTHY), (FakeStack(depths={"Inbound-dead": 1}), doctor.FAILING)],
)
def test_the_exit_code_and_the_json_agree(
    stack: FakeStack,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(doctor, "find_target", lambda options: None)
    monkeypatch.setattr(doctor, "deployment_of", lambda target: stack.deployment())
    assert run(["doctor", "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert document["healthy"] is (code == doctor.HEALTHY)
    assert set(document["findings"][0]) == {"check", "verdict", "detail", "advice"}


def test_without_a_stack_the_command_says_how_to_get_one(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path / "none"))
    assert run(["doctor"]) == doctor.NOT_FOUND
    assert "wechat-kf up" in capsys.readouterr().err


@pytest.mark.parametrize("report", [doctor.to_text, doctor.to_json])
def test_no_secret_is_shown_even_where_it_is_at_fault(report: Callable[..., str]) -> None:
    stacks = [
        FakeStack(),
        FakeStack(push_secret=secret(token=TOKEN, encoding_aes_key=AES_KEY + "b")),
        FakeStack(app_secret=secret(app_id="wxother", app_secret=APP_SECRET + "x")),
    ]
    shown = "".join(report(examine(stack.deployment())) for stack in stacks)
    assert "push secret" in shown
    assert not any(text in shown for text in SECRETS)


def test_blanks_around_a_secret_are_ignored_as_the_functions_ignore_them() -> None:
    padded = secret(token=f" {TOKEN}\n", encoding_aes_key=f"{AES_KEY}\r\n", previous_token=TOKEN)
    stack = FakeStack(
        push_secret=padded, app_secret=secret(app_id=f"{APP_ID} ", app_secret=f"\t{APP_SECRET}")
    )
    findings = stack.examine()
    assert {one.verdict for one in findings.values()} == {Verdict.OK}
    assert findings["push secret"].detail.endswith(
        "; blanks around token, encoding_aes_key are ignored"
    )
    assert findings["app secret"].detail.endswith("; blanks around app_id, app_secret are ignored")


def test_blanks_inside_a_secret_are_a_fault() -> None:
    spoiled = secret(token="push token123", encoding_aes_key=AES_KEY)
    assert FakeStack(push_secret=spoiled).examine()["push secret"].verdict is Verdict.FAILED
    empty = secret(app_id="  ", app_secret=APP_SECRET)
    assert "app_id is missing" in FakeStack(app_secret=empty).examine()["app secret"].detail


def test_a_stack_without_alarms_is_not_judged_by_those_of_others() -> None:
    assert FakeStack(alarms=()).examine()["alarms"].verdict is Verdict.SKIPPED


def test_more_alarms_than_one_call_takes_are_all_looked_at() -> None:
    many = tuple(f"Alarm{number}" for number in range(230))
    found = FakeStack(alarms=many, firing=("Alarm229",)).examine()["alarms"]
    assert found.detail == "in state ALARM: Alarm229"
    assert FakeStack(alarms=many).examine()["alarms"].detail.startswith("none of 230 alarms")


def test_every_queue_of_the_stack_is_looked_at() -> None:
    findings = FakeStack(depths={"Bulk": 3, "Bulk-dead": 2}).examine()
    assert findings["queues"].detail == "waiting: Bulk 3"
    assert findings["dead letters"].detail == "Bulk 2"
