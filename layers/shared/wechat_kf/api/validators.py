"""WeChat's local rules as pydantic validators, so that one rule has one home; and instants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import Field

from wechat_kf.wechat.errors import InvalidInputError

T = TypeVar("T")

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""As `domain.clock.rfc3339` writes it: in UTC, to the millisecond."""


def wechat_rule(validate: Callable[[T], object]) -> Callable[[T], T]:
    """A validator for pydantic from one of the WeChat client's `validate_…` functions."""

    def check(value: T) -> T:
        try:
            validate(value)
        except InvalidInputError as error:
            raise ValueError(error.rule) from None
        return value

    return check
