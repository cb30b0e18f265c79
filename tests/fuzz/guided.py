"""The fuzzer's own process: `python -m tests.fuzz.guided <libFuzzer arguments>`, see `__main__`."""

from __future__ import annotations

import json
import sys
from typing import Final

import atheris  # type: ignore[import-not-found,import-untyped,unused-ignore]

with atheris.instrument_imports(include=["wechat_kf"]):
    from tests.fuzz.push_path import check

TALLY_EVERY: Final = 50_000


class Tally:
    """Counts, and says so now and then: libFuzzer ends the process without a last word."""

    def __init__(self) -> None:
        self.inputs = 0
        self.taken = 0

    def one(self, data: bytes) -> None:
        self.inputs += 1
        self.taken += check(data)
        if self.inputs % TALLY_EVERY == 0:
            sys.stdout.write(json.dumps({"inputs": self.inputs, "taken": self.taken}) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    atheris.Setup(sys.argv, Tally().one)
    atheris.Fuzz()
