"""What can happen at every step of a worker: nothing, a crash, a refusal, a lost answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from wechat_kf.app_errors import UnavailableError

T = TypeVar("T")


class Crash(BaseException):
    """The worker's process is gone from one step to the next."""


@dataclass(slots=True)
class Weather:
    """Decides, with a seed, what befalls a step. The chances are per step."""

    random: Random
    crash: float = 0.0
    refusal: float = 0.0
    lost_answer: float = 0.0
    happened: Counter[str] = field(default_factory=Counter)

    def step(self, do: Callable[[], T], refused: Callable[[], Exception]) -> T:
        """`do`, unless something happens before it, or after it.

        Raises Crash, and what `refused` makes: without `do` done, or with it done all the same.
        """
        chance = self.random.random()
        for name, share in (
            ("crashes before a step", self.crash / 2),
            ("crashes after a step", self.crash / 2),
            ("refused steps", self.refusal),
            ("lost answers", self.lost_answer),
        ):
            if chance < share:
                self.happened[name] += 1
                return self._befall(name, do, refused)
            chance -= share
        return do()

    def _befall(self, name: str, do: Callable[[], T], refused: Callable[[], Exception]) -> T:
        match name:
            case "crashes before a step":
                raise Crash
            case "crashes after a step":
                do()
                raise Crash
            case "refused steps":
                raise refused()
        do()
        raise refused()


class Exposed:
    """A store whose every call is a step in the weather. Its failures are `UnavailableError`."""

    def __init__(self, inner: Any, weather: Weather) -> None:
        self._inner = inner
        self._weather = weather

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def exposed(*arguments: Any, **named: Any) -> Any:
            return self._weather.step(
                lambda: method(*arguments, **named), lambda: UnavailableError("throttled")
            )

        return exposed
