"""The OpenAPI document of the whole HTTP API, generated from the routes of all functions.

    python -m generators.openapi    writes openapi.yaml, errors.md, the route table

Only what the routes say about themselves is read; nothing they need is provided.
"""

import importlib
import inspect
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
from aws_lambda_powertools.event_handler.openapi.models import Server
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter

from wechat_kf_cli.stack.state import ROOT

# `python -m generators.openapi` works as it stands: the package lies where the layer is built from.
sys.path.append(str(ROOT / "layers" / "shared"))

from generators.errors_page import ERRORS, chinese_page_of, operations, page_of
from generators.generated_files import write
from wechat_kf.api.error_codes import CodeEntry, own_codes, wechat_codes
from wechat_kf.api.problems import ON_ANY_ROUTE, PROBLEM_JSON
from wechat_kf.api.responses import ERROR_CODES, Problem, codes_in_words
from wechat_kf.api.retry_hints import HINTS

OPENAPI_FILE = ROOT / "docs" / "openapi.yaml"
PAGE_FILE = ROOT / "docs" / "errors.md"
CHINESE_PAGE_FILE = ROOT / "docs" / "zh-CN" / "errors.md"
ERROR_TEXTS_FILE = ROOT / "docs" / "error-texts.zh-CN.json"
ROUTE_TABLE_FILE = ROOT / "layers" / "shared" / "wechat_kf" / "api" / "route_table.py"

DESCRIPTION = """\
Customer service with sub-merchants for one WeChat Mini Program.

Every call except WeChat's own (`/wechat/push`) must be signed with AWS Signature Version 4,
service `execute-api`. The IAM policy of
[merchants.md](merchants.md#confine-a-caller-to-one-merchant) confines a caller to one merchant.
Errors are RFC 9457 problem documents with a stable `code`. Lists are pages,
`{"items": […], "next_cursor": …}`: pass `next_cursor` as `cursor`; it is null on the last page.
Instants are in UTC. Behind a custom domain with an API mapping, the mapping's key stands before
every path, also in `Location`.
"""

_TEXT = {"schema": {"type": "string"}}
_SIGNED = [
    {"name": name, "in": "query", "required": False, "schema": {"type": "string"}}
    for name in ("signature", "timestamp", "nonce", "msg_signature", "encrypt_type")
]
PUSH_PATH: dict[str, Any] = {
    "get": {
        "summary": "WeChat verifies the push URL",
        "operationId": "verifyPushUrl",
        "tags": ["wechat"],
        "security": [],
        "parameters": [
            *_SIGNED,
            {"name": "echostr", "in": "query", "required": True, "schema": {"type": "string"}},
        ],
        "responses": {
            "200": {"description": "echostr", "content": {"text/plain": _TEXT}},
            "403": {"description": "not signed by WeChat", "content": {"text/plain": _TEXT}},
        },
    },
    "post": {
        "summary": "WeChat pushes a message or an event",
        "operationId": "receivePush",
        "tags": ["wechat"],
        "security": [],
        "parameters": _SIGNED,
        "requestBody": {
            "required": True,
            "content": {"text/xml": _TEXT, "application/json": {"schema": {"type": "object"}}},
        },
        "responses": {
            "200": {
                "description": "`success`: the event is stored in the queue",
                "content": {"text/plain": _TEXT},
            },
            "403": {"description": "not signed by WeChat", "content": {"text/plain": _TEXT}},
            "413": {"description": "too large", "content": {"text/plain": _TEXT}},
            "500": {"description": "not queued; WeChat tries again"},
        },
    },
}


GATEWAY_REFUSAL = {"application/json": {"schema": {"$ref": "#/components/schemas/GatewayRefusal"}}}
"""API Gateway's own answer: the signature is missing or wrong, or IAM does not permit the call."""

_ANYWHERE = [error.code for error in ON_ANY_ROUTE]
ANY_OTHER = {
    "description": f"on any route: {codes_in_words(_ANYWHERE)}; refusals by API Gateway itself are "
    "application/json",
    ERROR_CODES: _ANYWHERE,
    "content": {
        PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}},
        **GATEWAY_REFUSAL,
    },
}


def document() -> dict[str, Any]:
    """Generate the OpenAPI 3.1 document."""
    app = APIGatewayHttpResolver(enable_validation=True)
    for router in _routers():
        app.include_router(router)
    for route in (*app._static_routes, *app._dynamic_routes):
        route.description = route.description or _prose(route.func)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    generated: dict[str, Any] = yaml.safe_load(
        app.get_openapi_json_schema(
            title="wechat-kf",
            version=project["version"],
            description=DESCRIPTION,
            servers=[Server(url="https://example.execute-api.us-east-1.amazonaws.com")],
        )
    )
    generated["servers"] = [_server()]
    return _correct(generated)


def _routers() -> Iterator[APIGatewayHttpRouter]:
    for path in sorted((ROOT / "layers/shared/wechat_kf/api").glob("*_routes.py")):
        yield importlib.import_module(f"wechat_kf.api.{path.stem}").router


def _prose(function: Callable[..., Any]) -> str | None:
    """Return a route's docstring, each paragraph on one line."""
    text = inspect.getdoc(function)
    return "\n\n".join(_one_line(part) for part in text.split("\n\n")) if text else None


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _server() -> dict[str, Any]:
    return {
        "url": "https://{api_id}.execute-api.{region}.{suffix}",
        "description": "the stack's output ApiUrl",
        "variables": {
            "api_id": {"default": "a1b2c3d4e5"},
            "region": {"default": "us-east-1"},
            "suffix": {"default": "amazonaws.com", "enum": ["amazonaws.com", "amazonaws.com.cn"]},
        },
    }


