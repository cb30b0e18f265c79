"""Every command chooses its stack by the same options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ProfileNotFound

from wechat_kf_cli.main import FAILED, run
from wechat_kf_cli.ops import doctor, import_merchants, replay
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import StackOptions, find_target

API_URL = "https://abc.execute-api.eu-central-1.amazonaws.com"
STACK = {
    "Outputs": [{"OutputKey": "ApiUrl", "OutputValue": API_URL}],
    "Parameters": [{"ParameterKey": "AppId", "ParameterValue": "wx1"}],
}


@dataclass
class FakeSession:
    """Stands in for `boto3.session.Session`, with one stack called `mine`."""

    profile_name: str | None
    region_name: str | None
    credentials: Credentials | None = field(default_factory=lambda: Credentials("a", "b"))

    def __post_init__(self) -> None:
        if self.profile_name == "unknown":
            raise ProfileNotFound(profile="unknown")
        self.region_name = self.region_name or "eu-central-1"

    def client(self, service: str) -> Any:
        return self

    def get_credentials(self) -> Credentials | None:
        return self.credentials

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:  # noqa: N803
        if StackName != "mine":
            message = f"Stack {StackName} does not exist"
            raise ClientError({"Error": {"Message": message}}, "DescribeStacks")
        return {"Stacks": [STACK]}


@pytest.fixture(autouse=True)
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(boto3.session, "Session", FakeSession)
    monkeypatch.setenv("LOCAL_DIR", str(tmp_path / "none"))


def test_a_deployed_stack_is_found_with_its_outputs_and_parameters() -> None:
    target = find_target(StackOptions("mine", "r", "p"))
    assert (target.stack_name, target.region, target.emulated) == ("mine", "r", False)
    assert (target.outputs, target.parameters) == ({"ApiUrl": API_URL}, {"AppId": "wx1"})
    assert (target.api().url, target.api().region) == (API_URL, "r")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (StackOptions("other"), "Stack other does not exist"),
        (StackOptions("mine", profile="unknown"), "unknown"),
        (StackOptions(region="r"), "need --stack-name"),
        (StackOptions(profile="p"), "need --stack-name"),
        (StackOptions(), "wechat-kf up"),
    ],
)
def test_a_stack_that_is_not_found_is_one_line(options: StackOptions, message: str) -> None:
    with pytest.raises(StackError, match=message):
        find_target(options)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["doctor"], doctor.NOT_FOUND),
        (["replay"], replay.FAILED),
        (["import", "merchants.csv"], import_merchants.UNUSABLE),
        (["env"], FAILED),
        (["listen", "--merchant", "42", "--forward-to", "http://127.0.0.1:9/"], FAILED),
        (["trigger", "message.received", "--merchant", "42"], FAILED),
        (["sign", "GET", "/merchants"], FAILED),
    ],
)
def test_every_command_takes_the_same_options(
    command: list[str],
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    columns = "external_id,account_name,nickname,icon_file\n"
    Path("merchants.csv").write_text(columns, encoding="utf-8")
    assert run([*command, "--stack-name", "other", "--region", "r", "--profile", "p"]) == code
    assert "Stack other does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("api_url", "options", "region"),
    [
        (API_URL, StackOptions(), "eu-central-1"),
        ("https://kf.shop/", StackOptions(region="r"), "r"),
    ],
)
def test_the_import_takes_an_address_instead_of_a_stack(
    api_url: str, options: StackOptions, region: str
) -> None:
    api = import_merchants.find_api(options, api_url)
    assert (api.url, api.region) == (api_url.rstrip("/"), region)
