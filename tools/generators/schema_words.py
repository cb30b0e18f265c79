"""A JSON schema in a few words of Markdown, for a cell of a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]

_FORMATS = {"date-time": "RFC 3339", "base64": "base64"}


def name_of(schema: Schema) -> str:
    """Return the name of the schema that is referred to; empty for an inline one."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def resolve(schemas: Mapping[str, Schema], schema: Schema) -> Schema:
    """Return the schema itself, following a reference."""
    name = name_of(schema)
    return schemas[name] if name else schema


def link_to(name: str) -> str:
    """Return a link to a body's own table."""
    return f"[{name}](#{anchor_of(name)})"


def anchor_of(name: str) -> str:
    """Return the anchor of a body's table."""
    return f"body-{name.lower()}"


def type_words(schemas: Mapping[str, Schema], schema: Schema) -> str:
    """Describe what a value may be, with its limits and its default; bodies are linked."""
    limits = ", ".join(_limits(schema))
    default = schema.get("default")
    return (
        _kind(schemas, schema)
        + (f" ({limits})" if limits else "")
        + ("" if default is None else f", default {_literal(default)}")
    )


def meaning_of(schemas: Mapping[str, Schema], schema: Schema) -> str:
    """Return a value's description, or that of its reference, or of its first choice with one."""
    choices = [schema, *schema.get("anyOf", [])]
    candidates = [schema, *(resolve(schemas, choice) for choice in choices)]
    return next((str(one["description"]) for one in candidates if one.get("description")), "")


def _kind(schemas: Mapping[str, Schema], schema: Schema) -> str:
    match schema:
        case {"$ref": _}:
            words = _describe_reference(schemas, name_of(schema))
        case {"const": value}:
            words = _literal(value)
        case {"enum": values}:
            words = _either([_literal(value) for value in values])
        case {"discriminator": {"mapping": forms}}:
            words = "by its `type`: " + _either([_form(*form) for form in forms.items()])
        case {"anyOf": choices} | {"oneOf": choices}:
            words = " or ".join(type_words(schemas, choice) for choice in choices)
        case {"type": "array", "items": items}:
            words = f"list of {type_words(schemas, items)}"
        case {"type": "object", "additionalProperties": {"type": kind}}:
            words = f"object, its values {kind}"
        case _:
            words = str(schema.get("type", "anything"))
    return words


def _describe_reference(schemas: Mapping[str, Schema], name: str) -> str:
    """Link to a body; describe anything else, such as an enumeration, in place."""
    return link_to(name) if "properties" in schemas[name] else type_words(schemas, schemas[name])


def _form(kind: str, reference: str) -> str:
    return f"[`{kind}`](#{anchor_of(name_of({'$ref': reference}))})"


def _limits(schema: Schema) -> list[str]:
    pattern, form = schema.get("pattern"), _FORMATS.get(schema.get("format", ""))
    limits = [
        _between(schema.get("minimum"), schema.get("maximum")),
        _between(schema.get("minLength"), schema.get("maxLength"), "character"),
        _between(schema.get("minItems"), schema.get("maxItems"), "item"),
        f"`{pattern}`" if pattern else "",
        form or "",
    ]
    return [words for words in limits if words]


def _between(least: float | None, most: float | None, unit: str = "") -> str:
    last = least if most is None else most
    if last is None:
        return ""
    start = "at most" if least is None else "at least" if most is None else f"{least:.0f} to"
    units = f" {unit}{'' if last == 1 else 's'}" if unit else ""
    return f"{start} {last:.0f}{units}"


def _either(words: list[str]) -> str:
    """`a`, `b` or `c`."""
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def _literal(value: Any) -> str:
    """Quote a text only when it is empty."""
    plain = isinstance(value, str) and value
    return f"`{value if plain else json.dumps(value, ensure_ascii=False)}`"
