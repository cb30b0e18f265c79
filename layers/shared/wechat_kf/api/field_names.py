"""Names the field that a finding of pydantic's is about, as the caller spelled it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from wechat_kf.wechat.errors import InvalidInputError

_TAGGED = ("message", "target")
"""Fields whose form follows from their `type`. Pydantic puts that type into the path after them."""

_OF_THE_TYPE = ("union_tag_invalid", "union_tag_not_found")


def field_name(error: Mapping[str, Any], path: Sequence[str | int]) -> str:
    """Name the field at `path`, the error's location within the document; empty for the whole."""
    parts = [str(part) for part in path]
    if len(parts) > 1 and parts[0] in _TAGGED:
        del parts[1]
    if error.get("type") in _OF_THE_TYPE:
        parts.append("type")
    below = error.get("ctx", {}).get("field")
    return ".".join([*parts, below] if below else parts)


def rule_error(error: InvalidInputError) -> PydanticCustomError:
    """Convert a broken rule of WeChat's, found by looking at several fields, for pydantic."""
    return PydanticCustomError("wechat_rule", "{rule}", {"field": error.field, "rule": error.rule})
