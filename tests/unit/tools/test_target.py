"""Every operators' command chooses its stack by the same options."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ProfileNotFound

from wechat_kf_cli.ops import doctor, import_merchants, replay
from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_cli.stack.target import add_stack_options, find_target

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


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_stack_options(parser)
    return parser.parse_args(arguments)


def test_a_deployed_stack_is_found_with_its_outputs_and_parameters() -> None:
    target = find_target(options("--stack-name", "mine", "--profile", "p", "--region", "r"))
    assert (target.stack_name, target.region, target.emulated) == ("mine", "r", False)
    assert (target.outputs, target.parameters) == ({"ApiUrl": API_URL}, {"AppId": "wx1"})
    assert (target.api().url, target.api().region) == (API_URL, "r")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stack-name", "other"], "Stack other does not exist"),
        (["--stack-name", "mine", "--profile", "unknown"], "unknown"),
        (["--region", "r"], "need --stack-name"),
        (["--profile", "p"], "need --stack-name"),
        ([], "make up"),
    ],
)
def test_a_stack_that_is_not_found_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(StackError, match=message):
        find_target(options(*arguments))


@pytest.mark.parametrize(
    ("main", "code"),
    [
        (doctor.main, doctor.NOT_FOUND),
        (replay.main, replay.FAILED),
        (import_merchants.main, import_merchants.UNUSABLE),
    ],
)
def test_every_command_takes_the_same_options(
    main: Callable[[list[str]], int],
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    merchants = tmp_path / "merchants.csv"
    merchants.write_text("external_id,account_name,nickname,icon_file\n", encoding="utf-8")
    file = [str(merchants)] if main is import_merchants.main else []
    assert main([*file, "--stack-name", "other", "--region", "r", "--profile", "p"]) == code
    assert "Stack other does not exist" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "region"),
    [
        (["--api-url", API_URL], "eu-central-1"),
        (["--api-url", "https://kf.shop/", "--region", "r"], "r"),
    ],
)
def test_the_import_takes_an_address_instead_of_a_stack(
    arguments: list[str], region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = import_merchants.api_of(import_merchants._parser().parse_args(["f.csv", *arguments]))
    assert (api.url, api.region) == (arguments[1].rstrip("/"), region)
