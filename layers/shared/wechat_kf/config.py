"""Settings: environment variables, read once into one frozen dataclass per function."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")

_TRUE = {"true", "1", "yes"}
_FALSE = {"false", "0", "no", ""}


class ConfigurationError(Exception):
    """The deployment is misconfigured. Names every faulty variable, never a value."""


def load_settings(settings: type[T], environment: Mapping[str, str] | None = None) -> T:
    """Build a frozen dataclass from the environment.

    A field `token_table: str` is read from `TOKEN_TABLE`; a field with a default may be absent.
    Supported types: `str`, `int`, `float`, `bool` and `tuple[str, ...]` (comma separated).

    Raises:
        ConfigurationError: Names every variable that is missing or malformed.
    """
    source = os.environ if environment is None else environment
    hints = get_type_hints(settings)
    values: dict[str, Any] = {}
    faults: list[str] = []
    for field in fields(settings):  # type: ignore[arg-type]
        name = field.name.upper()
        if name not in source:
            if _is_required(field):
                faults.append(f"{name} is missing")
            continue
        try:
            values[field.name] = _PARSERS[hints[field.name]](source[name])
        except ValueError:
            faults.append(f"{name} is not a valid {_type_name(hints[field.name])}")
    if faults:
        raise ConfigurationError(f"{settings.__name__}: " + "; ".join(faults))
    return settings(**values)


def _is_required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _type_name(hint: Any) -> str:
    return getattr(hint, "__name__", str(hint))


def _parse_boolean(text: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


_PARSERS: dict[Any, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: _parse_boolean,
    tuple[str, ...]: _parse_list,
}
