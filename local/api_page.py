"""The HTTP API as a page to read, made from its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

METHODS = ("get", "put", "post", "delete", "patch")


def page_of(api: Mapping[str, Any]) -> str:
    """The page in Markdown."""
    return "\n".join([*_head(api), *_body(api)]).rstrip() + "\n"


def _head(api: Mapping[str, Any]) -> Iterator[str]:
    yield "# HTTP API"
    yield ""
    yield "<!-- Generated from the code: make docs -->"
    yield ""
    yield api["info"]["description"]
    yield "The same as OpenAPI 3.1: [openapi.yaml](openapi.yaml)."
    yield ""
    yield "| route | does |"
    yield "|---|---|"
    for path, method, operation in _operations(api):
        anchor = operation["operationId"].lower()
        yield f"| [`{method} {path}`](#{anchor}) | {operation['summary']} |"
    yield ""


def _body(api: Mapping[str, Any]) -> Iterator[str]:
    for path, method, operation in _operations(api):
        yield f'## <a id="{operation["operationId"].lower()}"></a>`{method} {path}`'
        yield ""
        yield f"**{operation['summary']}.** {operation.get('description', '')}".rstrip()
        yield ""
        yield from _parameters(operation)
        yield from _request(api, operation)
        yield from _answers(api, operation)


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    parameters = operation.get("parameters", [])
    if not parameters:
        return
    yield "| parameter | in | rule | meaning |"
    yield "|---|---|---|---|"
    for parameter in parameters:
        need = "" if parameter.get("required") else ", optional"
        yield (
            f"| `{parameter['name']}` | {parameter['in']}{need} | {_rule(parameter['schema'])} "
            f"| {parameter.get('description', '')} |"
        )
    yield ""


def _rule(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    for choice in schema.get("anyOf", []):
        if choice.get("type") != "null":
            return _rule(choice)
    words = [str(schema.get("type", ""))]
    for name, word in (("minimum", "≥"), ("maximum", "≤"), ("maxLength", "at most")):
        if name in schema:
            words.append(f"{word} {schema[name]}")
    if "pattern" in schema:
        words.append("`" + str(schema["pattern"]).replace("|", "\\|") + "`")
    if "default" in schema and schema["default"] is not None:
        words.append(f"default {schema['default']}")
    return " ".join(word for word in words if word)


def _request(api: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        name = _name(schema)
        yield f"Request body: `{kind}`" + (f", {name}" if name else "")
        yield ""
        yield from _fields(api, schema)
        yield from _example(api, schema)


def _answers(api: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    yield "| answer | |"
    yield "|---|---|"
    for status, answer in operation["responses"].items():
        yield f"| {status} | {answer['description']} |"
    yield ""
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for content in answer.get("content", {}).values():
                yield from _example(api, content.get("schema", {}))


def _fields(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    resolved = _resolved(api, schema)
    if "properties" not in resolved:
        return
    yield "| field | rule | meaning |"
    yield "|---|---|---|"
    for name, field in resolved["properties"].items():
        need = "" if name in resolved.get("required", []) else ", optional"
        shown = {**_resolved(api, field), **field}
        yield f"| `{name}` | {_rule(shown)}{need} | {_meaning(shown)} |"
    yield ""


def _meaning(field: Mapping[str, Any]) -> str:
    own = field.get("description")
    if own:
        return str(own)
    found = (choice.get("description") for choice in field.get("anyOf", []))
    return next((str(text) for text in found if text), "")


def _example(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    examples = _resolved(api, schema).get("examples", [])
    if examples:
        yield "```json"
        yield json.dumps(examples[0], ensure_ascii=False, indent=2)
        yield "```"
        yield ""


def _resolved(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    name = _name(schema)
    found: Mapping[str, Any] = api["components"]["schemas"][name] if name else schema
    return found


def _name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _operations(api: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in api["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method.upper(), item[method]