def _correct(generated: dict[str, Any]) -> dict[str, Any]:
    """Replace Powertools' default responses by those the routes really return."""
    schemas = generated["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        schemas.pop(name, None)
    schemas["GatewayRefusal"] = {
        "type": "object",
        "description": "Answer of API Gateway before any code of this service runs.",
        "properties": {"message": {"type": "string"}},
        "required": ["message"],
        "examples": [{"message": "Forbidden"}],
    }
    schemas.setdefault("Problem", Problem.model_json_schema(ref_template=_SCHEMA))
    # A client must be able to read API Gateway's own refusals too, which have none of its members.
    schemas["Problem"].pop("required", None)
    for name, schema in schemas.pop("$defs", schemas["Problem"].pop("$defs", {})).items():
        schemas.setdefault(name, schema)
    for _, _, operation in operations(generated):
        responses = operation["responses"]
        if ERROR_CODES not in responses.get("422", {}):
            responses.pop("422", None)  # Powertools' default; a broken rule is a 400 here
        responses.get("204", {}).pop("content", None)  # Powertools adds one to every answer
        forbidden = {"description": "refused by API Gateway", "content": {}, ERROR_CODES: []}
        responses.setdefault("403", forbidden)["content"] |= GATEWAY_REFUSAL
        responses["default"] = ANY_OTHER
        operation["responses"] = dict(sorted(responses.items()))
    generated["paths"]["/wechat/push"] = PUSH_PATH
    generated["paths"] = dict(sorted(generated["paths"].items()))
    generated["components"]["schemas"] = dict(sorted(schemas.items()))
    generated["components"][ERRORS] = {
        "own": _catalogue(own_codes()),
        "wechat": _catalogue(wechat_codes()),
    }
    generated["components"]["securitySchemes"] = {
        "sigv4": {
            "type": "apiKey",
            "name": "Authorization",
            "in": "header",
            "description": "AWS Signature Version 4, service execute-api",
            "x-amazon-apigateway-authtype": "awsSigv4",
        }
    }
    generated["security"] = [{"sigv4": []}]
    return _without_clashing_enumerations(generated)


def _without_clashing_enumerations(api: dict[str, Any]) -> dict[str, Any]:
    """Write enumerations that share a value in place of the references to them.

    openapi-generator makes a constant of the whole Go package of each value of a named
    enumeration, called as the value only: `SENT` twice does not compile.
    """
    schemas = api["components"]["schemas"]
    uses = Counter(value for schema in schemas.values() for value in schema.get("enum", ()))
    clashing = {
        _SCHEMA.format(model=name): {key: schema[key] for key in schema if key != "title"}
        for name, schema in schemas.items()
        if any(uses[value] > 1 for value in schema.get("enum", ()))
    }
    for reference in clashing:
        del schemas[reference.rpartition("/")[2]]
    written: dict[str, Any] = _replace_references(api, clashing)
    return written


def _replace_references(node: Any, schemas: Mapping[str, dict[str, Any]]) -> Any:
    if isinstance(node, list):
        return [_replace_references(item, schemas) for item in node]
    if not isinstance(node, dict):
        return node
    rest = {key: _replace_references(value, schemas) for key, value in node.items()}
    if rest.get("$ref") in schemas:
        rest = {**schemas[rest.pop("$ref")], **rest}
    return rest


_SCHEMA = "#/components/schemas/{model}"


def _catalogue(entries: Iterable[CodeEntry]) -> dict[str, dict[str, Any]]:
    """Map each code to what is known about it."""
    return {
        entry.code: {
            "status": entry.status,
            "meaning": entry.meaning,
            **({"errcodes": list(entry.errcodes)} if entry.errcodes else {}),
            **({"advice": HINTS[entry.code]} if entry.code in HINTS else {}),
        }
        for entry in entries
    }


def route_table(api: Mapping[str, Any]) -> str:
    """Write the Python module that lists the routes for the fallback."""
    methods: dict[str, list[str]] = {}
    for path, method, _ in operations(api):
        methods.setdefault(path, []).append(method)
    lines = [
        f"    {_quote(path)}: ({', '.join(map(_quote, found))},),"
        if len(found) == 1
        else f"    {_quote(path)}: ({', '.join(map(_quote, found))}),"
        for path, found in methods.items()
    ]
    return "\n".join(
        [
            '"""Every route of the HTTP API: path → methods. Generated: `make docs`."""',
            "",
            "from collections.abc import Mapping",
            "from typing import Final",
            "",
            "ROUTES: Final[Mapping[str, tuple[str, ...]]] = {",
            *lines,
            "}",
            "",
        ]
    )


def _quote(text: str) -> str:
    return f'"{text}"'


class _Dumper(yaml.SafeDumper):
    """Writes no anchors: people read this file."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def files() -> dict[Path, str]:
    """Generate the files: path → content."""
    api = document()
    dumped = yaml.dump(
        api, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2
    )
    return {
        OPENAPI_FILE: "# Generated from the code: make docs\n" + dumped,
        PAGE_FILE: page_of(api),
        CHINESE_PAGE_FILE: chinese_page_of(api, json.loads(ERROR_TEXTS_FILE.read_text("utf-8"))),
        ROUTE_TABLE_FILE: route_table(api),
    }


if __name__ == "__main__":
    write(files())
