"""Stand-in for one known gap of the emulator: it ignores the OpenAPI `Body` of an HTTP API.

So the routes are read from the processed template, which is what CloudFormation would have used,
and created through API Gateway's own calls. In AWS none of this runs. It fails closed: a route with
a security scheme this module does not know is an error, never an open route.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.emulator import ACCOUNT_ID, REGION, Emulator
from tools.stack.stack_error import StackError

METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
ANY_METHOD = "x-amazon-apigateway-any-method"
INTEGRATION = "x-amazon-apigateway-integration"
AUTHORIZATION = {"AWS_IAM": "AWS_IAM", "NONE": "NONE"}


@dataclass(frozen=True, slots=True)
class Route:
    """One route as the template states it. `function` is the function's logical id."""

    key: str
    function: str
    authorization: str


def import_routes(emulator: Emulator, stack_name: str, api_id: str) -> list[Route]:
    """Create the routes of the stack's one HTTP API; returns them."""
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
    """The routes in the OpenAPI bodies of a processed template. Raises StackError on a surprise."""
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
        yield Route(key, _function_of(operation[INTEGRATION]), _authorization_of(key, operation))


def _function_of(integration: Mapping[str, Any]) -> str:
    """The logical id in `…/functions/${PushFunction.Arn}/invocations`."""
    found = re.search(r"functions/\$\{(\w+)\.Arn\}", str(integration["uri"]))
    if found is None:
        raise StackError(f"route import: no function in {integration['uri']}")
    return found[1]


def _authorization_of(key: str, operation: Mapping[str, Any]) -> str:
    schemes = [scheme for requirement in operation.get("security", []) for scheme in requirement]
    if len(schemes) != 1 or schemes[0] not in AUTHORIZATION:
        raise StackError(f"route import: {key} has the security {schemes}")
    return AUTHORIZATION[schemes[0]]
