"""The OpenAPI document: generated, whole, and true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from generators import openapi
from generators.errors_page import ERRORS, operations
from generators.template_file import read_template
from wechat_kf.adapters.aws.broadcasts_table import LEAST_DAYS
from wechat_kf.adapters.aws.messages_table import RECORD_DAYS
from wechat_kf.api.responses import ERROR_CODES

API = openapi.document()
OPERATIONS = {f"{method} {path}": found for path, method, found in operations(API)}


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def routes_of_template() -> set[str]:
    """`METHOD path` of every HTTP event in the template."""

    return {
        f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}"
        for resource in read_template()["Resources"].values()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
        if event["Type"] == "HttpApi" and "Path" in event["Properties"]
    }


def test_the_document_and_the_template_have_the_same_routes() -> None:
    assert set(OPERATIONS) == routes_of_template()


def test_it_is_openapi_3_1() -> None:
    assert API["openapi"].startswith("3.1.")
    assert API["info"]["version"]


def test_every_reference_leads_somewhere() -> None:
    for reference in set(references(API)):
        where, _, name = reference.rpartition("/")
        assert where == "#/components/schemas"
        assert name in API["components"]["schemas"], name


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("route", OPERATIONS)
def test_every_operation_tells_its_success_and_its_problems(route: str) -> None:
    responses = OPERATIONS[route]["responses"]
    assert any(status.startswith("2") for status in responses)
    assert "Validation Error" not in str(responses)  # Powertools' default; that is a 400 here
    assert OPERATIONS[route]["summary"]
    if not route.endswith("/wechat/push"):
        assert "application/problem+json" in responses["default"]["content"]


@pytest.mark.parametrize("route", OPERATIONS)
def test_a_key_that_is_used_again_is_a_422_where_there_are_keys(route: str) -> None:
    parameters = {found["name"] for found in OPERATIONS[route].get("parameters", [])}
    assert ("idempotency-key" in parameters) == ("422" in OPERATIONS[route]["responses"])


def test_every_code_stands_at_the_status_it_comes_with() -> None:
    own = API["components"][ERRORS]["own"]
    for operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            for code in response.get(ERROR_CODES, []):
                assert status in (str(own[code]["status"]), "default"), code


def test_a_resource_lives_as_long_as_the_idempotency_key_promises() -> None:
    (description,) = {
        parameter["description"]
        for operation in OPERATIONS.values()
        for parameter in operation.get("parameters", [])
        if parameter["name"] == "idempotency-key"
    }
    assert f"or {RECORD_DAYS} days" in description
    assert RECORD_DAYS == LEAST_DAYS


def test_only_wechats_own_path_is_open() -> None:
    assert API["security"] == [{"sigv4": []}]
    unsigned = {route for route, operation in OPERATIONS.items() if operation.get("security") == []}
    assert unsigned == {"GET /wechat/push", "POST /wechat/push"}


def examples() -> Iterator[Any]:
    for name, schema in API["components"]["schemas"].items():
        for example in schema.get("examples", []):
            yield pytest.param({"$ref": f"#/components/schemas/{name}"}, example, id=name)
        for field, rule in schema.get("properties", {}).items():
            for example in rule.get("examples", []):
                yield pytest.param(rule, example, id=f"{name}.{field}")
    for route, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", []):
            for example in parameter["schema"].get("examples", []):
                yield pytest.param(parameter["schema"], example, id=f"{route} {parameter['name']}")


@pytest.mark.parametrize(("schema", "example"), [*examples()])
def test_every_example_is_valid(schema: dict[str, Any], example: Any) -> None:
    rooted = {**schema, "components": API["components"]}
    Draft202012Validator(rooted).validate(example)


def bodies() -> Iterator[Any]:
    """Each JSON body of a request or a success, with the schema it refers to."""
    for route, operation in OPERATIONS.items():
        answers = [found for code, found in operation["responses"].items() if code[0] == "2"]
        for part in [operation.get("requestBody", {}), *answers]:
            schema = part.get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                yield pytest.param(API["components"]["schemas"][name], id=f"{route} {name}")


@pytest.mark.parametrize("schema", [*bodies()])
def test_every_body_has_an_example(schema: dict[str, Any]) -> None:
    assert schema["examples"]


@pytest.mark.parametrize("name", API["components"]["schemas"])
def test_no_schema_has_choices_beside_its_properties(name: str) -> None:
    """Generators of clients make a class of each choice, and forget the properties."""
    schema = API["components"]["schemas"][name]
    assert not ("properties" in schema and schema.keys() & {"oneOf", "anyOf", "allOf", "not"})


def texts(name: str, rule: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every text that a caller can write, by the path to it."""
    if "$ref" in rule:
        rule = API["components"]["schemas"][rule["$ref"].rpartition("/")[2]]
    for choice in [*rule.get("anyOf", []), *rule.get("oneOf", [])]:
        yield from texts(name, choice)
    for field, inner in rule.get("properties", {}).items():
        yield from texts(f"{name}.{field}", inner)
    if rule.get("type") == "array":
        yield from texts(f"{name}[]", rule["items"])
    if rule.get("type") == "string" and not rule.keys() & {"const", "enum"}:
        yield name, rule


@pytest.mark.parametrize("route", [route for route in OPERATIONS if "/wechat/" not in route])
def test_every_text_that_a_caller_can_write_has_a_bound(route: str) -> None:
    operation = OPERATIONS[route]
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    found = [*texts("body", body.get("schema", {}))]
    for parameter in operation.get("parameters", []):
        found += texts(parameter["name"], parameter["schema"])
    assert [name for name, rule in found if not rule.keys() & {"maxLength", "pattern"}] == []


def test_no_field_is_null_and_nothing_else() -> None:
    """The Python generator of openapi-generator ends with an error at such a field."""
    for name, schema in API["components"]["schemas"].items():
        for field, rule in schema.get("properties", {}).items():
            assert rule.get("type") != "null", f"{name}.{field}"


def test_no_two_named_enumerations_share_a_value() -> None:
    """The Go generator of openapi-generator makes one constant of each, called as the value."""
    schemas = API["components"]["schemas"].values()
    values = [value for schema in schemas for value in schema.get("enum", ())]
    assert len(values) == len(set(values))


def test_every_cursor_of_a_page_fits_the_parameter_it_is_passed_as() -> None:
    for route, operation in OPERATIONS.items():
        for parameter in operation.get("parameters", []):
            if parameter["name"] == "cursor":
                choices = parameter["schema"]["anyOf"]
                assert {"string", "null"} == {choice["type"] for choice in choices}, route


def test_every_error_can_be_read_as_a_problem_also_the_gateways_own() -> None:
    assert "required" not in API["components"]["schemas"]["Problem"]


def test_operation_ids_begin_with_a_verb_and_name_the_thing() -> None:
    verbs = {
        "change",
        "create",
        "deactivate",
        "recover",
        "delete",
        "download",
        "list",
        "read",
        "receive",
        "register",
        "retry",
        "rotate",
        "send",
        "show",
        "sync",
        "test",
        "upload",
        "verify",
    }
    for operation in OPERATIONS.values():
        verb, name = re.fullmatch(r"([a-z]+)([A-Z]\w+)", operation["operationId"]).groups()  # type: ignore[union-attr]
        assert verb in verbs, name


def test_every_schema_is_a_schema() -> None:
    for schema in API["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
