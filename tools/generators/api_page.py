"""The HTTP API as a page to read, made only from its OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from generators.schema_words import anchor_of, link_to, meaning_of, name_of, resolve, type_words
from wechat_kf.api.responses import ERROR_CODES, FROM_WECHAT

METHODS = ("get", "put", "post", "delete", "patch")

ERRORS = "x-errors"
"""Extension of the components: all codes, `own` ones and those of `wechat`."""

_BODIES = """\
## Bodies

The bodies of responses, and the parts of the bodies of requests.
"""

_ERRORS = """\
## Errors

An error is `application/problem+json`: a {problem}, whose `code` is for programs. Each route names
its own; any route may also return {anywhere}. A 429 says in `Retry-After` how many seconds to wait.
A request that is not signed, or that IAM does not permit, is answered by API Gateway: 403 and a
{refusal}. The meanings in Chinese, as data for your own screens:
[error-texts.zh-CN.json](error-texts.zh-CN.json).
"""

_WECHATS = """\
### WeChat's refusals

Returned by the routes that call WeChat while you wait, with its `errcode` and `rid` where there are
any. A message's `error`, a {failure}, has these codes too.
"""


def page_of(api: Mapping[str, Any]) -> str:
    """Write the page in Markdown."""
    lines = [*_head(api), *_routes(api), *_bodies(api), *_errors(api)]
    return "\n".join(lines).rstrip() + "\n"


def operations(api: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the operations of a document: path, method in capitals, operation."""
    for path, item in api["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method.upper(), item[method]


def _head(api: Mapping[str, Any]) -> Iterator[str]:
    yield "# HTTP API"
    yield ""
    yield "<!-- Generated from the code: make docs -->"
    yield ""
    yield api["info"]["description"]
    yield "Below: the routes, the [bodies](#bodies) they return, and all [errors](#errors)."
    yield "The same as OpenAPI 3.1: [openapi.yaml](openapi.yaml)."
    yield ""
    yield from _table(
        ("route", "does"),
        (
            (f"[`{method} {path}`](#{_anchor(operation)})", operation["summary"])
            for path, method, operation in operations(api)
        ),
    )


def _routes(api: Mapping[str, Any]) -> Iterator[str]:
    for path, method, operation in operations(api):
        yield f'## <a id="{_anchor(operation)}"></a>`{method} {path}`'
        yield ""
        yield f"**{operation['summary']}.** {operation.get('description', '')}".rstrip()
        yield ""
        yield from _parameters(api, operation)
        yield from _request(api, operation.get("requestBody", {}))
        yield from _successes(operation["responses"])
        yield from _refusals(operation["responses"])


def _anchor(operation: Mapping[str, Any]) -> str:
    return str(operation["operationId"]).lower()


def _parameters(api: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(
        ("parameter", "in", "type", "meaning"),
        (
            (
                f"`{parameter['name']}`",
                parameter["in"],
                _type(
                    api, _without_null(parameter["schema"]), needed=parameter.get("required", False)
                ),
                parameter.get("description", ""),
            )
            for parameter in operation.get("parameters", [])
        ),
    )


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a parameter that is given: it cannot be null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    return choices[0] if len(choices) == 1 else schema


def _request(api: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[str]:
    """Describe the body of a request: in its own table, or in a line."""
    contents = body.get("content", {})
    if not contents:
        return
    schema = resolve(_schemas(api), next(iter(contents.values())).get("schema", {}))
    kinds = " or ".join(f"`{kind}`" for kind in contents)
    about = body.get("description") or schema.get("description")
    yield f"Body, {kinds}" + (f": {about}" if about else "")
    yield ""
    yield from _fields(api, schema)


def _successes(responses: Mapping[str, Any]) -> Iterator[str]:
    """List the responses that are no problem documents."""
    yield from _table(
        ("status", "body", "meaning"),
        (
            (status, " or ".join(_bodies_of(answer)), answer["description"])
            for status, answer in responses.items()
            if ERROR_CODES not in answer
        ),
    )


def _bodies_of(answer: Mapping[str, Any]) -> Iterator[str]:
    for kind, content in answer.get("content", {}).items():
        name = name_of(content.get("schema", {}))
        yield link_to(name) if name else f"`{kind}`"


def _refusals(responses: Mapping[str, Any]) -> Iterator[str]:
    """List the codes of each status in one line, linked to what they mean."""
    own = [
        f"{status} {_link_codes(answer[ERROR_CODES])}"
        for status, answer in responses.items()
        if status != "default" and answer.get(ERROR_CODES)
    ]
    asks_wechat = any(answer.get(FROM_WECHAT) for answer in responses.values())
    parts = [*own, *(["[WeChat's refusals](#wechats-refusals)"] if asks_wechat else [])]
    if parts:
        yield f"Errors: {'; '.join(parts)}."
        yield ""


def _link_codes(codes: Iterable[str]) -> str:
    return ", ".join(f"[`{code}`](#error-{code})" for code in codes)


def _bodies(api: Mapping[str, Any]) -> Iterator[str]:
    """Describe every body that is not described at a route."""
    at_routes = set(_names_of_requests(api))
    yield _BODIES
    for name, schema in _schemas(api).items():
        if "properties" in schema and name not in at_routes:
            yield f'### <a id="{anchor_of(name)}"></a>{name}'
            yield ""
            yield schema.get("description", "")
            yield ""
            yield from _fields(api, schema)


def _names_of_requests(api: Mapping[str, Any]) -> Iterator[str]:
    for _, _, operation in operations(api):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            yield name_of(content.get("schema", {}))


def _fields(api: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    """Write a table of an object's fields, the required ones first, and an example."""
    needed = schema.get("required", [])
    fields = sorted(schema.get("properties", {}).items(), key=lambda field: field[0] not in needed)
    yield from _table(
        ("field", "type", "meaning"),
        (
            (
                f"`{name}`",
                _type(api, field, needed=name in needed),
                meaning_of(_schemas(api), field),
            )
            for name, field in fields
        ),
    )
    for example in schema.get("examples", [])[:1]:
        yield "```json"
        yield json.dumps(example, ensure_ascii=False, indent=2)
        yield "```"
        yield ""


def _type(api: Mapping[str, Any], schema: Mapping[str, Any], *, needed: bool) -> str:
    shown = needed or schema.get("default") is not None  # a default shows that it is optional
    return type_words(_schemas(api), schema) + ("" if shown else ", optional")


def _errors(api: Mapping[str, Any]) -> Iterator[str]:
    own, wechats = (api["components"][ERRORS][whose] for whose in ("own", "wechat"))
    yield _ERRORS.format(
        problem=link_to("Problem"),
        refusal=link_to("GatewayRefusal"),
        anywhere=_link_codes(_anywhere(api)),
    )
    yield from _table(
        ("code", "status", "meaning", "what to do"),
        (
            (
                f'<a id="error-{code}"></a>`{code}`',
                str(error["status"]),
                error["meaning"],
                error.get("advice", ""),
            )
            for code, error in own.items()
        ),
    )
    yield _WECHATS.format(failure=link_to("FailureResponse"))
    yield from _table(
        ("code", "status", "`errcode`", "meaning", "what to do"),
        (
            (
                f"`{code}`",
                str(error["status"]),
                _numbers(error.get("errcodes", [])),
                error["meaning"],
                error.get("advice", ""),
            )
            for code, error in wechats.items()
        ),
    )


def _anywhere(api: Mapping[str, Any]) -> Sequence[str]:
    """Return the codes of any route: every route's `default` names the same."""
    defaults = (found["responses"].get("default") for _, _, found in operations(api))
    return next((answer[ERROR_CODES] for answer in defaults if answer), [])


def _numbers(errcodes: Sequence[int]) -> str:
    ends = dict.fromkeys([*errcodes[:1], *errcodes[-1:]])
    return " to ".join(map(str, ends))


def _schemas(api: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = api["components"]["schemas"]
    return found


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Write a table; nothing when it has no rows."""
    lines = [_row(row) for row in rows]
    if lines:
        yield from (_row(columns), "|" + "---|" * len(columns), *lines, "")


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
