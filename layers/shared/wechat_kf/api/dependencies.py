"""What a route needs from its function: named by type, provided through `create_app`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler.depends import Depends


@dataclass(frozen=True, slots=True)
class Provided:
    """Stands for the instance of `kind` that was given to `create_app`."""

    kind: type

    def __call__(self) -> Any:
        raise LookupError(f"create_app was given no {self.kind.__name__}")


def needs(kind: type) -> Depends:
    """Mark a parameter of a route as provided: `Annotated[Acceptance, needs(Acceptance)]`."""
    return Depends(Provided(kind))
