"""What an update must never replace: CloudFormation makes a new one, and the data stays behind.

For each type, the properties are those whose change AWS documents as "Update requires:
Replacement". A logical id counts as well: another id is another resource. Whoever adds a table,
queue, secret, bus, topic or API adds it here. From 0.1.0 on, whoever has to change a line needs a
migration; before that, nobody has data and the line may simply be changed.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.template.conftest import Template

TYPES = {
    "AWS::DynamoDB::Table": ("TableName", "KeySchema"),
    "AWS::SQS::Queue": ("QueueName", "FifoQueue"),
    "AWS::SecretsManager::Secret": ("Name",),
    "AWS::Events::EventBus": ("Name",),
    "AWS::SNS::Topic": ("TopicName", "FifoTopic"),
    "AWS::Serverless::HttpApi": ("Name",),
}
"""The types that keep something, or whose names and addresses other systems know."""

FIFO = {"FifoQueue": True}


def keys(*names: str) -> dict[str, Any]:
    """The key schema of a table whose key attributes are strings."""
    kinds = ("HASH", "RANGE")
    schema = [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)
    ]
    return {"KeySchema": schema}


UNCHANGEABLE: dict[str, dict[str, Any]] = {
    "MerchantsTable": keys("kind", "key"),
    "ConversationsTable": keys("business_id", "openid"),
    "MessagesTable": keys("c", "s"),
    "SubscriptionsTable": keys("business_id", "subscription_id"),
    "BacklogTable": keys("subscription", "entry"),
    "TokensTable": keys("app_id"),
    "InboundQueue": FIFO,
    "InboundDeadLetterQueue": FIFO,
    "DeliveriesQueue": FIFO,
    "DeliveriesDeadLetterQueue": FIFO,
    "DrainsQueue": FIFO,
    "OutboundQueue": FIFO,
    "OutboundDeadLetterQueue": FIFO,
    "BulkQueue": FIFO,
    "BulkDeadLetterQueue": FIFO,
    "BroadcastsQueue": {},
    "BroadcastsDeadLetterQueue": {},
    "PushSecret": {},
    "AppSecret": {},
    "EventBus": {"Name": {"Fn::Sub": "${AWS::StackName}"}},
    "AlarmTopic": {},
    "Api": {},
}

SECRET_STRING = "{}"
"""CloudFormation puts a secret's value again when this changes, over what operators filled in."""


def found_in(template: Template) -> dict[str, dict[str, Any]]:
    return {
        name: {key: properties[key] for key in TYPES[type_name] if key in properties}
        for type_name in TYPES
        for name, properties in template.resources(type_name).items()
    }


def test_nothing_that_keeps_data_or_has_a_known_address_would_be_replaced(
    template: Template,
) -> None:
    assert found_in(template) == UNCHANGEABLE


def test_the_key_attributes_of_every_table_are_strings(template: Template) -> None:
    for name, table in template.resources("AWS::DynamoDB::Table").items():
        types = {
            one["AttributeName"]: one["AttributeType"] for one in table["AttributeDefinitions"]
        }
        assert {types[key["AttributeName"]] for key in table["KeySchema"]} == {"S"}, name


def test_a_secret_that_was_filled_in_is_not_overwritten(template: Template) -> None:
    for name, secret in template.resources("AWS::SecretsManager::Secret").items():
        assert secret["SecretString"] == SECRET_STRING, name
        assert "GenerateSecretString" not in secret, name


def test_a_table_with_data_outlives_its_stack(template: Template) -> None:
    kept = {
        name
        for name in template.resources("AWS::DynamoDB::Table")
        if template.document["Resources"][name].get("UpdateReplacePolicy") == "Retain"
        and template.document["Resources"][name].get("DeletionPolicy", "").startswith("Retain")
    }
    assert kept == set(template.resources("AWS::DynamoDB::Table")) - {"TokensTable"}


@pytest.mark.parametrize("type_name", ["AWS::Serverless::Function", "AWS::IAM::Role"])
def test_functions_and_roles_have_no_names_that_an_update_could_collide_with(
    template: Template, type_name: str
) -> None:
    for name, properties in template.resources(type_name).items():
        assert not {"FunctionName", "RoleName"} & set(properties), name
