"""The checks of the doctor, in the order in which one fault explains the next."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from wechat_kf.domain.clock import SECOND, Clock, now_ms
from wechat_kf.wechat.crypto import sign_parts

_DEAD_LETTERS, _QUEUE, _TABLE = "DeadLetterQueueUrl", "QueueUrl", "TableName"
"""How the names of the stack's outputs end."""

_ALARMS_AT_ONCE = 100
TRIES = 3

_TOKEN = re.compile(r"[A-Za-z0-9]{3,32}")
_AES_KEY = re.compile(r"[A-Za-z0-9]{43}")
_APP_SECRET = re.compile(r"[0-9a-f]{32}")

_TOKEN_ADVICE = {
    40001: "the AppSecret in the app secret is wrong: copy it again from the console",
    40013: "the AppID is wrong: compare the parameter AppId and the app secret with the console",
    40125: "the AppSecret in the app secret is wrong: copy it again from the console, or reset it",
    40164: "add this address to the IP whitelist in the console, or give the token function a "
    "fixed one (TokenSubnetIds)",
    40243: "the AppSecret is frozen: unfreeze it in the console",
    45009: "the daily quota of the token call is used up: call clear_quota (docs/wechat-api.md)",
}
_OTHER_ADVICE = {
    "wechat_unreachable": "the token function cannot reach WeChat: check WeChatApiHosts and, with "
    "TokenSubnetIds, the route to a NAT gateway",
    "wechat_did_not_answer": "WeChat did not answer in time; try again",
    "temporarily_unavailable": "see the app secret above, and the log of the token function",
}


class Verdict(StrEnum):
    """How a check ended; only FAILED makes the doctor's exit code 1."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, and what to do about it. Holds no secret."""

    check: str
    verdict: Verdict
    detail: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Deployment:
    """A stack and the ways to look at it.

    `client` makes a boto3 client of a service. `get` calls a URL with a query, and raises
    `ConnectionError`. `emulated` is true for the local stack, whose emulator keeps no backups and
    evaluates no alarms.
    """

    stack: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    push_url: str
    client: Callable[[str], Any] = field(repr=False)
    get: Callable[[str, dict[str, str]], Reply] = field(repr=False)
    emulated: bool = False
    clock: Clock = now_ms


Check = Callable[[Deployment], Iterator[Finding]]


def examine(deployment: Deployment) -> list[Finding]:
    """Run every check and return the findings. A check that AWS refuses is a finding too."""
    findings: list[Finding] = []
    for name, check in CHECKS.items():
        try:
            findings += check(deployment)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "unknown")
            advice = f"{error.operation_name}: a right is missing, or the resource is"
            findings.append(Finding(name, Verdict.FAILED, f"AWS refused: {code}", advice))
        except BotoCoreError as error:
            detail = f"AWS did not answer: {type(error).__name__}"
            findings.append(Finding(name, Verdict.FAILED, detail, "check the region and network"))
        except KeyError as error:
            advice = "deploy the current template, and check the name of the stack"
            detail = f"the stack has no output {error}"
            findings.append(Finding(name, Verdict.FAILED, detail, advice))
    return findings


def push_secret(deployment: Deployment) -> Iterator[Finding]:
    """Check the form of the token and EncodingAESKey, and of the previous ones in a rotation."""
    name = "push secret"
    secret = _secret(deployment, "PushSecretArn")
    faults = push_secret_faults(secret)
    if faults:
        advice = "store the console's token and EncodingAESKey there as JSON (README.md)"
        yield Finding(name, Verdict.FAILED, "; ".join(faults), advice)
    else:
        yield _form_is_right(name, "token and encoding_aes_key", secret)


def push_secret_faults(secret: Mapping[str, Any] | None) -> list[str]:
    """List what is wrong with the form of the push secret; never a value."""
    if secret is None:
        return ["it is not a JSON object"]
    forms = {
        "token": (_TOKEN, "3 to 32 letters or digits"),
        "encoding_aes_key": (_AES_KEY, "43 letters or digits"),
    }
    faults: list[str] = []
    for prefix in ("", "previous_"):
        for name, (form, wanted) in forms.items():
            value = secret.get(prefix + name)
            if value is None and not prefix:
                faults.append(f"{name} is missing")
            elif value is not None and not form.fullmatch(str(value).strip()):
                faults.append(f"{prefix}{name} must be {wanted}")
    return faults


