"""Merchant management on the deployed stack: gateway, IAM, function, table, WeChat."""

from __future__ import annotations

import base64
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from string import Template
from typing import Any

import boto3
import pytest
import requests
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from wechat_kf_cli.main import run
from wechat_kf_cli.ops import import_merchants
from wechat_kf_cli.stack.clients import (
    ApiClient,
    ReceiverClient,
    aws_client,
    wait_until,
)
from wechat_kf_cli.stack.state import ROOT, StackInfo
from wechat_kf_local.emulator import ACCOUNT_ID
from wechat_kf_local.png import plain_png

ICON = base64.b64encode(plain_png()).decode()


@pytest.fixture
def key() -> str:
    """A merchant's key at the platform, new on every run: a stack may outlive it."""
    return f"merchants-e2e-{uuid.uuid4().hex[:8]}"


def registration(key: str, **changes: Any) -> dict[str, Any]:
    return {"external_id": key, "nickname": "苹果旗舰店", "icon": ICON, **changes}


def register(api: ApiClient, key: str) -> dict[str, Any]:
    answer = api.post("/merchants", registration(key))
    assert answer.status_code in (200, 201), answer.text
    merchant: dict[str, Any] = answer.json()
    return merchant


def problem_of(answer: requests.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    return problem


def listed_at_wechat(stack: StackInfo) -> dict[str, dict[str, Any]]:
    items = requests.get(f"{stack.simulator_url}/_sim/merchants", timeout=10).json()["items"]
    return {item["account_name"]: item for item in items}


def test_a_merchant_lives_from_registration_to_reactivation(api: ApiClient, key: str) -> None:
    # Registered, and again
    created = api.post("/merchants", registration(key))
    assert created.status_code == 201
    path = created.headers["Location"]
    again = api.post("/merchants", registration(key))
    assert (again.status_code, again.json()) == (200, created.json())
    # Found by its name and key
    found = api.get(f"/merchants?external_id={key}").json()["items"]
    assert found == [created.json()] == [api.get(path).json()]
    # Renamed
    renamed = api.request("PATCH", path, {"nickname": "香蕉旗舰店", "icon": ICON}).json()
    assert renamed["nickname"] == "香蕉旗舰店"
    assert renamed["icon_url"] != created.json()["icon_url"]
    # Set aside, and taken back
    assert api.get(f"{path}/contact-button").status_code == 200
    assert api.delete(path).json()["status"] == "inactive"
    assert problem_of(api.get(f"{path}/contact-button"), 409)["code"] == "merchant_inactive"
    assert api.request("PATCH", path, {"status": "active"}).json()["status"] == "active"


def test_callers_who_race_get_one_sub_merchant_and_equal_answers(
    api: ApiClient, stack: StackInfo, key: str
) -> None:
    before = len(listed_at_wechat(stack))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: api.post("/merchants", registration(key)), range(4)))
    assert {answer.status_code for answer in answers} <= {200, 201}
    assert sum(answer.status_code == 201 for answer in answers) == 1
    assert len({answer.text for answer in answers}) == 1
    assert len(listed_at_wechat(stack)) == before + 1


def test_a_name_of_another_merchant_answers_with_its_business_id(api: ApiClient, key: str) -> None:
    merchant = register(api, key)
    other = registration(f"{key}-other", account_name=merchant["account_name"])
    problem = problem_of(api.post("/merchants", other), 409)
    assert problem["business_id"] == merchant["business_id"]


def test_wechats_refusal_is_told_with_errcode_rid_and_advice(api: ApiClient, key: str) -> None:
    problem = problem_of(api.post("/merchants", registration(key, nickname="微信官方店")), 400)
    assert (problem["code"], problem["errcode"]) == ("nickname_forbidden", 45079)
    assert problem["rid"]
    assert problem["advice"]


def test_what_was_registered_elsewhere_is_adopted(
    api: ApiClient, stack: StackInfo, key: str
) -> None:
    elsewhere = {"account_name": key.replace("-", "_"), "nickname": "别处商店"}
    answer = requests.post(f"{stack.simulator_url}/_sim/merchants", json=elsewhere, timeout=10)
    answer.raise_for_status()
    report = api.post("/merchants/sync").json()
    assert report["complete"]
    assert report["missing"] == report["conflicting"] == []
    (adopted,) = api.get(f"/merchants?account_name={elsewhere['account_name']}").json()["items"]
    assert adopted["business_id"] in report["added"]
    assert api.post("/merchants/sync").json()["added"] == []


