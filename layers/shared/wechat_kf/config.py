"""Settings: environment variables, read once into an instance of one class per function."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")

_TRUE = {"true", "1", "yes"}
_FALSE = {"false", "0", "no", ""}


class ConfigurationError(Exception):
    """The deployment is misconfigured. Names every faulty variable, never a value."""


def load_settings(settings: type[T], environment: Mapping[str, str] | None = None) -> T:
    """Make `settings`, a class of annotated fields, and fill it from the environment.

    A field `token_table: str` is read from `TOKEN_TABLE`; a field with a default may be absent.
    Not a dataclass: making one takes most of a millisecond of a cold start, and many are combined.
    Supported types: `str`, `int`, `float`, `bool` and `tuple[str, ...]` (comma separated).

    Raises:
        ConfigurationError: Names every variable that is missing or malformed.
    """
    source = os.environ if environment is None else environment
    loaded = settings()
    faults: list[str] = []
    for field, hint in get_type_hints(settings).items():
        name = field.upper()
        if name not in source:
            if not hasattr(settings, field):
                faults.append(f"{name} is missing")
            continue
        try:
            setattr(loaded, field, _PARSERS[hint](source[name]))
        except ValueError:
            faults.append(f"{name} is not a valid {_type_name(hint)}")
    if faults:
        raise ConfigurationError(f"{settings.__name__}: " + "; ".join(faults))
    return loaded


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