def app_secret(deployment: Deployment) -> Iterator[Finding]:
    """Check the form of AppID and AppSecret; the AppID must be the stack's own."""
    name = "app secret"
    secret = _secret(deployment, "AppSecretArn")
    faults = app_secret_faults(secret, deployment.parameters.get("AppId"))
    if faults:
        advice = "store the Mini Program's app_id and app_secret there as JSON (README.md)"
        yield Finding(name, Verdict.FAILED, "; ".join(faults), advice)
    else:
        yield _form_is_right(name, "app_id and app_secret", secret)


def app_secret_faults(secret: Mapping[str, Any] | None, app_id: str | None) -> list[str]:
    """List what is wrong with the form of the app secret; never a value."""
    if secret is None:
        return ["it is not a JSON object"]
    found = {name: str(secret.get(name) or "").strip() for name in ("app_id", "app_secret")}
    faults = [f"{name} is missing" for name, value in found.items() if not value]
    if found["app_secret"] and not _APP_SECRET.fullmatch(found["app_secret"]):
        faults.append("app_secret must be 32 digits or letters a to f")
    if found["app_id"] and app_id and found["app_id"] != app_id:
        faults.append("app_id is not the stack's parameter AppId")
    return faults


def _form_is_right(name: str, values: str, secret: Mapping[str, Any] | None) -> Finding:
    """Return that a secret is usable, and what the functions trim when they read it."""
    padded = [key for key, value in (secret or {}).items() if str(value) != str(value).strip()]
    note = f"; blanks around {', '.join(padded)} are ignored" if padded else ""
    return Finding(name, Verdict.OK, f"{values} have the right form{note}")


def token(deployment: Deployment) -> Iterator[Finding]:
    """Check that the token function gets a token now, and what WeChat sees of the push URL."""
    answer = deployment.client("lambda").invoke(
        FunctionName=deployment.outputs["TokenFunctionName"],
        InvocationType="RequestResponse",
        Payload=b'{"check": true}',
    )
    payload = json.loads(answer["Payload"].read())
    if "FunctionError" in answer or not isinstance(payload, dict):
        advice = f"read the log of {deployment.outputs['TokenFunctionName']}"
        yield Finding("access token", Verdict.FAILED, "the token function failed", advice)
        return
    if not payload.get("ok"):
        yield Finding("access token", Verdict.FAILED, failure_text(payload), token_advice(payload))
        return
    yield Finding("access token", Verdict.OK, "WeChat accepts the AppSecret and issues a token")
    yield _callback_check(payload.get("push_url"))


def _callback_check(seen: dict[str, Any] | None) -> Finding:
    name = "callback/check"
    if seen is None:
        detail = "the deployed token function is too old for this check"
        return Finding(name, Verdict.SKIPPED, detail, "redeploy")
    if seen["ok"]:
        where = ", ".join(seen["addresses"]) or "no address"
        loss = ", ".join(seen["package_loss"]) or "unknown"
        return Finding(name, Verdict.OK, f"WeChat reaches {where}, packet loss {loss}")
    if seen.get("errcode") == 40201:
        advice = "enter the push URL in the console (开发管理 → 消息推送配置)"
        return Finding(name, Verdict.FAILED, "the console has no push URL", advice)
    advice = "WeChat could not answer; the running stack is not affected"
    return Finding(name, Verdict.WARNING, failure_text(seen), advice)


def failure_text(facts: Mapping[str, Any]) -> str:
    """Describe a failure in one line, with what WeChat's support asks for."""
    words = [str(facts.get("detail") or facts.get("code", "unknown"))]
    words += [
        f"{name} {facts[name]}"
        for name in ("errcode", "rid", "address")
        if facts.get(name) and str(facts[name]) not in words[0]
    ]
    return ", ".join(words)


def token_advice(facts: Mapping[str, Any]) -> str:
    """Return what to do when no token can be obtained."""
    by_errcode = _TOKEN_ADVICE.get(facts.get("errcode", 0))
    return by_errcode or _OTHER_ADVICE.get(
        str(facts.get("code")), "look up the errcode in docs/errors.md; try again"
    )


