"""The secret's cache and the call of the token function."""

from __future__ import annotations

import io
import json
import logging
import uuid
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError

from tests.contracts.counting import CountingClient
from tests.fakes import FakeClock
from wechat_kf.adapters.aws.secret_cache import SecretCache, read_secret
from wechat_kf.adapters.aws.token_function import TokenFunction
from wechat_kf.app_errors import UnavailableError
from wechat_kf_local.emulator import Emulator

SECRET = {"token": "top-secret-token", "encoding_aes_key": "k" * 43}


class Unreliable(CountingClient):
    """A Secrets Manager that can be switched off."""

    down = False

    def get_secret_value(self, **request: Any) -> Any:
        self.calls["get_secret_value"] += 1
        if self.down:
            raise ConnectTimeoutError(endpoint_url="https://secretsmanager.example.test")
        return self._client.get_secret_value(**request)


@pytest.fixture(scope="session")
def secrets_manager(emulator: Emulator) -> Any:
    return emulator.client("secretsmanager")


@pytest.fixture
def arn(secrets_manager: Any) -> str:
    answer = secrets_manager.create_secret(
        Name=f"push-{uuid.uuid4().hex}", SecretString=json.dumps(SECRET)
    )
    found: str = answer["ARN"]
    return found


@pytest.fixture
def client(secrets_manager: Any) -> Unreliable:
    return Unreliable(secrets_manager)


@pytest.fixture
def cache(client: Unreliable, arn: str, clock: FakeClock) -> SecretCache:
    return SecretCache(client, arn, clock, ttl_ms=300_000)


def test_a_secret_is_read_once_for_its_time(
    cache: SecretCache, client: Unreliable, clock: FakeClock
) -> None:
    assert cache.get() == SECRET
    clock.advance(299_999)
    assert cache.get() == SECRET
    assert client.calls["get_secret_value"] == 1
    clock.advance(1)
    assert cache.get() == SECRET
    assert client.calls["get_secret_value"] == 2


def test_a_changed_secret_is_seen_after_its_time(
    cache: SecretCache, secrets_manager: Any, arn: str, clock: FakeClock
) -> None:
    cache.get()
    secrets_manager.put_secret_value(SecretId=arn, SecretString='{"token": "new"}')
    assert cache.get() == SECRET
    clock.advance(300_000)
    assert cache.get() == {"token": "new"}


def test_a_changed_secret_is_seen_at_once_when_asked_for_but_not_more_often_than_every_5_s(
    cache: SecretCache, secrets_manager: Any, arn: str, client: Unreliable, clock: FakeClock
) -> None:
    cache.get()
    clock.advance(5_000)
    secrets_manager.put_secret_value(SecretId=arn, SecretString='{"token": "new"}')
    assert (cache.refresh_now(), cache.get()) == (True, {"token": "new"})
    secrets_manager.put_secret_value(SecretId=arn, SecretString='{"token": "newer"}')
    clock.advance(4_999)
    assert (cache.refresh_now(), cache.get()) == (False, {"token": "new"})
    clock.advance(1)
    assert (cache.refresh_now(), cache.get()) == (True, {"token": "newer"})
    assert client.calls["get_secret_value"] == 3


def test_while_secrets_manager_fails_the_old_value_serves_and_it_is_left_in_peace(
    cache: SecretCache,
    client: Unreliable,
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cache.get()
    client.down = True
    clock.advance(300_000)
    for _ in range(3):
        assert cache.get() == SECRET
    with pytest.raises(UnavailableError, match="a moment ago"):
        cache.refresh_now()
    assert client.calls["get_secret_value"] == 2
    clock.advance(5_000)
    assert cache.get() == SECRET
    assert client.calls["get_secret_value"] == 3
    assert {entry.levelno for entry in caplog.records} == {logging.WARNING}
    assert "top-secret" not in caplog.text


def test_asking_again_for_an_unchanged_secret_says_so(cache: SecretCache, clock: FakeClock) -> None:
    cache.get()
    clock.advance(5_000)
    assert cache.refresh_now() is False


def test_a_secret_never_read_is_unavailable_until_it_can_be(
    cache: SecretCache, client: Unreliable
) -> None:
    client.down = True
    with pytest.raises(UnavailableError):
        cache.get()
    with pytest.raises(UnavailableError):
        cache.refresh_now()
    client.down = False
    assert cache.get() == SECRET


def test_blanks_around_the_values_are_trimmed(secrets_manager: Any, arn: str) -> None:
    pasted = json.dumps({"token": " top-secret-token\n", "encoding_aes_key": "\t" + "k" * 43})
    secrets_manager.put_secret_value(SecretId=arn, SecretString=pasted)
    assert read_secret(secrets_manager, arn) == SECRET


@pytest.mark.parametrize("text", ["no json", "[]"])
def test_in_the_cache_a_secret_of_another_form_has_no_members(
    cache: SecretCache, secrets_manager: Any, arn: str, text: str
) -> None:
    secrets_manager.put_secret_value(SecretId=arn, SecretString=text)
    assert cache.get() == {}


@pytest.mark.parametrize("text", ["no json", "[]", '"text"', "null"])
def test_a_secret_of_another_form_is_unavailable_and_not_shown(
    secrets_manager: Any, arn: str, text: str
) -> None:
    secrets_manager.put_secret_value(SecretId=arn, SecretString=text)
    with pytest.raises(UnavailableError) as raised:
        read_secret(secrets_manager, arn)
    assert raised.value.detail == "the secret is not a JSON object"
    assert raised.value.__cause__ is None


def test_a_cache_does_not_show_its_secret(cache: SecretCache) -> None:
    cache.get()
    assert "top-secret" not in repr(cache)


# -- the token function

ANSWERS = """
def handler(event, context):
    answers = {None: {"ok": True}, "refused": {"ok": False}, "odd": ["ok"], "text": "ok"}
    return answers[event["refused"]]
"""


@pytest.fixture(scope="session")
def token_function(emulator: Emulator) -> TokenFunction:
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("answers.py", ANSWERS)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    role = emulator.client("iam").create_role(
        RoleName="token",
        AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{**trust, "Action": "sts:AssumeRole"}]}
        ),
    )
    client = emulator.client("lambda")
    client.create_function(
        FunctionName="token",
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="answers.handler",
        Code={"ZipFile": code.getvalue()},
    )
    return TokenFunction(lambda: client, "token")


def test_a_good_answer_is_all_that_is_needed(token_function: TokenFunction) -> None:
    token_function.refresh(None)


@pytest.mark.parametrize("refused", ["refused", "odd", "text", "raises"])
def test_any_other_answer_is_unavailable(token_function: TokenFunction, refused: str) -> None:
    with pytest.raises(UnavailableError, match="could not provide"):
        token_function.refresh(refused)


def test_a_function_that_is_not_there_is_unavailable(emulator: Emulator) -> None:
    with pytest.raises(UnavailableError, match="Lambda refused the call"):
        TokenFunction(lambda: emulator.client("lambda"), "nobody").refresh(None)
