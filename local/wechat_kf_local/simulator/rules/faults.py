"""Faults on demand: which call or push goes wrong, how, and how often."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from random import Random
from typing import Any, Final

CALL_KINDS: Final = {
    "busy": "answered -1, nothing done",
    "errcode": "errcode:N is answered, nothing done",
    "hang": "never answered, nothing done",
    "slow": "slow:MS, done at once and answered after so many milliseconds",
    "cut_before": "read, nothing done, connection cut",
    "cut_after": "read, done, connection cut",
    "wrong_content_type": "done, and answered as application/octet-stream",
    "http_500": "HTTP 500 with an empty body, nothing done",
    "html": "HTTP 200 with a page of HTML, nothing done",
}
PUSH_KINDS: Final = {
    "duplicate": "the push is delivered twice at the same time",
    "reorder": "the push is held until the next one has been delivered",
}
_WITH_NUMBER: Final = ("errcode", "slow")


class FaultError(ValueError):
    """An order for a fault that cannot be understood; the message says why."""


@dataclass(slots=True)
class Fault:
    """One order: `times` counts down; without it each call is hit with `probability`."""

    number: int
    kind: str
    match: str
    value: int | None
    times: int | None
    probability: float
    openid: str | None
    business_id: str | None
    random: Random = field(repr=False)
    hits: int = 0

    def described(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if name != "random"}

    def strikes(self) -> bool:
        """Whether this one goes wrong; only asked about what matches."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.random.random() >= self.probability:
            return False
        self.hits += 1
        return True


class Faults:
    """The orders in force, oldest first; the first that strikes is the one that happens."""

    def __init__(self) -> None:
        self._all: list[Fault] = []
        self._count = 0

    def add(self, order: Mapping[str, Any]) -> Fault:
        """Take an order: `kind` and, optionally, `match` (a path's beginning), `openid`,
        `business_id`, `times`, `probability`, `seed`. Raises FaultError.
        """
        kind, value = _kind(order.get("kind"))
        times, probability = order.get("times"), order.get("probability", 1.0)
        if times is not None and (not isinstance(times, int) or times < 1):
            raise FaultError("times: must be a whole number of at least 1")
        if not isinstance(probability, int | float) or not 0 <= probability <= 1:
            raise FaultError("probability: must be a number from 0 to 1")
        self._count += 1
        fault = Fault(
            number=self._count,
            kind=kind,
            match=str(order.get("match", "/")),
            value=value,
            times=times,
            probability=probability,
            openid=_text(order.get("openid")),
            business_id=_text(order.get("business_id")),
            # Which calls are hit must be repeatable, not unguessable.
            random=Random(order.get("seed", 0)),  # noqa: S311
        )
        self._all.append(fault)
        return fault

    def for_call(self, path: str, openid: str | None, business_id: str | None) -> Fault | None:
        return self._first(CALL_KINDS, path, openid, business_id)

    def for_push(self, openid: str, business_id: str) -> Fault | None:
        return self._first(PUSH_KINDS, "/", openid, business_id)

    def all(self) -> list[Fault]:
        return list(self._all)

    def clear(self) -> None:
        self._all.clear()

    def _first(
        self, kinds: Mapping[str, str], path: str, openid: str | None, business_id: str | None
    ) -> Fault | None:
        for fault in self._all:
            matches = (
                fault.kind in kinds
                and path.startswith(fault.match if kinds is CALL_KINDS else "/")
                and fault.openid in (None, openid)
                and fault.business_id in (None, business_id)
            )
            if matches and fault.strikes():
                return fault
        return None


def _kind(text: Any) -> tuple[str, int | None]:
    name, _, number = str(text).partition(":")
    if name not in CALL_KINDS and name not in PUSH_KINDS:
        raise FaultError(f"kind: must be one of {', '.join([*CALL_KINDS, *PUSH_KINDS])}")
    if name not in _WITH_NUMBER:
        if number:
            raise FaultError(f"kind: {name} takes no number")
        return name, -1 if name == "busy" else None
    try:
        return name, int(number)
    except ValueError:
        raise FaultError(f"kind: {name} needs a number, as in {name}:100") from None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
