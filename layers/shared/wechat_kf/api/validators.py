"""What the models share: WeChat's rules as pydantic validators, business ids, examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import ConfigDict, Field

from wechat_kf.wechat.errors import InvalidInputError

T = TypeVar("T")

BUSINESS_ID = r"(0|[1-9][0-9]{0,19})"
"""A business id as WeChat and the events write it. One spelling only: with leading zeros the same
merchant would have a second conversation, and a second name in access policies."""

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""As `domain.clock.rfc3339` writes it: in UTC, to the millisecond."""


def to_validator(validate: Callable[[T], object]) -> Callable[[T], T]:
    """Make a validator for pydantic of one of the WeChat client's `validate_…` functions."""

    def check(value: T) -> T:
        try:
            validate(value)
        except InvalidInputError as error:
            raise ValueError(error.rule) from None
        return value

    return check


def example(**content: Any) -> ConfigDict:
    """Make the configuration of a model with an example in its schema."""
    return ConfigDict(json_schema_extra={"examples": [content]})