def test_subscribers_hear_of_a_change(api: ApiClient, receiver: ReceiverClient, key: str) -> None:
    merchant = register(api, key)
    path = f"/merchants/{merchant['business_id']}"
    target = {"type": "webhook", "url": receiver.hook(key)}
    subscription = api.post(f"{path}/subscriptions", {"target": target}).json()
    receiver.configure(key, secret=subscription["secret"])
    api.request("PATCH", path, {"nickname": "樱桃旗舰店"}).raise_for_status()

    def event() -> dict[str, Any] | None:
        verified = (found["body"] for found in receiver.received(key) if found["verified"])
        return next((json.loads(body) for body in verified), None)

    changed = wait_until(event, 60, "event about the merchant")
    assert changed["type"] == "wechat.kf.merchant.changed"
    assert changed["subject"] == merchant["business_id"]
    assert changed["data"] == api.get(path).json()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/merchants/42/nothing", 404),
        ("PUT", "/merchants/42", 405),
        ("GET", "/merchants/sync", 405),
        ("DELETE", "/merchants", 405),
    ],
)
def test_what_no_route_wants_is_a_problem_document(
    api: ApiClient, method: str, path: str, status: int
) -> None:
    answer = api.request(method, path)
    problem_of(answer, status)
    assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]", b""])