def push_url(deployment: Deployment) -> Iterator[Finding]:
    """Check the push URL from outside as WeChat does, and that a wrong signature is refused."""
    name = "push URL"
    secret = _secret(deployment, "PushSecretArn")
    if secret is None or push_secret_faults(secret):
        yield Finding(name, Verdict.SKIPPED, "fix the push secret first")
        return
    echo = secrets.token_hex(8)
    try:
        right = _ask(deployment, _verification(deployment, str(secret["token"]).strip(), echo))
        wrong = _ask(deployment, _verification(deployment, secrets.token_hex(16), echo))
    except ConnectionError as error:
        advice = "check the host name and, in China, the ICP filing (docs/china.md)"
        yield Finding(name, Verdict.FAILED, f"no answer ({error})", advice)
        return
    if (right.status, right.text) == (200, echo):
        yield Finding(name, Verdict.OK, f"{deployment.push_url} returns the echo")
    else:
        yield Finding(
            name, Verdict.FAILED, f"answered {right.status}, not the echo", _echo_advice(right)
        )
    yield _refusal("wrong signature", wrong)


def _ask(deployment: Deployment, query: dict[str, str]) -> Reply:
    """Call the push URL up to `TRIES` times, as WeChat does: a slow cold start is no fault.

    Raises `ConnectionError`.
    """
    for _ in range(TRIES - 1):
        with suppress(ConnectionError):
            reply = deployment.get(deployment.push_url, query)
            if reply.status < 500:
                return reply
    return deployment.get(deployment.push_url, query)


