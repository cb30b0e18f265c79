"""The stand-in for the emulator's gap takes routes as the template states them; it fails closed."""

from typing import Any

import pytest

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_local.routes import Route, routes_of

URI = {"Fn::Sub": "arn:…:lambda:path/2015-03-31/functions/${PushFunction.Arn}/invocations"}


def template(path: str, method: str, **operation: Any) -> dict[str, Any]:
    stated = {"x-amazon-apigateway-integration": {"uri": URI}, **operation}
    body = {"openapi": "3.0.1", "paths": {path: {method: stated}}}
    api = {"Type": "AWS::ApiGatewayV2::Api", "Properties": {"Body": body}}
    return {"Resources": {"Api": api, "Table": {"Type": "AWS::DynamoDB::Table"}}}


@pytest.mark.parametrize(
    ("path", "method", "key"),
    [
        ("/wechat/push", "post", "POST /wechat/push"),
        (
            "/merchants/{business_id}",
            "x-amazon-apigateway-any-method",
            "ANY /merchants/{business_id}",
        ),
        ("$default", "x-amazon-apigateway-any-method", "$default"),
    ],
)
def test_a_route_keeps_its_key_function_and_authorization(path: str, method: str, key: str) -> None:
    stated = template(path, method, security=[{"AWS_IAM": []}])

    assert list(routes_of(stated)) == [Route(key, "PushFunction", "AWS_IAM")]


def test_a_route_is_open_only_when_the_template_says_so() -> None:
    stated = template("/wechat/push", "get", security=[{"NONE": []}])

    assert [route.authorization for route in routes_of(stated)] == ["NONE"]


@pytest.mark.parametrize("security", [[], [{"SomeJwt": []}], [{"AWS_IAM": []}, {"NONE": []}]])
def test_an_unfamiliar_security_is_an_error_not_an_open_route(security: list[Any]) -> None:
    stated = template("/merchants", "get", security=security)

    with pytest.raises(StackError, match="GET /merchants"):
        list(routes_of(stated))