def test_a_body_that_is_no_json_object_is_a_problem_document(api: ApiClient, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    problem_of(api.request("POST", "/merchants", body=body, headers=headers), 400)


def test_an_unsigned_caller_gets_nothing(api: ApiClient) -> None:
    for path in ("/merchants", "/merchants/1", "/nothing"):
        assert requests.get(api.url + path, timeout=10).status_code in (401, 403)


@pytest.fixture
def iam_user(stack: StackInfo, key: str) -> Iterator[tuple[Any, str, Credentials]]:
    """An IAM client, and a user without any permission."""
    iam = aws_client(stack, "iam")
    iam.create_user(UserName=key)
    made = iam.create_access_key(UserName=key)["AccessKey"]
    yield iam, key, Credentials(made["AccessKeyId"], made["SecretAccessKey"])
    for name in iam.list_user_policies(UserName=key)["PolicyNames"]:
        iam.delete_user_policy(UserName=key, PolicyName=name)
    iam.delete_access_key(UserName=key, AccessKeyId=made["AccessKeyId"])
    iam.delete_user(UserName=key)


def documented_policy(stack: StackInfo, business_id: str) -> str:
    """The policy that docs/merchants.md shows, for this stack and this merchant."""
    text = (ROOT / "docs" / "merchants.md").read_text(encoding="utf-8")
    found = re.search(r'```json\n(\{\s+"Version".+?)```', text, re.DOTALL)
    assert found
    filled = Template(found[1].replace("$default", "$$default")).substitute(
        Partition="aws",
        Region=stack.region,
        AccountId=ACCOUNT_ID,
        ApiId=stack.outputs["ApiId"],
    )
    return re.sub(r"/merchants/42\b", f"/merchants/{business_id}", filled)


def test_the_documented_policy_confines_a_caller_to_one_merchant(
    api: ApiClient, stack: StackInfo, key: str, iam_user: tuple[Any, str, Credentials]
) -> None:
    # Given two merchants, and a caller with the policy for the first
    mine, other = register(api, f"{key}-mine"), register(api, f"{key}-other")
    iam, user, credentials = iam_user
    policy = documented_policy(stack, mine["business_id"])
    iam.put_user_policy(UserName=user, PolicyName="one-merchant", PolicyDocument=policy)
    caller = replace(api, credentials=credentials)
    own, others = f"/merchants/{mine['business_id']}", f"/merchants/{other['business_id']}"
    # Then it may act as its own merchant
    assert caller.get(own).status_code == 200
    assert caller.get(f"{own}/contact-button").status_code == 200
    assert caller.get(f"{own}/subscriptions").status_code == 200
    # And as nobody else, nor on behalf of the platform
    refused = [
        ("GET", others),
        ("GET", f"{others}/contact-button"),
        ("GET", f"{others}/subscriptions"),
        ("POST", f"{others}/messages"),
        ("GET", f"{others}/conversations"),
        ("GET", f"{others}/conversations/x{own}/messages"),
        ("GET", f"{own}0"),
        ("GET", "/merchants"),
        ("POST", "/merchants"),
        ("POST", "/merchants/sync"),
        ("PATCH", own),
        ("DELETE", own),
        ("GET", "/merchants/*/subscriptions"),
        ("GET", "/quota"),
    ]
    for method, path in refused:
        answer = caller.request(method, path, {} if method in ("POST", "PATCH") else None)
        assert answer.status_code == 403, (method, path, answer.text)


def test_no_merchant_subscribes_another_ones_queue(
    api: ApiClient, stack: StackInfo, key: str, iam_user: tuple[Any, str, Credentials]
) -> None:
    # Given two merchants, and a caller with the policy for the first
    mine, other = (register(api, f"{key}-{name}")["business_id"] for name in ("mine", "other"))
    iam, user, credentials = iam_user
    policy = documented_policy(stack, mine)
    iam.put_user_policy(UserName=user, PolicyName="one-merchant", PolicyDocument=policy)
    caller = replace(api, credentials=credentials)
    own = f"/merchants/{mine}/subscriptions"
    home = stack.outputs["DeliveriesQueueUrl"].rpartition("/")[0]

    def subscribe(path: str, **target: str) -> int:
        status: int = caller.post(path, {"target": target}).status_code
        return status

    # Then the other one's queue, a queue of the platform's and the platform's bus are refused
    for name in (f"{other}-orders", "orders", f"{mine}0-orders", "all-orders"):
        queue_url = f"{home}/wechat-kf-subscriber-{name}"
        assert subscribe(own, type="queue", queue_url=queue_url) == 400, name
    assert subscribe(own, type="event_bus") == 400
    assert subscribe("/merchants/*/subscriptions", type="event_bus") == 403
    # And its own is not
    queue_url = f"{home}/wechat-kf-subscriber-{mine}-orders"
    created = caller.post(own, {"target": {"type": "queue", "queue_url": queue_url}})
    assert created.status_code == 201
    caller.delete(f"{own}/{created.json()['subscription_id']}")


def test_a_caller_without_a_policy_gets_nothing(
    api: ApiClient, iam_user: tuple[Any, str, Credentials]
) -> None:
    caller = replace(api, credentials=iam_user[2])
    for method, path in (("GET", "/merchants"), ("POST", "/merchants"), ("GET", "/merchants/1")):
        assert caller.request(method, path).status_code == 403


def test_merchants_are_imported_from_a_file(
    stack: StackInfo, tmp_path: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "icon.png").write_bytes(plain_png())
    file = tmp_path / "merchants.csv"
    rows = [f"{key}-{number},,商店{number:03},icon.png" for number in range(12)]
    file.write_text("external_id,account_name,nickname,icon_file\n" + "\n".join(rows))
    monkeypatch.setattr(import_merchants, "find_api", lambda *_: ApiClient.of(stack))
    assert run(["import", str(file)]) == import_merchants.DONE
    results = file.with_suffix(".result.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert Counter(line.split(",")[4] for line in results) == {"registered": 12}


def role_client(stack: StackInfo, service: Any) -> Any:
    """A client with the credentials of the function's role."""
    function = aws_client(stack, "lambda").get_function_configuration(
        FunctionName=stack.outputs["MerchantsFunctionName"]
    )
    made = aws_client(stack, "sts").assume_role(
        RoleArn=function["Role"], RoleSessionName="merchants-e2e"
    )["Credentials"]
    return boto3.client(
        service,
        endpoint_url=stack.aws_endpoint_url,
        region_name=stack.region,
        aws_access_key_id=made["AccessKeyId"],
        aws_secret_access_key=made["SecretAccessKey"],
        aws_session_token=made["SessionToken"],
    )


def test_the_functions_role_reads_its_own_table(stack: StackInfo) -> None:
    key = {"kind": {"S": "merchant"}, "key": {"S": "none"}}
    table = stack.outputs["MerchantsTableName"]
    assert "Item" not in role_client(stack, "dynamodb").get_item(TableName=table, Key=key)


@pytest.mark.parametrize(
    ("service", "call", "request_of"),
    [
        ("secretsmanager", "get_secret_value", {"SecretId": "AppSecretArn"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "PushSecretArn"}),
        ("dynamodb", "scan", {"TableName": "MerchantsTableName"}),
        ("dynamodb", "scan", {"TableName": "ConversationsTableName"}),
        ("dynamodb", "scan", {"TableName": "MessagesTableName"}),
        ("dynamodb", "delete_table", {"TableName": "MerchantsTableName"}),
        ("sqs", "receive_message", {"QueueUrl": "InboundQueueUrl"}),
        ("sqs", "purge_queue", {"QueueUrl": "DeliveriesQueueUrl"}),
        ("lambda", "invoke", {"FunctionName": "PushFunctionName"}),
    ],
)
def test_the_functions_role_may_do_nothing_else(
    stack: StackInfo, service: str, call: str, request_of: dict[str, str]
) -> None:
    client = role_client(stack, service)
    request = {name: stack.outputs[output] for name, output in request_of.items()}
    with pytest.raises(ClientError) as raised:
        getattr(client, call)(**request)
    assert raised.value.response["Error"]["Code"].startswith("AccessDenied")
