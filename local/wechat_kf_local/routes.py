"""Create the routes of the HTTP API: a workaround for the emulator, which ignores its `Body`.

The routes are read from the processed template, which CloudFormation would have used, and created
through API Gateway's API. None of this runs in AWS. It fails closed: a route with an unknown
security scheme is an error, never an open route.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wechat_kf_cli.stack.stack_error import StackError
from wechat_kf_local.emulator import ACCOUNT_ID, REGION, Emulator

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
ANY_METHOD = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"
AUTHORIZATION = {"AWS_IAM": "AWS_IAM", "NONE": "NONE"}


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the template. `function` is the function's logical id."""

    key: str
    function: str
    authorization: str


def import_routes(emulator: Emulator, stack_name: str, api_id: str) -> list[Route]:
    """Create the routes of the stack's HTTP API and return them."""
    cloudformation = emulator.client("cloudformation")
    template = cloudformation.get_template(StackName=stack_name, TemplateStage="Processed")
    routes = list(routes_of(template["TemplateBody"]))
    resources = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    names = {
        resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources
    }
    gateway = emulator.client("apigatewayv2")
    integrations = {
        function: gateway.create_integration(
            ApiId=api_id,
            IntegrationType="AWS_PROXY",
            IntegrationUri=f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{names[function]}",
            PayloadFormatVersion="2.0",
        )["IntegrationId"]
        for function in sorted({route.function for route in routes})
    }
    for route in routes:
        gateway.create_route(
            ApiId=api_id,
            RouteKey=route.key,
            Target=f"integrations/{integrations[route.function]}",
            AuthorizationType=route.authorization,
        )
    return routes


def routes_of(template: Mapping[str, Any]) -> Iterator[Route]:
    """Yield the routes in the OpenAPI bodies of a processed template.

    Raises:
        StackError: a route has no function or an unknown security scheme.
    """
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ApiGatewayV2::Api":
            for path, item in resource["Properties"]["Body"]["paths"].items():
                yield from _routes_at(path, item)


def _routes_at(path: str, item: Mapping[str, Any]) -> Iterator[Route]:
    for name, operation in item.items():
        if path == "$default":
            key = path
        elif name == ANY_METHOD:
            key = f"ANY {path}"
        elif name in METHODS:
            key = f"{name.upper()} {path}"
        else:
            continue
        yield Route(
            key, _find_function(operation[INTEGRATION]), _read_authorization(key, operation)
        )


def _find_function(integration: Mapping[str, Any]) -> str:
    """Return the logical id in `…/functions/${PushFunction.Arn}/invocations`."""
    found = re.search(r"functions/\$\{(\w+)\.Arn\}", str(integration["uri"]))
    if found is None:
        raise StackError(f"route import: no function in {integration['uri']}")
    return found[1]


def _read_authorization(key: str, operation: Mapping[str, Any]) -> str:
    schemes = [scheme for requirement in operation.get("security", []) for scheme in requirement]
    if len(schemes) != 1 or schemes[0] not in AUTHORIZATION:
        raise StackError(f"route import: {key} has the security {schemes}")
    return AUTHORIZATION[schemes[0]]