def _verification(deployment: Deployment, push_token: str, echo: str) -> dict[str, str]:
    timestamp, nonce = str(deployment.clock() // SECOND), secrets.token_hex(5)
    return {
        "signature": sign_parts(push_token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
        "echostr": echo,
    }


def _echo_advice(reply: Reply) -> str:
    if reply.status == 403:
        return "the push function has another token: wait 30 s and try again; check your clock"
    return "read the log of the push function, and check any proxy in front of the API"


def _refusal(name: str, reply: Reply) -> Finding:
    if reply.status == 403:
        return Finding(name, Verdict.OK, "a wrong signature is refused with 403")
    advice = "something else answers at this URL: check the API's route and its integration"
    return Finding(
        name, Verdict.FAILED, f"a wrong signature was answered with {reply.status}", advice
    )


def queues(deployment: Deployment) -> Iterator[Finding]:
    """Count waiting messages (no fault) and dead letters (a fault)."""
    sqs, names = deployment.client("sqs"), _outputs(deployment, _DEAD_LETTERS)
    waiting = _depths(sqs, deployment, names, _QUEUE)
    if waiting:
        advice = "check again: if it does not shrink, see the …Age alarms in docs/operations.md"
        yield Finding("queues", Verdict.WARNING, f"waiting: {waiting}", advice)
    else:
        yield Finding("queues", Verdict.OK, "empty")
    dead = _depths(sqs, deployment, names, _DEAD_LETTERS)
    if dead:
        advice = "find the cause and fix it, then replay them (docs/operations.md)"
        yield Finding("dead letters", Verdict.FAILED, dead, advice)
    else:
        yield Finding("dead letters", Verdict.OK, "none")


def _outputs(deployment: Deployment, ending: str) -> list[str]:
    """Return what comes before this ending in the names of the outputs. Raises KeyError."""
    found = [name.removesuffix(ending) for name in deployment.outputs if name.endswith(ending)]
    if not found:
        raise KeyError(f"…{ending}")
    return found


def _depths(sqs: Any, deployment: Deployment, queues: Sequence[str], ending: str) -> str:
    """Format the queues that are not empty, with messages in flight: `Inbound 3, Outbound 1`."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found: list[str] = []
    for queue in queues:
        url = deployment.outputs[queue + ending]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        number = sum(int(attributes[name]) for name in names)
        if number:
            found.append(f"{queue} {number}")
    return ", ".join(found)


def alarms(deployment: Deployment) -> Iterator[Finding]:
    """Check that no alarm is firing, and that somebody is notified when one does."""
    if deployment.emulated:
        yield Finding("alarms", Verdict.SKIPPED, "the emulator evaluates no alarms")
        return
    names = _resources(deployment, "AWS::CloudWatch::Alarm")
    if not names:
        yield Finding("alarms", Verdict.SKIPPED, "the stack has none")
        return
    client, found = deployment.client("cloudwatch"), []
    for start in range(0, len(names), _ALARMS_AT_ONCE):
        some = names[start : start + _ALARMS_AT_ONCE]
        found += client.describe_alarms(AlarmNames=some, MaxRecords=_ALARMS_AT_ONCE)["MetricAlarms"]
    firing = sorted(one["AlarmName"] for one in found if one["StateValue"] == "ALARM")
    if firing:
        advice = "docs/operations.md has the cause and action of each"
        yield Finding("alarms", Verdict.FAILED, "in state ALARM: " + ", ".join(firing), advice)
    else:
        yield Finding("alarms", Verdict.OK, f"none of {len(found)} alarms is in state ALARM")
    yield _listeners(deployment)


def _listeners(deployment: Deployment) -> Finding:
    topic = deployment.outputs["AlarmTopicArn"]
    answer = deployment.client("sns").list_subscriptions_by_topic(TopicArn=topic)
    confirmed = [
        one for one in answer["Subscriptions"] if one["SubscriptionArn"].startswith("arn:")
    ]
    if confirmed:
        return Finding("alarm topic", Verdict.OK, f"{len(confirmed)} subscribed")
    advice = "set AlarmEmail and confirm the e-mail, or subscribe your own system to the topic"
    return Finding("alarm topic", Verdict.WARNING, "nobody is subscribed", advice)


def backups(deployment: Deployment) -> Iterator[Finding]:
    """Check point-in-time recovery of every table."""
    name = "point-in-time recovery"
    if deployment.emulated:
        yield Finding(name, Verdict.SKIPPED, "the emulator keeps no backups")
        return
    dynamodb = deployment.client("dynamodb")
    tables = _outputs(deployment, _TABLE)
    off = [table for table in tables if not _recoverable(dynamodb, deployment, table)]
    if off:
        advice = "it was switched off: redeploy, or switch it on at the table"
        yield Finding(name, Verdict.FAILED, "off: " + ", ".join(off), advice)
    else:
        yield Finding(name, Verdict.OK, f"on for {len(tables)} tables")


def _recoverable(dynamodb: Any, deployment: Deployment, table: str) -> bool:
    answer = dynamodb.describe_continuous_backups(TableName=deployment.outputs[table + _TABLE])
    recovery = answer["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
    return bool(recovery.get("PointInTimeRecoveryStatus") == "ENABLED")


def logs(deployment: Deployment) -> Iterator[Finding]:
    """Check that every log group has a retention: endless logs cost money and privacy."""
    client = deployment.client("logs")
    names = _resources(deployment, "AWS::Logs::LogGroup")
    endless = [name for name in names if not _retention(client, name)]
    if endless:
        advice = "it was changed: redeploy, or set a retention"
        yield Finding("log retention", Verdict.FAILED, "unlimited: " + ", ".join(endless), advice)
    else:
        yield Finding("log retention", Verdict.OK, f"set for {len(names)} log groups")


def _retention(client: Any, name: str) -> int | None:
    groups = client.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return next((one.get("retentionInDays") for one in groups if one["logGroupName"] == name), None)


def _secret(deployment: Deployment, output: str) -> dict[str, Any] | None:
    """Return the members of a secret; None when it is not a JSON object."""
    client = deployment.client("secretsmanager")
    text = client.get_secret_value(SecretId=deployment.outputs[output]).get("SecretString", "")
    try:
        document = json.loads(text)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _resources(deployment: Deployment, resource_type: str) -> list[str]:
    """Return the names of the stack's resources of one type."""
    pages = deployment.client("cloudformation").get_paginator("list_stack_resources")
    return [
        one["PhysicalResourceId"]
        for page in pages.paginate(StackName=deployment.stack)
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] == resource_type
    ]


CHECKS: dict[str, Check] = {
    "push secret": push_secret,
    "app secret": app_secret,
    "access token": token,
    "push URL": push_url,
    "queues": queues,
    "alarms": alarms,
    "point-in-time recovery": backups,
    "log retention": logs,
}
