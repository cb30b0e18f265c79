"""A schema in a few words: every kind of schema our models make, with its limits."""

from __future__ import annotations

from typing import Any

import pytest

from generators.schema_words import meaning_of, type_words

SCHEMAS: dict[str, dict[str, Any]] = {
    "Window": {"type": "object", "properties": {"open": {}}, "description": "What is allowed."},
    "Status": {"type": "string", "enum": ["sent", "failed"], "description": "Where it stands."},
}
WINDOW, STATUS = ({"$ref": f"#/components/schemas/{name}"} for name in SCHEMAS)
FORMS = {"mapping": {"a": WINDOW["$ref"], "b": WINDOW["$ref"]}, "propertyName": "type"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "string"),
        ({"type": "string", "minLength": 1}, "string (at least 1 character)"),
        ({"type": "string", "maxLength": 9}, "string (at most 9 characters)"),
        (
            {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^a|b$"},
            "string (1 to 9 characters, `^a|b$`)",
        ),
        ({"type": "string", "format": "date-time"}, "string (RFC 3339)"),
        ({"type": "integer", "minimum": 0.0, "default": 0}, "integer (at least 0), default `0`"),
        ({"type": "integer", "minimum": 1.0, "maximum": 1000.0}, "integer (1 to 1000)"),
        ({"type": "boolean", "default": False}, "boolean, default `false`"),
        ({"type": "string", "default": ""}, 'string, default `""`'),
        ({"type": "string", "default": None}, "string"),
        ({"const": "menu", "type": "string"}, "`menu`"),
        ({"enum": ["a", "b", "c"], "type": "string"}, "`a`, `b` or `c`"),
        ({"enum": ["a"]}, "`a`"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        (
            {"anyOf": [STATUS, {"const": ""}, {"type": "null"}]},
            '`sent` or `failed` or `""` or null',
        ),
        (WINDOW, "[Window](#body-window)"),
        ({**STATUS, "default": "sent"}, "`sent` or `failed`, default `sent`"),
        (
            {"discriminator": FORMS, "oneOf": [WINDOW, WINDOW]},
            "by its `type`: [`a`](#body-window) or [`b`](#body-window)",
        ),
        (
            {"type": "array", "items": WINDOW, "minItems": 1, "maxItems": 20},
            "list of [Window](#body-window) (1 to 20 items)",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "string"}},
            "object, its values string",
        ),
        ({"type": "object", "additionalProperties": True}, "object"),
    ],
)
def test_a_schema_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_words(SCHEMAS, schema) == words


@pytest.mark.parametrize(
    ("schema", "meaning"),
    [
        ({"type": "string", "description": "own"}, "own"),
        ({**STATUS, "description": "own"}, "own"),
        (STATUS, "Where it stands."),
        ({"anyOf": [WINDOW, {"type": "null"}]}, "What is allowed."),
        ({"type": "string"}, ""),
    ],
)
def test_the_nearest_description_counts(schema: dict[str, Any], meaning: str) -> None:
    assert meaning_of(SCHEMAS, schema) == meaning
