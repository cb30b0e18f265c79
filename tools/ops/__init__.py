"""Commands for operators, against a deployed or a local stack."""

import sys
from pathlib import Path

# `python -m tools.ops.…` works as it stands: the package lies where the layer is built from.
sys.path.append(str(Path(__file__).parents[2] / "layers" / "shared"))
