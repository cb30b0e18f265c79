"""Bind a built template to the processor that its layer was built for.

    python -m generators.pin_architecture .aws-sam/build/template.yaml arm64

The parameter `Architecture` then takes this value only, so CloudFormation refuses a deployment for
the other processor, which would fail at the first import.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

_PARAMETER = re.compile(r"^  Architecture:\n(?:    .*\n)+", re.MULTILINE)
_VALUES = re.compile(r"^    (?:AllowedValues|Default):.*\n(?:    - .*\n)*", re.MULTILINE)


def pin(template: str, architecture: str) -> str:
    """Return the template with `Architecture` bound. Raises ValueError without that parameter."""
    found = _PARAMETER.search(template)
    if found is None or len(_VALUES.findall(found[0])) != 2:
        raise ValueError("the template has no parameter Architecture with its values and default")
    pinned = f"    AllowedValues: [{architecture}]\n    Default: {architecture}\n"
    return template[: found.start()] + _VALUES.sub("", found[0]) + pinned + template[found.end() :]


def main(arguments: Sequence[str]) -> None:
    path, architecture = Path(arguments[0]), arguments[1]
    path.write_text(pin(path.read_text(encoding="utf-8"), architecture), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
